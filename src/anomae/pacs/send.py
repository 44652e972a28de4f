"""DICOM files sent to another node by C-STORE."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomae.extras import require
from anomae.pacs.connection import EXTRA
from anomae.pacs.errors import ArchiveTrouble, StudyTrouble, told_if_cut
from anomae.pacs.node import Node, TlsFiles, client_context

_TIMEOUT_S = 60.0
_TAKEN, _WARNINGS = 0x0000, 0xB000
_MOST_FILES = 1000  # over one association
_MOST_KINDS = 128  # that one association can be about
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL", "SpectroscopyData")
_CUT = "{} is cut short, or an image without pixels, and was not sent; copy it again."
_UNDEFINED = 0xFFFFFFFF  # length of what ends with a delimiter


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends files to `node`.  title: our own AE title.  tls: None: unencrypted."""

    node: Node
    title: str
    tls: TlsFiles | None = None

    def __call__(self, files: Sequence[Path]) -> int:
        """Send them; returns how many.  A node that has one already knows it by its UID.

        Raises ArchiveTrouble where the node cannot be reached or lets us not in, StudyTrouble where it does not take a
        file, or a file is cut short.
        """
        return self.send(files, _raised)

    def send(self, files: Sequence[Path], refused: Callable[[Path, StudyTrouble], None]) -> int:
        """As when called, but `refused` is called with each file that is cut or not taken; returns how many were.

        One file at a time is in memory; 1,000 go over one association.
        """
        require("pynetdicom", EXTRA)
        taken = 0
        for batch, kinds in _batches(files, refused):
            with self._association(kinds) as association:
                for file in batch:
                    try:
                        self._send(association, file)
                        taken += 1
                    except StudyTrouble as error:
                        refused(file, error)
        return taken

    @contextmanager
    def _association(self, kinds: set[tuple[str, str]]) -> Iterator[Any]:
        """With the node; None where it answers that it takes none of these kinds."""
        pynetdicom = require("pynetdicom", EXTRA)
        entity = pynetdicom.AE(self.title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_S
        entity.connection_timeout = _TIMEOUT_S
        for kind in sorted(kinds):
            entity.add_requested_context(*kind)
        with warnings.catch_warnings():  # pynetdicom leaves the socket of a refused connection to the collector
            warnings.simplefilter("ignore", ResourceWarning)
            association = entity.associate(
                self.node.host,
                self.node.port,
                ae_title=self.node.title,
                tls_args=None if self.tls is None else (client_context(self.tls), self.node.host),
            )
        if association.rejected_contexts and not association.accepted_contexts:
            yield None
            return
        if not association.is_established:
            how = "lets us not in" if association.is_rejected else "cannot be reached"
            raise ArchiveTrouble(f"{self.node.name} {how}.")
        try:
            yield association
        finally:
            association.release()

    def _send(self, association: Any, file: Path) -> None:
        image, no_such = _read(file), StudyTrouble(f"{self.node.name} takes nothing of the kind of {file.name}.")
        if _is_cut(image):
            raise StudyTrouble(_CUT.format(file.name))
        if association is None:
            raise no_such
        try:
            answer = association.send_c_store(image)
        except (ValueError, RuntimeError) as error:  # the node takes no such kind; or the association has ended
            if association.is_established:
                raise no_such from error
            raise ArchiveTrouble(f"{self.node.name} ended the association.") from error
        if "Status" not in answer:
            raise ArchiveTrouble(f"{self.node.name} ended the association, or did not answer in {_TIMEOUT_S:.0f} s.")
        status = int(answer.Status)
        if status != _TAKEN and status & 0xF000 != _WARNINGS:
            raise StudyTrouble(f"{self.node.name} did not take {file.name} (status {status:#06x}).")


def _batches(
    files: Sequence[Path], refused: Callable[[Path, StudyTrouble], None]
) -> Iterator[tuple[list[Path], set[tuple[str, str]]]]:
    """Files that fit one association, and their kinds: SOP class and transfer syntax; cut ones are refused."""
    batch: list[Path] = []
    kinds: set[tuple[str, str]] = set()
    for file in files:
        try:
            header = _read(file, header_alone=True)
        except StudyTrouble as error:
            refused(file, error)
            continue
        kind = str(header.SOPClassUID), str(header.file_meta.TransferSyntaxUID)
        if batch and (len(batch) == _MOST_FILES or len(kinds | {kind}) > _MOST_KINDS):
            yield batch, kinds
            batch, kinds = [], set()
        batch.append(file)
        kinds.add(kind)
    if batch:
        yield batch, kinds


def _read(file: Path, *, header_alone: bool = False) -> Any:
    import pydicom

    with warnings.catch_warnings(), told_if_cut(_CUT.format(file.name)):
        warnings.simplefilter("ignore")  # pydicom quotes what it finds odd, and that may be a name
        return pydicom.dcmread(file, stop_before_pixels=header_alone)


def _is_cut(image: Any) -> bool:
    """Whether a file ends before what it says that it holds: pydicom reads what there is, and says nothing.

    An image is, too, that has no pixels: where it is cut among its first elements nothing else may tell.
    """
    from pydicom.dataelem import RawDataElement
    from pydicom.uid import UID

    kind = UID(str(image.get("SOPClassUID", "")))
    is_image = "Rows" in image or "Image" in kind.name  # as DICOM calls all kinds of objects that must have pixels
    if not kind or (is_image and not any(keyword in image for keyword in _PIXELS)):
        return True
    last = image.get_item(max(image.keys()))
    return isinstance(last, RawDataElement) and len(last.value or b"") < last.length != _UNDEFINED


def _raised(file: Path, error: StudyTrouble) -> None:
    raise error
