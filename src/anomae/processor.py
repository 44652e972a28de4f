"""What this machine's processor can do, as Linux tells it."""

from functools import cache
from pathlib import Path


@cache
def flags() -> frozenset[str]:
    """Names of its instructions, such as avx2; empty where the system does not list them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    return frozenset(next((words.split() for name, _, words in lines if name.strip() == "flags"), []))


def has_bf16() -> bool:
    """Whether it multiplies bfloat16 itself; elsewhere it is imitated, which takes many times as long as fp32."""
    return not flags().isdisjoint({"amx_bf16", "avx512_bf16"})


def bf16_is_faster() -> bool:
    """Whether products in bfloat16 take less time than in fp32, which AMX gives (docs/performance.md has the figures).

    AVX512-BF16 without it, as on a virtual machine that hides AMX, reached 0.6 of fp32's speed.
    """
    return "amx_bf16" in flags()
