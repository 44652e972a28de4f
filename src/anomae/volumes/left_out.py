"""DICOM pictures that a search for scans leaves out: localizers and secondary captures, unless they are named."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anomae.volumes.dicom_headers import Frame
from anomae.volumes.series import SAYS_LOCALIZER

_LOCALIZER = "DICOM: localizer, told because "
_CAPTURES = "DICOM: secondary captures, such as of the screen, of studies that hold scans"


@dataclass(slots=True)
class LeftOut:
    """What a search below `root` may leave out, as it goes.

    localizers: folder and series' UID -> why it is one, and the paths of its scans.  captures: path of a secondary
    capture -> whose it is and of which study.  studies: of scanners -> whose scans they hold; people are told by
    `Frame.likeness`, "" where the file names nobody.
    """

    root: Path
    localizers: dict[tuple[Path, str], tuple[str, set[Path]]] = field(default_factory=dict)
    captures: dict[Path, tuple[str, str]] = field(default_factory=dict)
    studies: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def see(self, frame: Frame) -> None:
        """Remember that a scan of this study was seen, if the picture is of one."""
        if frame.study and not (frame.localizer or frame.is_capture):
            self.studies[frame.study].add(frame.likeness)

    def add_localizer(self, folder: Path, uid: str, reason: str, path: Path) -> None:
        """A series of `folder`, or a file of it, that is a localizer."""
        self.localizers.setdefault((folder, uid), (reason, set()))[1].add(path)

    def add_if_capture(self, path: Path, frames: Sequence[Frame]) -> None:
        """A scan, by the frames of its series: whether it is a capture."""
        if all(frame.is_capture for frame in frames):
            self.captures[path] = frames[0].likeness, frames[0].study

    def settle(self, scans: Sequence[Path], named: Collection[Path], passed_over: Counter[str]) -> list[Path]:
        """`scans` without captures of studies that hold scans, and with the localizers that stay; others are counted.

        named: what a table names; it stays, and so does all in a folder so named that holds no scan otherwise.
        Localizers in `root` itself stay where no scan is found: it was named for them.
        """
        drawn = {path for path, (likeness, study) in self.captures.items() if self._has_scans(likeness, study)}
        found = [path for path in scans if path not in drawn]
        holding = {folder for path in found for folder in path.parents}
        meant = {path for path in named if path not in holding}
        back = {path for path in drawn if _lies_in(path, meant)}
        if rest := len(drawn) - len(back):
            passed_over[_CAPTURES] = rest
        scouts: list[set[Path]] = []
        for (folder, _), (reason, paths) in self.localizers.items():
            own = {path for path in paths if _lies_in(path, meant)}
            back |= own
            if not own and folder == self.root and reason == SAYS_LOCALIZER:
                scouts.append(paths)
            elif not own:
                passed_over[f"{_LOCALIZER}{reason}"] += 1
        if scouts and (found or back):
            passed_over[f"{_LOCALIZER}{SAYS_LOCALIZER}"] += len(scouts)
        else:
            back = back.union(*scouts)
        return [*found, *back]

    def _has_scans(self, likeness: str, study: str) -> bool:
        """Whether scans of the same person lie in the study: an anonymiser may give all people one UID of a study."""
        whose = self.studies.get(study, set())
        return likeness in whose or (bool(whose) and (not likeness or "" in whose))


def _lies_in(path: Path, named: Collection[Path]) -> bool:
    return path in named or any(folder in named for folder in path.parents)
