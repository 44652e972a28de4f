"""What a reader is: the interface that every file format stands behind, ours and those of installed packages."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anomae.volumes.headers import MAX_VOXELS
from anomae.volumes.volume import Volume


class Reader(Protocol):
    """One file format.

    A package of its own offers such an object, or a module with these names, as an entry point of the group
    "anomae.readers"; it then counts wherever scans are read or searched for.
    """

    @property
    def name(self) -> str:
        """A word such as "nifti"; the `kind` of the volumes that it reads."""
        ...

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What names of such files end in, in lower case and with the dot: (".nii", ".nii.gz"); () for `sniff` alone.

        Of several that fit, the longest counts; the readers of anomae go before those of other packages.
        """
        ...

    def sniff(self, path: Path) -> bool:
        """Whether a file whose suffix no reader claims is of this format, by its first bytes.  Never raises."""
        ...

    def read(self, path: Path, max_voxels: int = MAX_VOXELS) -> Volume:
        """The scan in the file `path`: voxels [z, y, x] of integers, or of finite float32, and their grid.

        Raises UnreadableScan where it is broken, of a variety that is not supported, or claims more than `max_voxels`,
        which is to be noticed before memory is spent (anomae.volumes.headers has what is needed for that).
        """
        ...


def never(_: Path) -> bool:
    """`sniff` of a format that is told by its suffix alone."""
    return False


@dataclass(frozen=True, slots=True)
class FileReader:
    """A Reader put together from its functions."""

    name: str
    suffixes: tuple[str, ...]
    read: Callable[..., Volume]
    sniff: Callable[[Path], bool] = never
