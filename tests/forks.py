"""Children of a process that has imported everything already, so that each costs a moment, killed where they are told.

For scripts that tests start: `sys.path.insert(0, TESTS)`, then `from forks import forked, kill_at`.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

# "replace" (a file takes its name) or "fsync" (a line of a journal); the end of the file's name; n-th time; before or
# after it.
Kill = tuple[str, str, int, str]


def import_what_training_does() -> None:
    """Once, before any fork: two seconds of imports; nothing is computed, so no thread of torch's runs yet."""
    import lightning_fabric  # noqa: F401
    import torch._dynamo
    import torch.profiler  # noqa: F401


def kill_at(call: str, ending: str, nth: int, moment: str) -> None:
    """From now on this process kills itself before or after it does this for the n-th time."""
    owner = {"replace": Path, "fsync": os}[call]
    true, calls = getattr(owner, call), []

    def killing(*given: object) -> object:
        counts = call == "fsync" or str(given[1]).endswith(ending)
        calls.extend([call] * counts)
        due = counts and len(calls) == nth
        if due and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = true(*given)
        if due and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(owner, call, killing)


def forked(work: Callable[[], object], kill: Kill | None = None) -> int:
    """A child does `work`; its exit code: 0, what it left with, 1 where it raised, or minus the signal it died of."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            if kill is not None:
                kill_at(*kill)
            work()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
        except BaseException:  # noqa: BLE001 - whatever it is, the child ends here
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
