"""Whether the headers of a folder's scans say that they are MRI of heads, although they were prepared as anything."""

from typing import Any

from anomae.files import read_json
from anomae.slices.store import SliceStore

HEADS = ("BRAIN", "HEAD")  # BodyPartExamined


def brain_sentence(store: SliceStore) -> str:
    """A sentence that recommends the preparation of brains; "" where nothing does.

    Something does where the content of a folder was not said, its slices were prepared plainly, and all its scans are
    DICOM of the modality MR, of the body part BRAIN or HEAD or of none that is named.
    """
    facts, path = store.prepared, store.folder / "cases.json"
    said = facts.get("options", {}).get("content") or facts["settings"].get("preparation", "plain") != "plain"
    if facts.get("cohort") != "folder" or said or not path.exists():
        return ""
    cases: dict[str, dict[str, Any]] = read_json(path)
    parts = {str(case.get("body_part", "")).strip().upper() for case in cases.values()}
    if not cases or any(case.get("modality") != "MR" for case in cases.values()) or parts - {*HEADS, ""}:
        return ""
    found = "are DICOM MR of a head" if parts <= {*HEADS} else "are DICOM MR, of a head or of a part that is not named"
    return (
        f"all {len(cases)} scans {found}; if they are brains, prepare a new store with --set content=brain-mri, which "
        "keeps the brain alone, cropped and upright (--set content=other: they are not, and this is not said again)."
    )
