"""Several DICOM series in one folder: each a scan with a path of its own, localizers told from the others."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from anomae.errors import UserError
from anomae.volumes.dicom_headers import Frame

LARGEST = "largest"
SAYS_LOCALIZER = "its ImageType says LOCALIZER"
_NAME = re.compile(r"series-([1-9]\d{0,5})")
_FEW, _MANY_TIMES = 3, 4  # a localizer has at most so many pictures, a scan beside it so many times as many
_AXIAL = 0.7  # the normal of an axial slice lies nearer to the body's axis than to any other: cos 45 degrees


def series_path(folder: Path, number: int) -> Path:
    """The path by which series `number` (from 1) of a folder that holds several is read; no such file exists."""
    return folder / f"series-{number}"


def folder_and_series(path: Path) -> tuple[Path, int | None]:
    """The folder and the number of a path that `series_path` made; any other path as it is, and None."""
    match = _NAME.fullmatch(path.name)
    if match and not path.exists() and path.parent.is_dir():
        return path.parent, int(match[1])
    return path, None


def in_order(found: Mapping[str, list[Frame]]) -> dict[str, list[Frame]]:
    """The series by UID, in the order in which they are numbered: by SeriesNumber, then UID."""
    order = sorted(found, key=lambda uid: (found[uid][0].series_number, uid))
    return {uid: found[uid] for uid in order}


def chosen_number(found: Mapping[str, Sequence[Frame]], series: str | int) -> int:
    """The number of `series`, a number itself or "largest", among those that were found."""
    return [*found].index(largest_series(found)) + 1 if series == LARGEST else int(series)


def localizers(found: Mapping[str, Sequence[Frame]]) -> dict[str, str]:
    """Which of the series of one folder are localizers: UID to the reason.

    By ImageType; or few pictures that lie across a scan of the same patient and kind with many times as many, unless
    no series were left then.
    """
    reasons = {}
    for uid, frames in found.items():
        if all(frame.localizer for frame in frames):
            reasons[uid] = SAYS_LOCALIZER
        elif len(frames) <= _FEW and any(_is_planned_on(frames, other) for other in found.values()):
            reasons[uid] = f"its {len(frames)} picture(s) lie across a scan of many more"
    if len(reasons) < len(found):
        return reasons
    return {uid: reason for uid, reason in reasons.items() if reason == SAYS_LOCALIZER}


def without_unplaced(frames: Sequence[Frame]) -> tuple[list[Frame], list[Frame]]:
    """The frames of one series that make its volume, and those that lie nowhere, such as a capture of the screen.

    These name neither position nor orientation; what lacks one of the two is a slice with a broken header, and stays.
    None is left out where fewer than two frames name both, or no more than lie nowhere, or the files name no series:
    it is not known then what belongs together.
    """
    placed = [frame for frame in frames if frame.position_mm is not None and frame.orientation is not None]
    strays = [frame for frame in frames if frame.position_mm is None and frame.orientation is None]
    if len(placed) < 2 or len(placed) <= len(strays) or not frames[0].series:
        return list(frames), []
    return [frame for frame in frames if frame.position_mm or frame.orientation], strays


def largest_series(found: Mapping[str, Sequence[Frame]]) -> str:
    """The UID of the series with most pictures, the first of equals.

    Of the axial ones if there are any; localizers do not count where there is anything else.
    """
    apart = localizers(found)
    left = [uid for uid in found if uid not in apart] or [*found]
    axial = [uid for uid in left if _is_axial(found[uid][0])]
    return max(axial or left, key=lambda uid: len(found[uid]))


def checked_series(text: str) -> str | int:
    """`--series` as it was given: a number from 1, or "largest".  Raises UserError for anything else."""
    if text.lower() == LARGEST:
        return LARGEST
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UserError(f"--series is {text!r}; give a number from 1, or {LARGEST}.")


def _is_planned_on(few: Sequence[Frame], many: Sequence[Frame]) -> bool:
    one, other = few[0], many[0]
    if len(many) < _MANY_TIMES * len(few) or len(many) <= _FEW:
        return False
    if (one.likeness, one.modality) != (other.likeness, other.modality):
        return False
    if any(frame.orientation is None for frame in (*few, other)):
        return False
    turns = [abs(a - b) for frame in few for a, b in zip(frame.orientation or (), other.orientation or (), strict=True)]
    return max(turns) > 0.1


def _is_axial(frame: Frame) -> bool:
    if frame.orientation is None:
        return False
    a, b, _, c, d, _ = frame.orientation
    return abs(a * d - b * c) > _AXIAL
