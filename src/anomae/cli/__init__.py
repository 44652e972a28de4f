"""The command line: arguments in, one stage called, friendly errors out."""

import os
import sys


def main() -> None:
    """Run the command `anomae`; exit code 0: done, 2: the user can put it right, 1: a defect of ours."""
    from anomae.errors import AnomaeError

    # Threads that wait for one another by spinning train at a third of the speed as soon as anything else runs on the
    # same cores (docs/experiments.md); must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from anomae.cli.commands import app

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
