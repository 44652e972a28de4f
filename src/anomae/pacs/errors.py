"""What may go wrong with an archive, told apart by what is to be done; no message quotes a UID or a patient."""

from anomae.errors import UserError


class ArchiveTrouble(UserError):
    """The archive does not answer, or not now: what was asked for is to be asked for again later."""


class ArchiveRefuses(UserError):
    """The archive does not let us in, or is none: nothing else that is asked will do better."""


class StudyTrouble(UserError):
    """The archive answers, but of this study not what it should: other studies may do better."""


class Stopped(Exception):
    """Somebody asked to stop; not an error."""
