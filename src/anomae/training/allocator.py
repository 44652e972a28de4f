"""Memory of a finished step kept for the next one, where the C library would hand it back to the system."""

import ctypes
import sys

# Of glibc's mallopt.  Blocks above the first are mapped one by one, at most 32 MiB is allowed; the second is how much
# free memory at the top is kept.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_LARGEST_KEPT, _KEPT_AT_TOP = 32 << 20, 1 << 30


def keep_freed_memory() -> bool:
    """Let this process keep what it frees (up to 1 GiB), so that each step finds its pages there; whether it will.

    Else the activations of every step are handed back and faulted in again: 7 to 15 % of the time of a small network on
    a CPU (docs/experiments.md).  glibc only, so Linux; elsewhere nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, _KEPT_AT_TOP))
