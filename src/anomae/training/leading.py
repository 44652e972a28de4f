"""Which of several processes on one fit leads (it holds the lock, writes what was fitted, speaks); where all meet."""

import os

RANKS = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def leads() -> bool:
    """Whether this is no process that the first of several on one fit started."""
    return all(os.environ.get(rank, "0") == "0" for rank in RANKS)


def meet() -> None:
    """Wait until all processes of one fit are here; a process alone goes on."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
