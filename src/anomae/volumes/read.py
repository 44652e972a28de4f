"""The one door to every scan on disk: read it, tell whether a name could be one, find them below a folder."""

from collections.abc import Iterator
from pathlib import Path

from anomae.errors import UnreadableScan
from anomae.volumes.headers import MAX_VOXELS, parsing, unreadable
from anomae.volumes.volume import Volume

_KINDS = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".mhd": "metaimage",
    ".mha": "metaimage",
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".dcm": "dicom",
    ".dicom": "dicom",
    ".ima": "dicom",
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".tif": "picture",
    ".tiff": "picture",
    ".npy": "array",
    ".npz": "array",
}


def read_volume(path: Path | str, *, max_voxels: int = MAX_VOXELS, series: str | int | None = None) -> Volume:
    """Read a scan: NIfTI, MetaImage, NRRD, DICOM (a file or the folder of a series), PNG, JPEG, TIFF, .npy or .npz.

    max_voxels: larger volumes are refused before memory is spent.  series: which DICOM series of a folder that holds
    several, by SeriesInstanceUID or by number from 1.  Floats arrive as float32, integers as they are stored unless the
    file's own rescaling asks for more.  Raises UnreadableScan, with one sentence, for whatever cannot be read.
    """
    path = Path(path)
    with parsing(path, "scan"):
        if not path.exists():
            raise unreadable(path, "is missing.")
        if not path.is_dir() and not path.is_file():
            raise unreadable(path, "is neither a file nor a folder.")
    kind = "dicom" if path.is_dir() else _kind(path)
    if kind == "nifti":
        from anomae.volumes.nifti import read_nifti

        return read_nifti(path, max_voxels)
    if kind == "metaimage":
        from anomae.volumes.itk import read_metaimage

        return read_metaimage(path, max_voxels)
    if kind == "nrrd":
        from anomae.volumes.itk import read_nrrd

        return read_nrrd(path, max_voxels)
    if kind == "picture":
        from anomae.volumes.pictures import read_picture

        return read_picture(path, max_voxels)
    if kind == "array":
        from anomae.volumes.array_files import read_array_file

        return read_array_file(path, max_voxels)
    from anomae.volumes.dicom import read_dicom
    from anomae.volumes.dicom_headers import is_dicom

    if kind == "dicom" or is_dicom(path):
        return read_dicom(path, max_voxels, series)
    known = ", ".join(suffix for suffix in _KINDS if suffix != ".dicom")
    raise unreadable(path, f"is of a kind that is not supported; convert it to one of {known} or to DICOM.")


def is_readable_name(path: Path) -> bool:
    """Whether a file of this name is a scan, by its suffix alone; a name that starts with a dot never is."""
    return not path.name.startswith(".") and bool(_kind(path))


def find_scans(folder: Path) -> list[Path]:
    """Everything in `folder` and below it that looks like a scan, sorted: each can be given to `read_volume`.

    Files count by their names.  DICOM files count by their headers: those that stack to a volume count as the folder
    they lie in, once, and a picture that stands alone, such as a radiograph, as its file.  A folder with several
    stacks is named once too; `read_volume` then says how to choose.  DICOM files that cannot be read are named, so that
    they are missed nowhere; those without a picture are not, but links that lead nowhere are.  Raises UnreadableScan
    for a folder that is not there or may not be opened.
    """
    found: list[Path] = []
    seen = set(folder.resolve().parents)
    waiting = [folder]
    while waiting:
        next_folder = waiting.pop()
        # A link may lead back to a folder that was searched, or that holds it.
        if next_folder.resolve() not in seen:
            seen.add(next_folder.resolve())
            found += _find_in(next_folder, waiting)
    return sorted(found)


def _find_in(folder: Path, waiting: list[Path]) -> Iterator[Path]:
    """The scans in `folder`; the folders in it go to the end of `waiting`, the first one last."""
    from anomae.volumes.dicom_headers import is_dicom

    sliced: list[Path] = []
    with parsing(folder, "folder of scans"):
        entries = sorted(folder.iterdir())
        waiting += [entry for entry in reversed(entries) if entry.is_dir() and not _is_hidden(entry)]
    for entry in entries:
        if _is_hidden(entry) or entry.is_dir():
            continue
        if _kind(entry) not in ("", "dicom") and (entry.is_file() or entry.is_symlink()):
            yield entry
        elif entry.is_file() and is_dicom(entry):
            sliced.append(entry)
    yield from _group_dicom(folder, sliced)


def _group_dicom(folder: Path, files: list[Path]) -> set[Path]:
    from anomae.volumes.dicom_headers import NotAPicture, read_frames

    scans: set[Path] = set()
    series: dict[str, list[Path]] = {}
    for file in files:
        try:
            frames = read_frames(file)
        except NotAPicture:
            continue
        except UnreadableScan:
            scans.add(file)
            continue
        placed = len(frames) == 1 and frames[0].position_mm is not None and frames[0].orientation is not None
        series.setdefault(frames[0].series if placed else str(file), []).append(file)
    for members in series.values():
        scans.update([folder] if len(members) > 1 else members)
    return scans


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "__MACOSX"))


def _kind(path: Path) -> str:
    name = path.name.lower()
    return _KINDS.get(".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower(), "")
