"""Every error that anomae raises on purpose; each message says what, which file, and what to do."""

import errno

# What a write fails with for want of room, and what a disk or its owner refuses; no fault of the program or a scan.
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DISK_REFUSES = (*FULL_DISK, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE)


class AnomaeError(Exception):
    """The root of all errors raised on purpose.  The command line prints its message and leaves with `exit_code`."""

    exit_code = 1


class UserError(AnomaeError):
    """Something the user can put right: an input, an option, a path."""

    exit_code = 2


class UnreadableScan(UserError):
    """A scan or picture that cannot be read: broken, hostile, or of a kind that is not supported."""


class NotWritten(UserError):
    """A file that did not reach the disk whole: a full disk, a quota, a limit on its size."""

    def __init__(self, path: object, why: str) -> None:
        """path: the file that was to be written.  why: what was found, a phrase."""
        advice = "make room on the disk (or lift the quota or limit) and give the same command again."
        super().__init__(f"{path} could not be written whole ({why}); {advice}")


class LeakySplit(UserError):
    """A patient (or scan) would be in several splits."""


class MissingExtra(UserError):
    """An optional package is not installed; the message names the extra that brings it."""


class Diverged(UserError):
    """The training loss is no longer a finite number."""
