"""DICOM results sent to another node by C-STORE."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomae.extras import require
from anomae.pacs.connection import EXTRA
from anomae.pacs.errors import ArchiveTrouble, StudyTrouble
from anomae.pacs.node import Node, TlsFiles, client_context

_TIMEOUT_S = 60.0
_TAKEN, _WARNINGS = 0x0000, 0xB000


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends files to `node`.  title: our own AE title.  tls: None: unencrypted."""

    node: Node
    title: str
    tls: TlsFiles | None = None

    def __call__(self, files: Sequence[Path]) -> int:
        """Send them; returns how many.  A node that has one already knows it by its UID.

        Raises ArchiveTrouble where the node cannot be reached or lets us not in, StudyTrouble where it does not take a
        file.
        """
        if not files:
            return 0
        import pydicom

        pynetdicom = require("pynetdicom", EXTRA)
        with warnings.catch_warnings():  # pydicom quotes what it finds odd, and that may be a name
            warnings.simplefilter("ignore")
            results = [pydicom.dcmread(file) for file in files]
            entity = pynetdicom.AE(self.title)
            entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_S
            entity.connection_timeout = _TIMEOUT_S
            for kind in {(one.SOPClassUID, one.file_meta.TransferSyntaxUID) for one in results}:
                entity.add_requested_context(*kind)
            association = entity.associate(
                self.node.host,
                self.node.port,
                ae_title=self.node.title,
                tls_args=None if self.tls is None else (client_context(self.tls), self.node.host),
            )
            if not association.is_established:
                how = "lets us not in" if association.is_rejected else "cannot be reached"
                raise ArchiveTrouble(f"{self.node.name} {how}.")
            try:
                for file, one in zip(files, results, strict=True):
                    self._send(association, file, one)
            finally:
                association.release()
        return len(files)

    def _send(self, association: Any, file: Path, result: Any) -> None:
        try:
            answer = association.send_c_store(result)
        except (ValueError, RuntimeError) as error:  # the node takes no such kind; or the association has ended
            if association.is_established:
                raise StudyTrouble(f"{self.node.name} takes no results of the kind of {file.name}.") from error
            raise ArchiveTrouble(f"{self.node.name} ended the association.") from error
        if "Status" not in answer:
            raise ArchiveTrouble(f"{self.node.name} ended the association, or did not answer in {_TIMEOUT_S:.0f} s.")
        status = int(answer.Status)
        if status != _TAKEN and status & 0xF000 != _WARNINGS:
            raise StudyTrouble(f"{self.node.name} did not take {file.name} (status {status:#06x}).")
