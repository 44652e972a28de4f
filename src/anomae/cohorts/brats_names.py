"""How BraTS2020 names things: modalities, case numbers, and which site a case came from."""

import csv
from pathlib import Path

from anomae.errors import UserError
from anomae.suggestions import nearest_sentence

MODALITIES = ("t1", "t1ce", "t2", "flair")


def case_name(number: int) -> str:
    """What case `number` (1..369) is called here; the released lists begin their slice names with it."""
    return f"volume_{number}"


def known_modality(modality: str) -> str:
    """`modality` in lower case.  Raises UserError, naming the nearest, where BraTS2020 has no such modality."""
    name = modality.lower()
    if name in MODALITIES:
        return name
    raise UserError(f"BraTS2020 has no modality {modality!r}. {nearest_sentence(name, MODALITIES, likeness=0.4)}")


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
