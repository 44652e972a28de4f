"""One GPU in one command of at most ten minutes: speed, the paper's size for real, scoring, determinism, the gpu tests.

    python benchmarks/gpu.py pack STORE PACK.npz             on any machine: the store in 8 bits, to be carried
    python benchmarks/gpu.py run PACK.npz [--minutes 9.5] [--device auto] [--tiny] [--out TABLE.jsonl]

`run` prints a line of JSON for each figure as it is known, so what was measured before a time limit is not lost:
  a  ViT-Base MAE at 224 px, 75 % hidden: images/s, share of the measured bf16 matrix ceiling, peak memory, projected
     time of 1,600 epochs of 15,557 slices.  Images stay on the device in 8 bits; samples, masks and flips are drawn
     there; nothing of a step is read back.
  b  `anomae fit` with recipe brats2020, profile paper, as many epochs as fit (said), beside baselines: AUROC
  c  scoring, slices/s
  d  the same scores twice, and on the CPU
  e  tests marked gpu
--tiny: small networks and few steps, to see on a CPU that all of it runs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anomae.detectors.registry import load_detector
from anomae.errors import UserError
from anomae.files import written_whole
from anomae.models.transformer.masked_autoencoder import (
    MaskedAutoencoder,
    masked_error,
    training_visible,
    visible_count,
)
from anomae.models.transformer.sizes import SIZES, Size
from anomae.slices.store import SliceStore
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.score import score
from anomae.statistics.metrics import auroc
from anomae.training.devices import chosen_device
from anomae.training.settings import DeviceSettings

BRATS_SLICES, EPOCHS, MASK_RATIO = 15_557, 1_600, 0.75
MOST_BYTES = 60_000_000
KEPT = ("index.csv", "cases.json", "prepare.json")
BASELINES = ("mean-image", "pixel-gaussian", "pca")


@dataclass(frozen=True)
class Shape:
    """What part a trains; the side of the matrices of the ceiling, and for how long each stretch is measured."""

    side: int
    patch: int
    sizes: tuple[Size, Size]
    batch: int
    matrix: int
    stretch_s: float


PAPER = Shape(224, 16, SIZES["base"], 256, 8192, 12.0)
TINY = Shape(32, 8, SIZES["nano"], 8, 128, 0.2)


def pack(store: Path, target: Path) -> None:
    """The images of a store in 8 bits (prepared intensities 0..1 in steps of 1/255) and what else it needs."""
    opened = SliceStore(store)
    images = np.load(store / "slices.npy", mmap_mode="r", allow_pickle=False)
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise UserError(f"{store} holds intensities of {low} to {high}; pack one prepared to 0..1.")
    few = np.rint(np.asarray(images, dtype=np.float32) * 255).astype(np.uint8)
    texts = {name: np.frombuffer((store / name).read_bytes(), np.uint8) for name in KEPT}
    with written_whole(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, slices=few, kind=np.array(images.dtype.str), **texts)
    size = target.stat().st_size
    tell("pack", slices=len(opened.index.label), bytes=size)
    if size > MOST_BYTES:
        raise UserError(f"{target} has {size:,} bytes, more than {MOST_BYTES:,}; pack fewer patients.")


def unpack(packed: Path, folder: Path) -> SliceStore:
    """A store again; its images are rounded to 1/255, its lesion masks were left behind."""
    folder.mkdir(parents=True)
    with np.load(packed, allow_pickle=False) as content:
        for name in KEPT:
            (folder / name).write_bytes(content[name].tobytes())
        np.save(folder / "slices.npy", (content["slices"].astype(np.float32) / 255).astype(str(content["kind"])))
    return SliceStore(folder)


def training_flops(shape: Shape) -> float:
    """Of one image, forward and backward: multiplications and additions of the matrix products alone.

    A product of (m, k) with (k, n) has 2 m k n; a backward pass has two for each of the forward one.
    """
    patches = (shape.side // shape.patch) ** 2
    visible = visible_count(patches, MASK_RATIO)
    encoder, decoder = shape.sizes
    pixels = shape.patch**2
    total = 2.0 * visible * pixels * encoder.width
    total += encoder.depth * _block(1 + visible, 1 + visible, encoder.width)
    total += 2.0 * (1 + visible) * encoder.width * decoder.width
    total += (decoder.depth - 1) * _block(1 + patches, 1 + patches, decoder.width)
    hidden = patches - visible  # the last block is computed for these alone
    total += _block(1 + patches, hidden, decoder.width) + 2.0 * hidden * decoder.width * pixels
    return 3.0 * total


def _block(tokens: int, wanted: int, width: int) -> float:
    """Keys and values of all tokens; queries, attention, projection and MLP of those wanted."""
    return 4.0 * tokens * width**2 + wanted * (2.0 + 2.0 + 16.0) * width**2 + 4.0 * wanted * tokens * width


def matrix_ceiling(side: int, device: str, seconds: float) -> float:
    """Operations per second of a bf16 product of two square matrices, the best of what fits into `seconds`."""
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    best, end = 0.0, time.perf_counter() + seconds
    while best == 0.0 or time.perf_counter() < end:
        _wait(device)
        began = time.perf_counter()
        for _ in range(4):
            one @ other
        _wait(device)
        best = max(best, 4 * 2.0 * side**3 / (time.perf_counter() - began))
    return best


def make_step(shape: Shape, images: Tensor, device: str, compiled: str) -> Callable[[], Tensor]:
    """A training step on `images` (n, 1, h, w) uint8, which lie on the device; gives the loss, unread.

    compiled: "no", "default" or "reduce-overhead" (CUDA graphs), as torch.compile calls them.
    """
    weights = torch.Generator().manual_seed(0)
    network = MaskedAutoencoder((shape.side, shape.side), shape.patch, *shape.sizes, weights).to(device)
    run: Any = network if compiled == "no" else torch.compile(network, mode=compiled)
    optimizer = torch.optim.AdamW(
        [parameter for parameter in network.parameters() if parameter.requires_grad], 1e-4, (0.9, 0.95), fused=True
    )
    drawing = torch.Generator(device).manual_seed(1)
    visible_patches = visible_count(network.patch_count, MASK_RATIO)

    def step() -> Tensor:
        rows = torch.randint(len(images), (shape.batch,), generator=drawing, device=device)
        flipped = torch.rand(shape.batch, 1, 1, 1, generator=drawing, device=device) < 0.5
        batch = images[rows].float() / 255
        batch = torch.where(flipped, batch.flip(3), batch)  # (B, 1, H, W)
        visible = training_visible(shape.batch, network.patch_count, visible_patches, drawing)
        with torch.autocast(device, torch.bfloat16):
            predictions = run(batch, visible, everywhere=False)
        loss = masked_error(predictions, batch, visible, shape.patch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    return step


def part_a(shape: Shape, slices: np.ndarray, device: str, modes: tuple[str, ...]) -> float:
    """Returns the best images/s."""
    ceiling = matrix_ceiling(shape.matrix, device, shape.stretch_s / 4)
    tell("a", what="bf16 matrix ceiling", tflops=ceiling / 1e12, matrix=shape.matrix)
    images, best = resident(slices, shape.side, device), 0.0
    for compiled in modes:
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        step = make_step(shape, images, device, compiled)
        began = time.perf_counter()
        losses = [step() for _ in range(3)]  # compiles, warms up
        _wait(device)
        prepared_s = time.perf_counter() - began
        began, steps = time.perf_counter(), 0
        while steps == 0 or time.perf_counter() - began < shape.stretch_s:
            losses += [step() for _ in range(5)]
            steps += 5
            _wait(device)  # once in five steps, for the clock alone
        rate = steps * shape.batch / (time.perf_counter() - began)
        best = max(best, rate)
        finite = bool(torch.isfinite(torch.stack(losses)).all())
        tell(
            "a",
            compile=compiled,
            batch=shape.batch,
            images_per_s=rate,
            share_of_ceiling=rate * training_flops(shape) / ceiling,
            peak_gb=torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None,
            first_steps_s=prepared_s,
            finite=finite,
            hours_of_1600_epochs=EPOCHS * BRATS_SLICES / rate / 3600,
        )
    return best


def resident(slices: np.ndarray, side: int, device: str) -> Tensor:
    """All slices (n, 1, side, side) uint8 on the device, at the side that is trained at."""
    images = torch.from_numpy(np.ascontiguousarray(slices[:, :1]))
    if images.shape[-2:] != (side, side):
        blocks = images.split(256)
        resized = [torch.nn.functional.interpolate(block.float(), (side, side), mode="area") for block in blocks]
        images = torch.cat([block.round().to(torch.uint8) for block in resized])
    return images.to(device)


def part_b(store: SliceStore, folder: Path, device: str, tiny: bool, seconds: float, rate: float) -> Path:
    """Fit the paper's method for as many epochs as fit, beside baselines; returns its run."""
    count = int((store.index.label[store.rows("train")] == 0).sum())
    epochs = max(1, min(EPOCHS, int(0.6 * seconds * rate / count)))  # the program's own loop is slower than part a's
    classifier_epochs = max(1, min(100, int(0.15 * seconds * rate / (6 * count))))
    chosen = {"device.accelerator": device, "device.devices": 1}
    if tiny:
        chosen |= {
            f"{network}.training.{key}": value
            for network in ("autoencoder", "classifier")
            for key, value in {"steps": 3, "epochs": None, "warmup_epochs": None, "batch": 4}.items()
        }
        chosen |= {"autoencoder.size": "nano", "classifier.size": "nano"}
        chosen |= {"autoencoder.patch": 8, "classifier.patch": 8}
    else:
        chosen |= {"autoencoder.training.epochs": epochs, "autoencoder.training.warmup_epochs": min(40, epochs / 40)}
        chosen |= {"classifier.training.epochs": classifier_epochs}
        chosen |= {"classifier.training.warmup_epochs": min(5, classifier_epochs / 20)}
    run = folder / "paper"
    began = time.perf_counter()
    fit(store.folder, run, detector="mae-classifier", recipe="brats2020", profile="paper", overrides=chosen)
    tell(
        "b",
        what="fit",
        slices=count,
        seconds=time.perf_counter() - began,
        of_paper_epochs=EPOCHS,
        epochs=None if tiny else epochs,
        classifier_epochs=None if tiny else classifier_epochs,
    )
    for name in ("mae-classifier", *BASELINES):
        own = run if name == "mae-classifier" else folder / name
        if own != run:
            fit(store.folder, own, detector=name, overrides={})
        score(own, maps=False)
        report = evaluate(own, resamples=200)
        figures = (report.get("slice") or {}).get("auroc")
        tell(
            "b",
            detector=name,
            auroc=figures,
            trivial={
                key: entry.get("auroc", entry).get("value")
                for key, entry in (report.get("trivial_baselines") or {}).items()
                if isinstance(entry, dict)
            },
        )
    return run


