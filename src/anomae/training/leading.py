"""Which of several processes on one fit leads (it holds the lock, writes what was fitted, speaks); where all meet."""

import os
from collections.abc import Mapping
from typing import Any

RANKS = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def leads(computed: Mapping[str, Any]) -> bool:
    """Whether this is no process that the first of several on one fit started.

    computed: on how many "devices" and "nodes", as run.json has it; {} counts as one of each.  A fit on one device has
    one process, whatever rank Slurm or another launcher gave to the task in which it runs.
    """
    several = computed.get("devices", 1) * computed.get("nodes", 1) > 1
    return not several or all(os.environ.get(rank, "0") == "0" for rank in RANKS)


def meet() -> None:
    """Wait until all processes of one fit are here; a process alone goes on."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
