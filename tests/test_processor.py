"""What the processor can do, read from a made-up /proc/cpuinfo."""

from pathlib import Path

import pytest

from anomae import processor
from anomae.training.devices import chosen_precision
from anomae.training.settings import DeviceSettings

PROCESSOR = (
    "processor\t: {number}\nvendor_id\t: GenuineIntel\nflags\t\t: fpu sse2 {flags}\n"
    "vmx flags\t: vnmi amx_bf16\nbugs\t\t: avx512_bf16\n"
)


@pytest.fixture
def with_flags(monkeypatch: pytest.MonkeyPatch):
    def told(flags: str | None) -> None:
        def read(path: Path, *_, **__) -> str:
            if flags is None:
                raise FileNotFoundError(path)
            return "\n".join(PROCESSOR.format(number=number, flags=flags) for number in range(2))

        monkeypatch.setattr(Path, "read_text", read)
        processor.flags.cache_clear()

    yield told
    monkeypatch.undo()
    processor.flags.cache_clear()


@pytest.mark.parametrize(
    ("flags", "has", "faster"),
    [
        ("avx2", False, False),
        ("avx2 avx512f avx512_bf16 avx512_fp16", True, False),  # a virtual machine that hides AMX
        ("avx512_bf16 amx_bf16 amx_tile amx_int8", True, True),
        (None, False, False),
    ],
)
def test_bf16_is_chosen_where_it_is_faster(with_flags, flags: str | None, has: bool, faster: bool) -> None:
    with_flags(flags)
    assert (processor.has_bf16(), processor.bf16_is_faster()) == (has, faster)
    assert chosen_precision(DeviceSettings(accelerator="cpu")) == ("bf16" if faster else "fp32")
    assert chosen_precision(DeviceSettings(accelerator="cpu", precision="bf16")) == "bf16"


def test_flags_are_those_of_this_machine() -> None:
    processor.flags.cache_clear()
    if not Path("/proc/cpuinfo").exists():
        pytest.skip("this system has no /proc/cpuinfo")
    assert all(f" {flag}" in Path("/proc/cpuinfo").read_text() for flag in processor.flags())
