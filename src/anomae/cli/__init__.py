"""The command line: arguments in, one stage called, friendly errors out."""

import errno
import io
import logging
import os
import sys
import traceback
from itertools import pairwise


def main() -> None:
    """Run the command `anomae`; exit code 0: done, 2: the user can put it right, 1: a defect of ours.

    Everything that holds for a whole process (environment, warnings filters, loggers) is set here and nowhere below:
    the rest of the package also runs inside other people's programs and threads.
    """
    from anomae.training.allocator import keep_freed_memory

    debug = _wants_debug()
    # Threads that wait for one another by spinning train at a third of the speed as soon as anything else runs on the
    # same cores (docs/experiments.md); must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()  # of the whole process, so done here and never by the library
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it says its precision at each start
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error does: a file name may be no UTF-8
    try:
        from anomae.cli import (  # noqa: F401 - each adds its commands
            archive_command,
            commands,
            data_commands,
            export_command,
            lists,
            pacs_commands,
            reproduce_command,
            serve_command,
        )
        from anomae.cli.app import app
        from anomae.progress import Console, reporting
        from anomae.workers import leave_out_readers_warnings

        _refuse_empty(sys.argv[1:])
        if not debug:
            leave_out_readers_warnings()
        with reporting(Console()):
            app(prog_name="anomae")
    except (KeyboardInterrupt, SystemExit) as ended:
        if not _is_interrupted(ended):
            raise
        print("anomae: stopped. Give the same command again to go on from here.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  nothing is swallowed: it ends with one sentence and an exit code
        if debug:
            traceback.print_exception(error)
        sentence, code = _told(error)
        print(f"anomae: {sentence}", file=sys.stderr)
        sys.exit(code)


def _is_interrupted(ended: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an end: typer makes an exit of it, with code 130 or 1, and says nothing."""
    while ended is not None:
        if isinstance(ended, KeyboardInterrupt):
            return True
        ended = ended.__cause__ or ended.__context__
    return False


def _wants_debug() -> bool:
    """Whether --debug stands anywhere on the command line (it is taken out there) or ANOMAE_DEBUG is set."""
    given = "--debug" in sys.argv[1:]
    if given:
        sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    return given or os.environ.get("ANOMAE_DEBUG", "") not in ("", "0")


def _refuse_empty(arguments: list[str]) -> None:
    """Raises UserError for an argument that is empty: taken for a path, it would be the folder one happens to be in."""
    from anomae.errors import UserError

    for before, argument in pairwise(["", *arguments]):
        if not argument.strip() or (argument.startswith("--") and argument.find("=") == len(argument) - 1):
            of = before if before.startswith("-") and argument.strip() == "" else argument.rstrip("=").strip()
            raise UserError(
                f"{f'{of} is' if of else 'An argument is'} empty; is a variable unset?  (. is this folder.)"
            )


def _told(error: Exception) -> tuple[str, int]:
    """What is said of an error, on one line, and the exit code."""
    from anomae.errors import DISK_REFUSES, FULL_DISK, AnomaeError

    if isinstance(error, AnomaeError):
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.errno in (*DISK_REFUSES, errno.ENAMETOOLONG):
        full = "a disk (or the temporary folder, TMPDIR): " if error.errno in FULL_DISK else ""
        file = f"{error.filename}: " if error.filename else full
        return f"{file}{error.strerror}.  Put that right and give the same command again.", 2
    what = " ".join(f"{type(error).__name__}: {error}".split())
    advice = "please report it; run again with --debug for the details, which may quote patient data."
    return f"a defect of the program ({what}); {advice}", 1
