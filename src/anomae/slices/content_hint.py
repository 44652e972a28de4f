"""What the headers of a folder's scans recommend: brains as brains, CT by its Hounsfield units."""

from typing import Any

from anomae.files import read_json
from anomae.slices.store import SliceStore

HEADS = ("BRAIN", "HEAD")  # BodyPartExamined


def ct_sentence(store: SliceStore) -> str:
    """A sentence that recommends a window of Hounsfield units; "" where nothing does.

    Something does where all scans of a folder are DICOM of the modality CT and how they are scaled was not said.
    """
    cases = _cases(store)
    if not cases or store.prepared["settings"].get("intensity") != "auto":
        return ""
    if any(case.get("modality") != "CT" for case in cases.values()):
        return ""
    return (
        f"all {len(cases)} scans are DICOM CT and were scaled one by one, by their own intensities; to keep Hounsfield "
        "units, prepare a new store with --set intensity=window (and --set window_hu=-1000,400, or another window)."
    )


def brain_sentence(store: SliceStore) -> str:
    """A sentence that recommends the preparation of brains; "" where nothing does.

    Something does where the content of a folder was not said, its slices were prepared plainly, and all its scans are
    DICOM of the modality MR, of the body part BRAIN or HEAD or of none that is named.
    """
    facts, cases = store.prepared, _cases(store)
    if facts.get("options", {}).get("content") or facts["settings"].get("preparation", "plain") != "plain":
        return ""
    parts = {str(case.get("body_part", "")).strip().upper() for case in cases.values()}
    if not cases or any(case.get("modality") != "MR" for case in cases.values()) or parts - {*HEADS, ""}:
        return ""
    found = "are DICOM MR of a head" if parts <= {*HEADS} else "are DICOM MR, of a head or of a part that is not named"
    return (
        f"all {len(cases)} scans {found}; if they are brains, prepare a new store with --set content=brain-mri, which "
        "keeps the brain alone, cropped and upright (--set content=other: they are not, and this is not said again)."
    )


def _cases(store: SliceStore) -> dict[str, dict[str, Any]]:
    """What is known of each scan of a folder; {} for other cohorts, which say how they are prepared."""
    path = store.folder / "cases.json"
    if store.prepared.get("cohort") != "folder" or not path.exists():
        return {}
    cases: dict[str, dict[str, Any]] = read_json(path)
    return cases
