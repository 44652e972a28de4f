"""Columns of a table that say nothing of ours: which are harmless, and which could be a column of ours misnamed."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from anomae.errors import UserError
from anomae.suggestions import nearest_sentence

LIKENESS = 0.74  # difflib's ratio, from which on a name may be a slip of the pen: "patiant", "spilt", "fiel"
# Words as near to a column of ours as a slip is, and of another meaning.
_OTHER_WORDS = (
    *("age", "size", "side", "tile", "task", "mass", "sex", "date", "title", "field", "slice", "note", "type"),
    *("subject", "subjects", "participant", "participants"),  # near what others call ours; of these see below
)
# Of whom or what a column tells that has one of these words in its name; it is refused where our own column is absent.
_TELLING: Mapping[str, tuple[str, ...]] = {
    "file": (
        "file",
        "files",
        "filepath",
        "path",
        "scan",
        "scans",
        "image",
        "images",
        "img",
        "series",
        "dicom",
        "nifti",
    ),
    "patient": (
        *("patient", "patients", "subject", "subjects", "participant", "person", "individual", "case", "donor"),
        *("pid", "mrn", "id", "uid", "animal", "mouse", "exam", "study", "family"),
    ),
    "label": (
        *("label", "labels", "class", "classes", "target", "diagnosis", "diagnoses", "dx", "finding", "findings"),
        *("pathology", "abnormal", "abnormality", "healthy", "normal", "disease", "malignant", "malignancy", "anomaly"),
        *("tumor", "tumour", "lesion", "lesions", "status", "category", "outcome", "truth", "y", "ill", "sick"),
    ),
    "split": ("split", "set", "subset", "fold", "partition", "phase", "usage", "part"),
    "mask": ("mask", "masks", "seg", "segmentation", "segmentations", "annotation", "annotations", "contour", "roi"),
}
# Columns with such a word that say nothing of the role all the same.
_HARMLESS_WORDS = ("age", "sex", "gender", "date", "year", "height", "width", "spacing", "weight", "comment", "notes")
_HARMLESS = ("dx_type", "diagnosis_confirm_type", "anatom_site_general", "anatom_site_general_challenge")
_MARKS = ({"0", "1"}, {"true", "false"}, {"yes", "no"}, {"y", "n"})


def left_out_columns(
    columns: Sequence[str],
    rows: Sequence[tuple[int, Sequence[str]]],
    ours: Sequence[str],
    aliases: Sequence[str],
    path: Path,
) -> list[str]:
    """A sentence that names the columns of a table that say nothing of ours; [] where there are none.

    columns: in small letters.  rows: number of the line, its values.  ours: our columns.  aliases: what others call
    these; one that is left beside ours says nothing more.  Raises UserError where a column may be meant as one of ours:
    by its spelling; or, where ours is absent, by a word in its name, or because it holds yes and no alone and nothing
    else tells the labels.
    """
    others = [name for name in columns if name not in ours]
    for name in others:
        if name in aliases:
            continue
        words = {word for word in re.split(r"[^a-z0-9]+", name) if word}
        if name in _HARMLESS or words & set(_HARMLESS_WORDS):
            continue
        known = (*ours, *aliases)
        if name not in _OTHER_WORDS and difflib.get_close_matches(name, known, n=1, cutoff=LIKENESS):
            raise UserError(
                f"{path} has a column {name!r} that is not known; rename it or leave it out. "
                f"{nearest_sentence(name, known)}"
            )
        may_be = [role for role, telling in _TELLING.items() if role not in columns and words & set(telling)]
        if not may_be and "label" not in columns and _is_yes_or_no(columns.index(name), rows):
            may_be = ["label"]
        if may_be:
            raise UserError(
                f"{path} has a column {name!r} and none called {may_be[0]}; call it {may_be[0]} if that is what it "
                "tells, else leave it out."
            )
    if not others:
        return []
    said = ", ".join(name or "(one without a name)" for name in others)
    return [f"the column(s) {said} of the table say nothing that is used and were left out"]


def _is_yes_or_no(at: int, rows: Sequence[tuple[int, Sequence[str]]]) -> bool:
    """Whether a column holds both of two marks and nothing else, empty fields apart."""
    values = {row[at].lower().removesuffix(".0") for _, row in rows if at < len(row) and row[at]}
    return any(values == marks for marks in _MARKS)
