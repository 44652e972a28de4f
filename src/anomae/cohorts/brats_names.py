"""How BraTS names things, year by year: modalities, case folders, and which patient and site a case came from."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from anomae.errors import UserError
from anomae.suggestions import nearest_sentence

MODALITIES = ("t1", "t1ce", "t2", "flair")
# What a kind of file is called: in 2017 to 2021, and since 2023.
SPELLINGS = {
    "t1": ("t1", "t1n"),
    "t1ce": ("t1ce", "t1c"),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f"),
    "seg": ("seg",),
}
_CANONICAL = {spelling: name for name in MODALITIES for spelling in SPELLINGS[name]}
_OF_2020 = re.compile(r"BraTS20_Training_(\d{1,4})", re.IGNORECASE)
_OF_2017_TO_2019 = re.compile(r"(BraTS(1[789])_([A-Z0-9]+)_[A-Z0-9]+)_\d+", re.IGNORECASE)
_OF_2021 = re.compile(r"BraTS2021_\d{1,6}", re.IGNORECASE)
_SINCE_2023 = re.compile(r"(BraTS-[A-Z]+-\d{1,6})-\d{1,4}", re.IGNORECASE)
_WITHOUT_SEGMENTATION = re.compile(r"BraTS\d{2,4}_(Validation|Testing)_.+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class CaseName:
    """What the name of a case folder tells.

    number: of BraTS2020's cases, by which they are ordered, else 0.  case: what the case is called here.  patient: the
    sessions of one patient share it.  year: the release, "2023" for all since.  site: "" where the name tells none.
    """

    number: int
    case: str
    patient: str
    year: str
    site: str = ""


def case_name(number: int) -> str:
    """What case `number` (1..369) of BraTS2020 is called here; the released lists begin their slice names with it."""
    return f"volume_{number}"


def read_case_name(name: str) -> CaseName | None:
    """What the name of a folder tells, or None where it is none of a BraTS case with a segmentation.

    BraTS20_Training_001; BraTS19_CBICA_AAB_1 (also of 2017 and 2018), site CBICA; BraTS2021_00000;
    BraTS-GLI-00000-001, the second session of a patient.  Upper and lower case count as the same.
    """
    if match := _OF_2020.fullmatch(name):
        called = case_name(int(match[1]))
        return CaseName(int(match[1]), called, called, "2020")
    if match := _OF_2017_TO_2019.fullmatch(name):
        return CaseName(0, name, match[1].upper(), f"20{match[2]}", match[3])
    if _OF_2021.fullmatch(name):
        return CaseName(0, name, name.upper(), "2021")
    if match := _SINCE_2023.fullmatch(name):
        return CaseName(0, name, match[1].upper(), "2023")
    return None


def has_no_segmentation(name: str) -> bool:
    """Whether a folder of this name is a case that was handed out without a segmentation (BraTS20_Validation_001)."""
    return _WITHOUT_SEGMENTATION.fullmatch(name) is not None


def known_modality(modality: str) -> str:
    """`modality` as it is called here: one of MODALITIES; t1n, t1c, t2w and t2f, as since 2023, are known too.

    Raises UserError, naming the nearest, where BraTS has no such modality.
    """
    name = modality.lower()
    if name in _CANONICAL:
        return _CANONICAL[name]
    raise UserError(f"BraTS has no modality {modality!r}. {nearest_sentence(name, MODALITIES, likeness=0.4)}")


def read_sites(folder: Path) -> dict[int, str]:
    """Case number -> site, from the name_mapping.csv of the data set; empty where `folder` has none.

    The names of earlier years tell: BraTS19_CBICA_AAB_1 came from CBICA.
    """
    path = folder / "name_mapping.csv"
    if not path.is_file():
        return {}
    sites: dict[int, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            for line in csv.DictReader(handle):
                tail = (line.get("BraTS_2020_subject_ID") or "").rpartition("_")[2]
                earlier = (line.get("BraTS_2019_subject_ID") or "NA", line.get("BraTS_2018_subject_ID") or "NA")
                tokens = next((name.split("_") for name in earlier if name.count("_") >= 2), [])
                if tail.isdigit() and tokens:
                    sites[int(tail)] = tokens[1]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not readable as CSV ({error}).") from error
    return sites
