"""The command line: arguments in, one stage called, friendly errors out."""

import errno
import io
import os
import sys

# What a disk or its owner refuses; any other OSError is a defect of ours.
_THE_DISKS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENAMETOOLONG,
)


def main() -> None:
    """Run the command `anomae`; exit code 0: done, 2: the user can put it right, 1: a defect of ours."""
    from anomae.errors import AnomaeError

    # Threads that wait for one another by spinning train at a third of the speed as soon as anything else runs on the
    # same cores (docs/experiments.md); must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error does: a file name may be no UTF-8
    try:
        from anomae.cli import commands, data_commands, lists, reproduce_command  # noqa: F401 - each adds its commands
        from anomae.cli.app import app
        from anomae.progress import Console, reporting

        with reporting(Console()):
            app(prog_name="anomae")
    except AnomaeError as error:
        print(f"anomae: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("anomae: stopped. Give the same command again to go on from here.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in _THE_DISKS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(f"anomae: {place}{error.strerror}.  Put that right and give the same command again.", file=sys.stderr)
        sys.exit(2)
