"""What may go wrong with an archive, told apart by what is to be done; no message quotes a UID or a patient."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from anomae.errors import UserError


class ArchiveTrouble(UserError):
    """The archive does not answer, or not now: what was asked for is to be asked for again later."""


class ArchiveRefuses(UserError):
    """The archive does not let us in, or is none: nothing else that is asked will do better."""


class StudyRefused(ArchiveRefuses):
    """The archive does not give us this study; where it still lists studies it may give others."""


class StudyTrouble(UserError):
    """The archive answers, but of this study not what it should: other studies may do better."""


class Stopped(Exception):
    """Somebody asked to stop; not an error."""


@contextmanager
def told_if_cut(sentence: str) -> Iterator[None]:
    """What pydicom raises of a DICOM file that ends too early, a plain OSError too, becomes StudyTrouble(sentence)."""
    try:
        yield
    except (OSError, EOFError, struct.error, zlib.error) as error:
        if isinstance(error, OSError) and (
            type(error) is not OSError or error.errno is not None
        ):  # a disk's, a network's
            raise
        raise StudyTrouble(sentence) from error
