"""How long studies are kept, by a clock of the service's own: no jump of the machine's clock deletes anything."""

import re
import threading
import time

from anomae.errors import UserError
from anomae.serving.jobs import Jobs

_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
# The time that the service was off is only known from the machine's clock, which may be wrong at a start.
MOST_AWAY_S = 86400.0
_OF_KEEP = 4  # and no more than this part of `--keep`, so that no start with a wrong clock deletes what is new


def checked_keep(text: str) -> float | None:
    """`--keep` as it was given, such as "30d", in seconds; None for "forever".  Raises UserError where it is none."""
    if text.strip().lower() == "forever":
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([hdw])\s*", text.lower())
    if found is None or float(found[1]) == 0:
        raise UserError(f"--keep is {text!r}; give a time such as 12h, 30d or 8w, or forever.")
    return float(found[1]) * _UNITS[found[2]]


class ServiceClock:
    """Seconds that the service has lived: what ran, by a clock that does not jump, and what it was off, in part."""

    def __init__(self, jobs: Jobs, keep_s: float | None = None) -> None:
        """keep_s: how long studies are kept; of what it was off a quarter of it counts at most, and a day."""
        lived_s, wall = jobs.clock()
        self._jobs, self._began = jobs, time.monotonic()
        most = MOST_AWAY_S if keep_s is None else min(MOST_AWAY_S, keep_s / _OF_KEEP)
        self._before = lived_s + min(most, max(0.0, time.time() - wall))
        self._lock = threading.Lock()
        self.keep()

    def now(self) -> float:
        """Seconds since the service was first started."""
        return self._before + time.monotonic() - self._began

    def keep(self) -> None:
        """Write it down; to be called now and then."""
        with self._lock:
            self._jobs.keep_clock(self.now())


def outlived(jobs: Jobs, now: float, keep_s: float | None) -> list[str]:
    """The ids of finished jobs that came longer than `keep_s` ago; now: by the `ServiceClock`."""
    if keep_s is None:
        return []
    return [job.id for job in jobs.all("done", "failed") if now - job.age_at > keep_s]
