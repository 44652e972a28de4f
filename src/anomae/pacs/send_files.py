"""DICOM files below some folders, sent to another node; what it does not take is told, and the rest goes on."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anomae.errors import UserError
from anomae.pacs.errors import ArchiveTrouble, StudyTrouble, told_if_cut
from anomae.pacs.send import Sender
from anomae.progress import progress

_PIECE = 100
_DIRECTORY = "1.2.840.10008.1.3.10"  # the SOP class of a DICOMDIR, which is no object of its own


@dataclass
class SentFiles:
    """files: how many the node took.  refused: why not, a sentence each.  others: files that are no DICOM object."""

    files: int = 0
    refused: list[str] = field(default_factory=list)
    others: int = 0


def send_files(sender: Sender, paths: Sequence[Path]) -> SentFiles:
    """Send all DICOM files among `paths` and below the folders among them.

    Raises UserError where there are none or a path is missing, and ArchiveTrouble where the node cannot be reached or
    lets us not in, which says how many it took before.
    """
    found, sent = SentFiles(), 0
    files = []

    def refused(file: Path, error: StudyTrouble) -> None:
        found.refused.append(str(error))

    for file in _below(paths):
        try:
            if _is_object(file):
                files.append(file)
            else:
                found.others += 1
        except StudyTrouble as error:
            refused(file, error)
    if not files and not found.refused:
        raise UserError(f"No DICOM file is among {found.others} file(s) of {', '.join(map(str, paths[:3]))}.")

    with progress("send", len(files), "files") as bar:
        for start in range(0, len(files), _PIECE):
            piece = files[start : start + _PIECE]
            try:
                sent += sender.send(piece, refused)
            except ArchiveTrouble as error:
                again = "give the same command again: what it has already it knows by its UID."
                raise ArchiveTrouble(f"{error} It took {sent} or more of {len(files)} file(s); {again}") from error
            bar.advance(len(piece))
    found.files = sent
    return found


def _below(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise UserError(f"{path} does not exist.")
        yield from sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _is_object(file: Path) -> bool:
    """Whether a file is a DICOM object that can be sent: its header can be read and says what it is.

    Raises StudyTrouble for one that is DICOM, and no DICOMDIR, and cannot be sent all the same.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    broken = f"{file.name} is cut short or broken, and was not sent; copy it again."
    try:
        with warnings.catch_warnings(), told_if_cut(broken):
            warnings.simplefilter("ignore")  # pydicom quotes what it finds odd, and that may be a name
            about = pydicom.filereader.read_file_meta_info(file)
            if about.get("MediaStorageSOPClassUID") == _DIRECTORY:
                return False
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
            needed = about.get("TransferSyntaxUID"), header.get("SOPClassUID"), header.get("SOPInstanceUID")
    except InvalidDicomError:  # it does not begin as DICOM files do
        return False
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise StudyTrouble(broken) from error
    if not all(needed):
        raise StudyTrouble(broken)
    return str(needed[1]) != _DIRECTORY
