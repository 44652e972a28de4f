"""The least that scoring a slice and a step of a head can cost here, and how near today's program is to it.

    python benchmarks/floor.py RUN [--repeats 5]

RUN: fitted, of the detector `anomae`.  Operations: multiplications and additions of convolutions and matrix products,
as torch counts them.  Bytes: what scoring must read of the store and write of the map, with the weights once a batch;
what a step must read of the pool, and AdamW's weights, gradients and moments.  Both are divided by what this machine
reaches in a matrix product and in a copy, measured before and after each part on all processors; the best counts.  What
is measured beside it is `inspect` of slices in memory, and forward, backward and AdamW of one head on evidence in
memory; the medians of the repeats.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from anomae.inference.fitted import load_fitted
from anomae.runs.run import Run
from anomae.training.allocator import keep_freed_memory
from anomae.training.settings import DeviceSettings
from machine import show_machine

SLICES, MATRIX, COPIED = 128, 1024, 64 << 20


def seconds(work: Callable[[], Any], times: int = 1) -> float:
    """By the clock, of one of `times`."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times


def ceilings() -> tuple[float, float]:
    """Operations a second of fp32 matrix products, bytes a second of copies (read and written)."""
    left, right = torch.randn(2, MATRIX, MATRIX)
    source = torch.zeros(COPIED, dtype=torch.uint8)
    target = torch.zeros_like(source)
    product = min(seconds(lambda: left @ right, 4) for _ in range(5))
    copy = min(seconds(lambda: target.copy_(source), 2) for _ in range(5))
    return 2 * MATRIX**3 / product, 2 * COPIED / copy


def counted(work: Callable[[], Any]) -> float:
    """Operations of what is done in this thread."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def say(what: str, unit: str, operations: float, size: float, measured: list[float], reached: list[Any]) -> None:
    """A line: floor, measured, share.  operations, size: of one unit; measured: seconds of one."""
    flops, copied = max(one[0] for one in reached), max(one[1] for one in reached)
    least = operations / flops + size / copied
    took = median(measured)
    print(
        f"{what}: {operations / 1e9:.3g} GFLOP and {size / 1e6:.3g} MB a {unit}; reached {flops / 1e9:.0f} GFLOP/s and "
        f"{copied / 1e9:.1f} GB/s: at most {1 / least:.0f} {unit}s/s; measured {1 / took:.1f} "
        f"({1 / max(measured):.1f} to {1 / min(measured):.1f}), {least / took:.0%} of that",
        flush=True,
    )


def main() -> None:
    """Print both lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    show_machine()
    fitted: Any = load_fitted(options.run / "fitted", DeviceSettings(accelerator="cpu", precision="fp32"))
    store = Run(options.run).open_store()
    images = store.select(store.rows("test")[:SLICES]).read(slice(None))
    threads = torch.get_num_threads()

    torch.set_num_threads(1)  # batches stay in this thread, where they are counted
    operations = counted(lambda: fitted.inspect(images)) / len(images)
    torch.set_num_threads(threads)
    weights = sum(4 * p.numel() for heads in fitted.heads for head in heads for p in head.parameters())
    features = fitted.parts.features
    if features is not None:
        weights += sum(4 * p.numel() for p in features.network.parameters())
    a_slice = images[0].size * 2 + images[0, 0].size * 4  # stored in 16 bits, the map in 32
    reached, taken = [ceilings()], []
    for _ in range(options.repeats):
        taken.append(seconds(lambda: fitted.inspect(images)) / len(images))
        reached.append(ceilings())
    say("scoring", "slice", operations, a_slice + weights / 16, taken, reached)

    head, settings = fitted.heads[0][0], fitted.settings.head
    batch, grid = settings.training.batch, head.grid
    evidence = torch.randn(batch, head.embed.in_channels, *grid)
    truth = (torch.rand(batch, *grid) < 0.05).float()
    head.requires_grad_(True)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        F.binary_cross_entropy_with_logits(head(evidence)[0], truth).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    operations = counted(step)
    parameters = sum(p.numel() for p in head.parameters())
    size = evidence.numel() * 2 + truth.numel() + 7 * 4 * parameters  # the pool holds 16-bit evidence
    reached, taken = [ceilings()], []
    for _ in range(options.repeats):
        taken.append(seconds(step, 10))
        reached.append(ceilings())
    say(f"a head, {batch} samples", "step", operations, size, taken, reached)


if __name__ == "__main__":
    main()
