"""The one door to every scan on disk: read it, tell whether a name could be one, find them below a folder.

A format of ours is one file with a READER (anomae.volumes.reader), and one line here.  A package of its own offers a
reader as an entry point of the group "anomae.readers".
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from anomae.errors import UnreadableScan, UserError
from anomae.volumes import array_files, dicom, metaimage, nifti, nifti_pair, nrrd, pictures
from anomae.volumes.detached import PAIR_HEADERS, PAIR_VOXELS
from anomae.volumes.dicom_headers import Frame, NotAPicture, read_frames
from anomae.volumes.headers import MAX_VOXELS, check_size, parsing, unreadable
from anomae.volumes.identity import SourceFile
from anomae.volumes.intensities import settle
from anomae.volumes.left_out import LeftOut
from anomae.volumes.passed_over import SCATTERED, told, why_passed_over
from anomae.volumes.reader import Reader
from anomae.volumes.series import (
    LARGEST,
    chosen_number,
    folder_and_series,
    in_order,
    localizers,
    series_path,
    without_unplaced,
)
from anomae.volumes.volume import Volume

GROUP = "anomae.readers"
# Patient, study and series -> where the first slice lies in each folder that holds slices of it.
FirstPositions = defaultdict[tuple[str, str, str], dict[Path, tuple[float, ...]]]
READERS: tuple[Reader, ...] = (
    nifti.READER,
    nifti_pair.READER,
    metaimage.READER,
    nrrd.READER,
    pictures.READER,
    array_files.READER,
    dicom.READER,
)
ATTRIBUTES = ("name", "suffixes", "sniff", "read")


@dataclass(slots=True)
class _Search:
    """A search below a folder as it goes.

    waiting: folders still to be searched, the next one last.
    """

    series: str | int | None
    passed_over: Counter[str]
    waiting: list[Path]
    left_out: LeftOut
    positions: FirstPositions = field(default_factory=lambda: defaultdict(dict))


@dataclass(frozen=True, slots=True)
class FoundScans:
    """What lies below a folder.

    scans: sorted, each for `read_volume`.  passed_over: reason -> how many files, or series, were passed over for it;
    of SCATTERED how many series lie in several folders.
    """

    scans: list[Path] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)

    def notes(self) -> list[str]:
        """What was passed over, in sentences."""
        return told(self.passed_over)


def read_volume(path: Path | str, *, max_voxels: int = MAX_VOXELS, series: str | int | None = None) -> Volume:
    """Read a scan: NIfTI, MetaImage, NRRD, DICOM (a file or the folder of a series), pictures, .npy or .npz.

    Also what the readers of installed packages read.
    max_voxels: larger volumes are refused before memory is spent.  series: which DICOM series of a folder that holds
    several, by SeriesInstanceUID, by number from 1, or "largest"; a path from `find_scans` says so itself.  Floats
    arrive as float32, integers as they are stored unless the file's own rescaling asks for more.  Raises
    UnreadableScan, with one sentence, for whatever cannot be read.
    """
    path = Path(path)
    with parsing(path, "scan"):
        folder, number = folder_and_series(path)
        if number is not None:
            return replace(dicom.read_dicom(folder, max_voxels, number), source=path)
        if not path.exists():
            raise unreadable(path, "is missing.")
        if not path.is_dir() and not path.is_file():
            raise unreadable(path, "is neither a file nor a folder.")
        file = SourceFile.at(path)
    reader = dicom.READER if path.is_dir() else _reader_of(path)
    if reader is None:
        known = ", ".join(suffix for each in all_readers() for suffix in each.suffixes)
        raise unreadable(path, f"is of a kind that is not supported; convert it to one of {known} or to DICOM.")
    if reader is dicom.READER:
        return dicom.read_dicom(path, max_voxels, series)
    if reader in READERS:
        volume = reader.read(path, max_voxels)
    else:
        with parsing(path, reader.name):
            volume = _checked(path, reader.read(path, max_voxels), max_voxels)
    return volume if volume.files else replace(volume, files=(file,))


def all_readers() -> tuple[Reader, ...]:
    """Ours, then those of installed packages by name.  Raises UserError where one of these is none."""
    return (*READERS, *_foreign_readers())


def is_readable_name(path: Path) -> bool:
    """Whether a file of this name is a scan, by its suffix alone; a name that starts with a dot never is."""
    named = _by_suffix(path) is not None or path.name.lower().endswith(PAIR_HEADERS)
    return named and not path.name.startswith(".")


def find_scans(folder: Path) -> list[Path]:
    """Everything in `folder` and below it that looks like a scan, sorted: the scans of `look_for_scans`."""
    return look_for_scans(folder).scans


def look_for_scans(folder: Path, series: str | int | None = None, named: Collection[Path] = frozenset()) -> FoundScans:
    """Everything in `folder` and below it that looks like a scan, and what was passed over.

    Files count by their names.  DICOM files count by their headers: those that stack to a volume count as the folder
    they lie in, once, and a picture that stands alone, such as a radiograph, as its file.  Of a folder with several
    series each that stacks is a scan (anomae.volumes.series.series_path); with `series` (a number from 1, or "largest")
    only that one.  Localizers are passed over (but those that lie in `folder` itself where no scan is found: it was
    named for them), and so are secondary captures of studies of which scans of the same patient are found; named: files
    and folders that a table names, for which neither holds (anomae.volumes.left_out).  DICOM files that cannot be read
    are named, so that they are missed nowhere; those without a picture are passed over; links that lead nowhere are
    named.  Series whose slices lie in several folders, and are no copies, are counted.  Raises UnreadableScan for a
    folder that is not there or may not be opened.
    """
    found = FoundScans()
    search = _Search(series, found.passed_over, [folder], LeftOut(folder))
    seen = set(folder.resolve().parents)
    while search.waiting:
        next_folder = search.waiting.pop()
        # A link may lead back to a folder that was searched, or that holds it.
        if next_folder.resolve() not in seen:
            seen.add(next_folder.resolve())
            found.scans.extend(_find_in(next_folder, search))
    found.scans[:] = search.left_out.settle(found.scans, named, found.passed_over)
    if several := sum(len({*first.values()}) > 1 for first in search.positions.values()):
        found.passed_over[SCATTERED] = several
    found.scans.sort()
    return found


def _find_in(folder: Path, search: _Search) -> Iterator[Path]:
    """The scans in `folder`; the folders in it go to the end of those that wait, the first one last."""
    sliced: list[Path] = []
    with parsing(folder, "folder of scans"):
        entries = sorted(folder.iterdir())
        search.waiting += [entry for entry in reversed(entries) if entry.is_dir() and not _is_hidden(entry)]
    for entry in entries:
        if _is_hidden(entry) or entry.is_dir():
            continue
        reader = _by_suffix(entry)
        if reader is None and entry.is_file():
            reader = _by_content(entry)
        if reader is dicom.READER:
            sliced += [entry] if entry.is_file() else []
        elif reader is not None and (entry.is_file() or entry.is_symlink()):
            yield entry
        elif reader is None and (reason := why_passed_over(entry)) is not None:
            search.passed_over[reason] += 1
    yield from _group_dicom(folder, sliced, search)


def _group_dicom(folder: Path, files: list[Path], search: _Search) -> set[Path]:
    series, passed_over = search.series, search.passed_over
    scans: set[Path] = set()
    found: dict[str, list[Frame]] = {}
    stacks: dict[str, tuple[str, list[Path]]] = {}
    for file in files:
        try:
            frames = read_frames(file)
        except NotAPicture:
            passed_over["DICOM: without a picture of a scan, as reports and segmentations are"] += 1
            continue
        except UnreadableScan:
            scans.add(file)
            continue
        uid = frames[0].series
        search.left_out.see(frames[0])
        found.setdefault(uid, []).extend(frames)
        placed = len(frames) == 1 and frames[0].position_mm is not None and frames[0].orientation is not None
        stacks.setdefault(uid if placed else str(file), (uid, []))[1].append(file)
        if placed and uid and (position := frames[0].position_mm):
            first = search.positions[frames[0].likeness, frames[0].study, uid]
            first[folder] = min(position, first.get(folder, position))
    found = in_order(found)
    apart = localizers(found)
    if series is not None and len(found) > 1 and not (series == LARGEST and len(apart) == len(found)):
        number = chosen_number(found, series)
        passed_over[f"DICOM: series not asked for; number {number} was taken (--series {series})"] += len(found) - 1
        return {series_path(folder, number)}
    parted = [without_unplaced(frames) for frames in found.values()]
    kept = {frame.path for frames, _ in parted for frame in frames}
    strays = {frame.path for _, frames in parted for frame in frames} - kept
    for uid, members in stacks.values():
        path = members[0] if len(members) == 1 else folder
        if path == folder and len(found) > 1:
            path = series_path(folder, [*found].index(uid) + 1)
        if uid in apart:
            search.left_out.add_localizer(folder, uid, apart[uid], path)
            continue
        if strays.issuperset(members):
            passed_over["DICOM: without a position, in a series whose other pictures have one"] += len(members)
            continue
        scans.add(path)
        search.left_out.add_if_capture(path, found[uid])
    return scans


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "__MACOSX"))


def _reader_of(path: Path) -> Reader | None:
    if path.name.lower().endswith((*PAIR_HEADERS, *PAIR_VOXELS)):  # by either half, and to say what is wrong with it
        return nifti_pair.READER
    return _by_suffix(path) or _by_content(path)


def _by_suffix(path: Path) -> Reader | None:
    """The reader with the longest suffix that fits, of ours or, if there is none, of installed packages."""
    return _longest_fit(path, READERS) or _longest_fit(path, _foreign_readers())


def _longest_fit(path: Path, readers: tuple[Reader, ...]) -> Reader | None:
    name = path.name.lower()
    fits = [(len(suffix), reader) for reader in readers for suffix in reader.suffixes if name.endswith(suffix)]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def _by_content(path: Path) -> Reader | None:
    return _first_sniff(path, READERS) or _first_sniff(path, _foreign_readers())


def _first_sniff(path: Path, readers: tuple[Reader, ...]) -> Reader | None:
    return next((reader for reader in readers if reader.sniff(path)), None)


@cache
def _foreign_readers() -> tuple[Reader, ...]:
    """The readers of installed packages, by name; looked for once a process."""
    readers = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            reader = point.load()
        except (ImportError, AttributeError) as error:
            raise UserError(f"The reader {point.name} ({point.value}) cannot be imported: {error}.") from error
        missing = [attribute for attribute in ATTRIBUTES if not hasattr(reader, attribute)]
        if missing:
            raise UserError(f"{point.name} ({point.value}) is no reader: it lacks {', '.join(missing)}.")
        readers.append(reader)
    return tuple(readers)


def _checked(path: Path, volume: object, max_voxels: int) -> Volume:
    """What another package's reader gave, once it is known to be a volume.  Raises ValueError where it is not."""
    if not isinstance(volume, Volume) or volume.voxels.shape != volume.grid.shape:
        raise ValueError("a reader gives an anomae.volumes.volume.Volume whose grid has the shape of its voxels")
    check_size(path, volume.voxels.shape, volume.voxels.dtype.itemsize, max_voxels)
    voxels, notes = settle(path, volume.voxels)
    return replace(volume, voxels=voxels, notes=(*volume.notes, *notes))
