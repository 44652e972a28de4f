"""Folders that this program wrote, lying among scans: their maps, pictures and arrays are no scans."""

import json
from collections.abc import Iterable
from pathlib import Path

# What lies beside the outputs -> keys that ours has, as other programs call files so too.
_MARKERS = {
    "scoring.json": ("detector", "overlay_scale"),
    "run.json": ("store_fingerprint", "settings"),
    "prepare.json": ("fingerprint", "settings"),
}
_JOURNAL = "journal.jsonl"
_LARGEST = 1 << 28  # bytes; no marker of ours comes near


def without_outputs(scans: Iterable[Path], root: Path) -> tuple[list[Path], list[Path]]:
    """The scans that lie in no output folder of this program at or below `root`; and those folders, sorted."""
    known: dict[Path, bool] = {}
    kept, left_out = [], set()
    for scan in scans:
        folder = next((above for above in _folders_to(scan, root) if _is_known_output(above, known)), None)
        if folder is None:
            kept.append(scan)
        else:
            left_out.add(folder)
    return kept, sorted(left_out)


def is_output_folder(folder: Path) -> bool:
    """Whether a scoring, a run or a store lies in `folder`, finished or begun."""
    for name, keys in _MARKERS.items():
        content = _first_object(folder / name, whole=True)
        if content is not None and all(key in content for key in keys):
            return True
    begun = _first_object(folder / _JOURNAL, whole=False)
    if begun is None:
        return False
    request = begun.get("request")
    return str(begun.get("format")).startswith("anomae ") or (isinstance(request, dict) and "cohort" in request)


def _folders_to(scan: Path, root: Path) -> list[Path]:
    """`root` and the folders from it down to the scan, itself too where it is one, as a DICOM series is."""
    inner = [folder for folder in (*reversed(scan.parents), scan) if folder.is_relative_to(root)]
    return [folder for folder in inner if folder.is_dir()]


def _is_known_output(folder: Path, known: dict[Path, bool]) -> bool:
    if folder not in known:
        known[folder] = is_output_folder(folder)
    return known[folder]


def _first_object(path: Path, *, whole: bool) -> dict[str, object] | None:
    """The JSON object of a file, or of its first line; None where there is none."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read() if whole else file.readline(1 << 24))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