def part_c(run: Path, store: SliceStore, device: str) -> None:
    """Slices/s of scoring, images in memory already."""
    images = store.select(store.rows("test")).read(slice(0, 512))
    detector = load_detector(run / "fitted", DeviceSettings(accelerator=device))
    detector.inspect(images[:64])
    _wait(device)
    began = time.perf_counter()
    detector.inspect(images)
    tell("c", slices=len(images), slices_per_s=len(images) / (time.perf_counter() - began))


def part_d(run: Path, store: SliceStore, device: str) -> None:
    """The same scores twice on the device, and beside those of the CPU in fp32."""
    images = store.select(store.rows("test")).read(slice(0, 64))
    exact = DeviceSettings(accelerator=device, precision="fp32")
    first, again = (load_detector(run / "fitted", exact).inspect(images).scores for _ in range(2))
    there = load_detector(run / "fitted", DeviceSettings(accelerator="cpu", precision="fp32")).inspect(images).scores
    higher = (first > np.median(first)).astype(np.int8)
    tell(
        "d",
        repeats_to_the_bit=bool((first == again).all()),
        largest_difference_to_cpu=float(np.abs(first - there).max()),
        range_of_scores=float(np.ptp(there)),
        ranks_agree_auroc=float(auroc(higher, there)) if 0 < higher.sum() < len(higher) else None,
    )


