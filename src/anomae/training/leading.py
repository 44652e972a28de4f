"""Which of several processes on one fit leads: it holds the lock, keeps what lies beside the fit, and speaks."""

import os

RANKS = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def leads() -> bool:
    """Whether this is no process that the first of several on one fit started."""
    return all(os.environ.get(rank, "0") == "0" for rank in RANKS)
