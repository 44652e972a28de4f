"""What a scored study says, for programs: its flags, findings and scores as one JSON object."""

import csv
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anomae.files import read_json, write_json

RESULT, UPLOAD, OUT = "result.json", "upload", "out"
# What can be asked for of a scan, and where it lies in OUT; some scans have no map, and DICOM scans alone the others.
FILES = {
    "map.nii.gz": "maps/{}.nii.gz",
    "map.tiff": "maps/{}.tiff",
    "seg.dcm": "dicom/{}-seg.dcm",
    "sr.dcm": "dicom/{}-sr.dcm",
}
_NUMBERS = {
    "score", "threshold", "higher_than", "feature_distance", "feature_percentile", "position_mm", "volume_mm3",
    "maximum", "mean", *(f"{point}_{axis}_mm" for point in ("centroid", "peak") for axis in "xyz"),
}  # fmt: skip
_COUNTS = {
    "slices",
    "slice",
    "highest_slice",
    "flagged_slices",
    "findings",
    "findings_left_out",
    "number",
    "first_slice",
    "last_slice",
    "voxels",
}
# What may stand in any sentence: alone it is not taken for the name of a file.
_ANY_WORD = re.compile(r"[a-z]+|\d{1,5}|.{1,2}", re.DOTALL)
# Ours, and how many folders are called; in any case.
_OWN_WORDS = {
    "dicom", "dicomdir", "nifti", "metaimage", "nrrd", "png", "jpeg", "tiff", "mri", "flair", "localizer", "imagetype",
    "patientid", "patient", "patients", "study", "studies", "series", "scan", "scans", "image", "images", "picture",
    "pictures", "slice", "slices", "volume", "volumes", "file", "files", "folder", "folders",
}  # fmt: skip
_YES_OR_NO = {"flag", "suited"}


def write_result(folder: Path, study: str, run: str) -> dict[str, Any]:
    """Write what a finished scoring says, last of all: this file says that a study is done; returns its content.

    folder: of the study, with its scoring in OUT.  run: the name of the model's run.
    """
    content = _result(folder, study, run)
    write_json(folder / RESULT, content)
    return content


def read_result(folder: Path) -> dict[str, Any]:
    """The content of a finished study's result.  Raises UserError where it is not there."""
    content: dict[str, Any] = read_json(folder / RESULT)
    return content


def files_there(folder: Path, result: Mapping[str, Any]) -> list[str]:
    """Those of FILES that there are of the first scan of a study whose result is `result`."""
    name = next((scan.get("name") for scan in result["scans"]), None)
    return (
        [] if name is None else [file for file, path in FILES.items() if (folder / OUT / path.format(name)).is_file()]
    )


def without_folder(text: str, folder: Path) -> str:
    """A sentence with the paths in it as the client knows them."""
    own = text.replace(f"{folder / UPLOAD}/", "").replace(str(folder / UPLOAD), "The study").replace(f"{folder}/", "")
    return own.replace(str(folder), "The study")


def without_names(text: str, folder: Path) -> str:
    """A sentence that tells no file by its name, which may be a patient's, but as "file 1", "folder 2" or "a file".

    Numbers count the files and the folders that were sent, by their paths in alphabetical order.  A name that stands
    alone is left where it may be a word of the sentence: in lower case, of few digits, or such as "DICOM".
    """
    upload, counts = folder / UPLOAD, Counter[str]()
    told = {str(upload): ""}
    for path in sorted(upload.rglob("*")):
        kind = "folder" if path.is_dir() else "file"
        counts[kind] += 1
        for spelt in {str(path), path.relative_to(upload).as_posix(), path.name}:
            if spelt in text and not (_ANY_WORD.fullmatch(spelt) or spelt.casefold() in _OWN_WORDS):
                told[spelt] = f"a {kind}" if spelt in told else f"{kind} {counts[kind]}"  # one name may be of several

    def instead(found: re.Match[str]) -> str:
        if found["out"]:
            return "a file of results"
        own = told[found["known"]]
        if found["below"]:
            return f"a file in {own}" if own else "a file"
        return own or found[0]

    results = rf"{re.escape(str(folder / OUT))}/[\w./-]*\w"
    known = "|".join(map(re.escape, sorted(told, key=len, reverse=True)))
    below = r"/(?!series-\d+\b)\S*\w"  # a file that is not there
    text = re.sub(rf"(?P<out>{results})|(?<!\w)(?P<known>{known})(?!\w)(?P<below>{below})?", instead, text)
    return without_folder(text, folder)


def _result(folder: Path, study: str, run: str) -> dict[str, Any]:
    out = folder / OUT
    facts = read_json(out / "scoring.json")
    findings, scores = _rows(out / "findings.csv"), _rows(out / "scores.csv")
    scans = []
    for number, row in enumerate(_rows(out / "scans.csv"), 1):
        file = row["file"]
        own = [
            {k: v for k, v in one.items() if k not in ("file", "name", "patient")}
            for one in findings
            if one["file"] == file
        ]
        lines = [one for one in scores if one["file"] == file]
        wanted = ("slice", "position_mm", "score", "flag", "higher_than", "sop_instance_uid")
        scans.append(
            {
                "scan": number,
                **{key: value for key, value in row.items() if key not in ("file", "name", "findings", "slices")},
                "file": without_folder(str(file), folder),
                "name": row["name"],
                "slices": row["slices"],
                "findings": own,
                "scores": [{key: line[key] for key in wanted if key in line} for line in lines],
                "notes": list(facts["scan_notes"].get(file, ())),
            }
        )
    flags = [scan["flag"] for scan in scans]
    dicom: Mapping[str, Any] = facts.get("dicom") or {}
    said = [*facts["notes"], *facts["passed_over"]]
    return {
        "study": study,
        "run": run,
        "flag": True if True in flags else False if False in flags else None,
        "scans": scans,
        "findings": sum(len(scan["findings"]) for scan in scans),
        "rules": facts["rules"],
        "calibration": facts["calibration"],
        "detector": facts["detector"],
        "model": facts["model"],
        "map_name": facts["map_name"],
        "page": facts.get("page"),
        "dicom": {"refused": dict(dicom.get("refused", {})), "notes": dict(dicom.get("notes", {}))},
        "notes": [without_folder(sentence, folder) for sentence in said],
        "skipped": [without_folder(str(reason), folder) for reason in facts["skipped"].values()],
        "version": facts["version"],
        "intended_use": "research only, not for clinical use",
    }


def _rows(file: Path) -> list[dict[str, Any]]:
    with file.open(newline="", encoding="utf-8") as handle:
        return [{key: _value(key, value) for key, value in row.items()} for row in csv.DictReader(handle)]


def _value(column: str, text: str) -> str | float | int | bool | None:
    if column in _YES_OR_NO:
        return None if text == "" else text == "1"
    if column in _NUMBERS:
        return None if text == "" else float(text)
    if column in _COUNTS:
        return None if text == "" else int(text)
    return text