def part_e(seconds: float) -> None:
    """The tests marked gpu, in a process of their own."""
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", str(root / "tests")]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        tell("e", status=None, said=f"not done in {seconds:.0f} s")
        return
    tell("e", status=done.returncode, said=(done.stdout.strip().splitlines() or [done.stderr[-200:]])[-1])


_tables: list[Path] = []


def tell(part: str, **figures: Any) -> None:
    """Print a line of the table, and keep it where --out says."""
    line = json.dumps({"part": part, **figures})
    print(line, flush=True)
    for table in _tables:
        with table.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@contextmanager
def told(part: str) -> Iterator[None]:
    """A part that fails is told, and the others go on: time on such a machine is short.  Ends with status 1 then."""
    began = time.perf_counter()
    try:
        yield
    except Exception as error:  # noqa: BLE001  a line of the table, with its kind; the command fails at its end
        tell(part, failed=f"{type(error).__name__}: {error}"[:500])
        _failed.append(part)
    tell(part, part_s=time.perf_counter() - began)


_failed: list[str] = []


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def run_all(packed: Path, minutes: float, asked: str, tiny: bool) -> int:
    """All parts within `minutes`; the status to end with."""
    end = time.monotonic() + 60 * minutes
    device = chosen_device(DeviceSettings(accelerator=asked))
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    tell("machine", device=name, torch=torch.__version__, cuda=torch.version.cuda, tiny=tiny)
    shape = TINY if tiny else PAPER
    modes = ("no", "default", "reduce-overhead") if device == "cuda" else ("no",)
    _failed.clear()
    with tempfile.TemporaryDirectory() as folder:
        store = unpack(packed, Path(folder) / "store")
        rate, run = 0.0, Path(folder) / "paper"
        with told("a"), np.load(packed, allow_pickle=False) as content:
            rate = part_a(shape, content["slices"], device, modes)
        with told("b"):
            left = end - time.monotonic() - 75  # for what comes after
            run = part_b(store, Path(folder), device, tiny, max(left, 30), rate)
        with told("c"):
            part_c(run, store, device)
        with told("d"):
            part_d(run, store, device)
        with told("e"):
            part_e(max(end - time.monotonic(), 15))
    tell("end", failed=_failed)
    return 1 if _failed else 0


def main() -> None:
    from machine import machine  # not where a test loads this file

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("store", type=Path)
    packing.add_argument("target", type=Path)
    running = commands.add_parser("run")
    running.add_argument("packed", type=Path)
    running.add_argument("--minutes", type=float, default=9.5)
    running.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    running.add_argument("--tiny", action="store_true")
    running.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "pack":
        pack(arguments.store, arguments.target)
        return
    if arguments.out:
        _tables.append(arguments.out)
    tell("host", **machine())
    sys.exit(run_all(arguments.packed, arguments.minutes, arguments.device, arguments.tiny))


if __name__ == "__main__":
    main()
