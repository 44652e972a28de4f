"""Our masked autoencoder against those of transformers and MONAI: fit step and scoring, in turn, in one run.

    python benchmarks/mae_speed.py [--size small|vit-base-224] [--repeats 5] [--device auto|cpu|cuda] [--json FILE]

All have the same shape, get the same images, and are tried in fp32 and in bf16 (autocast).  A fit step is what
anomae's training does: masks drawn, forward, eq. (1), backward, AdamW (fused, for all).  Scoring is the
reconstruction of the paper: four passes in one batch, originals pasted, averaged.  Each runs in a process of its own,
set up as its users have it (anomae's keeps freed memory), and only one of them at a time.  Before the table stands the
floor: the operations of a step and the bytes of its weights, over what matrix products and copies of this machine reach
by themselves.  On a CPU the seconds are those of the processor, not the wall's, so that other work on the machine
counts little; --wall takes the wall's.  Needs the extra `benchmark`; without MONAI that contender is left out.

MONAI's has no biases on queries, keys and values (its default), and no loss: it gets ours.  It runs in fp32 alone:
under autocast MONAI 1.6.1 ends with "Index put requires the source and destination dtypes match".
"""

import argparse
import json
import resource
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from anomae.extras import require
from anomae.models.transformer.masked_autoencoder import (
    MaskedAutoencoder,
    averaged_reconstruction,
    masked_error,
    patchify,
    random_visible,
    training_visible,
    unpatchify,
    visible_count,
)
from anomae.models.transformer.sizes import SIZES, Size
from anomae.training.allocator import keep_freed_memory
from anomae.training.devices import chosen_device, make_fabric
from anomae.training.settings import DeviceSettings
from machine import show_machine

MASK_RATIO, PASSES = 0.75, 4
PRECISIONS = ("fp32", "bf16")
Work = Callable[[], None]


@dataclass(frozen=True)
class Shape:
    """What both networks are; the batches of a fit step and of scoring, by device."""

    side: int
    patch: int
    encoder: Size
    decoder: Size
    fit_batch: dict[str, int]
    score_batch: dict[str, int]


SHAPES = {
    "small": Shape(48, 6, Size(192, 6, 3), Size(192, 2, 3), {"cpu": 128, "cuda": 1024}, {"cpu": 32, "cuda": 512}),
    "vit-base-224": Shape(224, 16, *SIZES["base"], {"cpu": 4, "cuda": 128}, {"cpu": 16, "cuda": 64}),
}


def our_works(shape: Shape, device: str, precision: str) -> dict[str, Work]:
    """A fit step and a scoring, with Lightning Fabric as anomae's training has it."""
    fabric = make_fabric(DeviceSettings(accelerator=device, precision=precision))
    generator = torch.Generator().manual_seed(0)
    network = MaskedAutoencoder((shape.side, shape.side), shape.patch, shape.encoder, shape.decoder, generator)
    optimizer = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), 1e-4, fused=True)
    wrapped, optimizer = fabric.setup(network, optimizer)
    visible_patches = visible_count(network.patch_count, MASK_RATIO)
    drawing = torch.Generator(fabric.device).manual_seed(0)
    images = {kind: batch.to(fabric.device) for kind, batch in made_up_images(shape, device).items()}

    def fit() -> None:
        visible = training_visible(len(images["fit"]), network.patch_count, visible_patches, drawing)
        predictions = wrapped(images["fit"], visible, everywhere=False)
        loss = masked_error(predictions, images["fit"], visible, shape.patch)
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    def score() -> None:
        visible = random_visible(range(len(images["score"])), network.patch_count, visible_patches, PASSES)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            averaged_reconstruction(network, images["score"], visible.to(fabric.device))

    return {"fit": fit, "score": score}


def their_works(shape: Shape, device: str, precision: str) -> dict[str, Work]:
    """The same with transformers.ViTMAEForPreTraining under torch.autocast."""
    network = their_network(shape).to(device)
    optimizer = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), 1e-4, fused=True)
    images = {kind: batch.to(device) for kind, batch in made_up_images(shape, device).items()}
    size = (shape.side, shape.side)

    def fit() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = network(images["fit"]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def score() -> None:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            spread = images["score"].repeat_interleave(PASSES, dim=0)
            given = network(spread)
            pasted = torch.where(given.mask[..., None] > 0, given.logits.float(), patchify(spread, shape.patch))
            unpatchify(pasted, size, shape.patch).view(-1, PASSES, 1, *size).mean(dim=1)

    return {"fit": fit, "score": score}


def their_network(shape: Shape) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = require("transformers", "benchmark")
    encoder, decoder = shape.encoder, shape.decoder
    configuration = transformers.ViTMAEConfig(
        image_size=shape.side,
        patch_size=shape.patch,
        num_channels=1,
        mask_ratio=MASK_RATIO,
        hidden_size=encoder.width,
        num_hidden_layers=encoder.depth,
        num_attention_heads=encoder.heads,
        intermediate_size=4 * encoder.width,
        decoder_hidden_size=decoder.width,
        decoder_num_hidden_layers=decoder.depth,
        decoder_num_attention_heads=decoder.heads,
        decoder_intermediate_size=4 * decoder.width,
    )
    return transformers.ViTMAEForPreTraining(configuration).train()


def monais_works(shape: Shape, device: str, precision: str) -> dict[str, Work]:
    """The same with monai.networks.nets.MaskedAutoEncoderViT under torch.autocast, with eq. (1) as the loss."""
    network = monais_network(shape).to(device)
    optimizer = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), 1e-4, fused=True)
    images = {kind: batch.to(device) for kind, batch in made_up_images(shape, device).items()}
    size = (shape.side, shape.side)

    def fit() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            predictions, mask = network(images["fit"])
        errors = (predictions.float() - patchify(images["fit"], shape.patch)).square().mean(dim=2)
        ((errors * mask).sum() / mask.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()

    def score() -> None:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            spread = images["score"].repeat_interleave(PASSES, dim=0)
            predictions, mask = network(spread)
            pasted = torch.where(mask[..., None] > 0, predictions.float(), patchify(spread, shape.patch))
            unpatchify(pasted, size, shape.patch).view(-1, PASSES, 1, *size).mean(dim=1)

    return {"fit": fit, "score": score}


def monais_network(shape: Shape) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.networks.nets import MaskedAutoEncoderViT
    encoder, decoder = shape.encoder, shape.decoder
    return MaskedAutoEncoderViT(
        in_channels=1,
        img_size=shape.side,
        patch_size=shape.patch,
        hidden_size=encoder.width,
        mlp_dim=4 * encoder.width,
        num_layers=encoder.depth,
        num_heads=encoder.heads,
        masking_ratio=MASK_RATIO,
        decoder_hidden_size=decoder.width,
        decoder_mlp_dim=4 * decoder.width,
        decoder_num_layers=decoder.depth,
        decoder_num_heads=decoder.heads,
        spatial_dims=2,
    ).train()


def made_up_images(shape: Shape, device: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    sizes = {"fit": shape.fit_batch[device], "score": shape.score_batch[device]}
    return {kind: torch.rand(size, 1, shape.side, shape.side, generator=generator) for kind, size in sizes.items()}


def seconds(work: Work, times: int, device: str, wall: bool) -> float:
    """Per turn, over `times` turns: the wall's, or on a CPU those that this process computed (user and system)."""
    if device == "cuda":
        torch.cuda.synchronize()
    began = _now(device, wall)
    for _ in range(times):
        work()
    if device == "cuda":
        torch.cuda.synchronize()
    return (_now(device, wall) - began) / times


def _now(device: str, wall: bool) -> float:
    return time.perf_counter() if wall or device == "cuda" else time.process_time()


MAKERS = {"anomae": our_works, "transformers": their_works, "monai": monais_works}
OTHERS = {"transformers": "transformers", "monai": "monai"}  # the package that each needs (MONAI: and einops)


def serve(who: str, size: str, device: str, precision: str, wall: bool, asked: Connection) -> None:
    """In a process of its own: do what is asked for, (kind, times), and answer with the seconds per turn.

    "memory": MiB at the highest point so far.
    """
    if who == "anomae":
        keep_freed_memory()  # as the command line does
    works = MAKERS[who](SHAPES[size], device, precision)
    while (order := asked.recv()) is not None:
        kind, times = order
        if kind == "memory":
            asked.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        else:
            asked.send(seconds(works[kind], times, device, wall))


def floor(shape: Shape, device: str, stretch_s: float, wall: bool) -> dict[str, float]:
    """What the machine reaches in matrix products of this shape's size and in copies, and what a fit step needs.

    step_flops: matrix products of a step, forward and backward.  step_bytes: the fused AdamW reads gradient, weight and
    two moments and writes three of them, all float32.  floor_*_s: both over what was measured.
    """
    batch, width = shape.fit_batch[device], shape.encoder.width
    network = MaskedAutoencoder(
        (shape.side, shape.side), shape.patch, shape.encoder, shape.decoder, torch.Generator().manual_seed(0)
    )
    weights = sum(p.numel() for p in network.parameters() if p.requires_grad)
    rows = batch * (1 + visible_count(network.patch_count, MASK_RATIO))
    found: dict[str, float] = {"step_flops": batch * _flops(shape), "step_bytes": 7 * 4.0 * weights}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        left = torch.randn(rows, width, device=device, dtype=dtype)
        right = torch.randn(width, 4 * width, device=device, dtype=dtype)
        once = seconds(lambda a=left, b=right: a @ b, 3, device, wall)  # type: ignore[misc]
        per = seconds(lambda a=left, b=right: a @ b, max(3, int(stretch_s / once)), device, wall)  # type: ignore[misc]
        found[f"{name}_flops_per_s"] = 2 * rows * width * 4 * width / per
    source = torch.zeros(64 << 20, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    per = seconds(lambda: target.copy_(source), 10, device, wall)  # type: ignore[arg-type,return-value]
    found["bytes_per_s"] = 2 * source.numel() / per
    for name in ("fp32", "bf16"):
        found[f"floor_{name}_s"] = (
            found["step_flops"] / found[f"{name}_flops_per_s"] + found["step_bytes"] / found["bytes_per_s"]
        )
    return found


def compare(
    size: str,
    device: str,
    repeats: int,
    stretch_s: float,
    wall: bool,
    precisions: Sequence[str],
    left_out: Sequence[str],
) -> dict[str, Any]:
    """Measure all in turn, print the tables, and give them.  left_out: contenders that are not to be measured."""
    shape, spawn = SHAPES[size], get_context("spawn")
    makers = [who for who in MAKERS if who not in left_out and (who not in OTHERS or find_spec(OTHERS[who]))]
    limits = floor(shape, device, stretch_s, wall)
    batch = shape.fit_batch[device]
    print(
        f"floor: {limits['step_flops'] / 1e9:.1f} GFLOP and {limits['step_bytes'] / 1e6:.0f} MB a step; reached "
        f"{limits['fp32_flops_per_s'] / 1e9:.0f} GFLOP/s in fp32, {limits['bf16_flops_per_s'] / 1e9:.0f} in bf16, "
        f"{limits['bytes_per_s'] / 1e9:.1f} GB/s: at most "
        f"{batch / limits['floor_fp32_s']:.0f} and {batch / limits['floor_bf16_s']:.0f} images/s",
        flush=True,
    )
    ends: dict[tuple[str, str], Connection] = {}
    for how in precisions:
        for who in (who for who in makers if (who, how) != ("monai", "bf16")):
            ends[who, how], theirs = spawn.Pipe()
            spawn.Process(target=serve, args=(who, size, device, how, wall, theirs), daemon=True).start()
            theirs.close()

    def measured(key: tuple[str, str], kind: str, times: int) -> float:
        ends[key].send((kind, times))
        return float(ends[key].recv())

    told: dict[str, Any] = {"floor": limits}
    for kind, batch in (("fit", shape.fit_batch[device]), ("score", shape.score_batch[device])):
        for key in ends:
            measured(key, kind, 1)  # warms up
        times = {key: max(1, round(stretch_s / measured(key, kind, 1))) for key in ends}
        speeds: dict[tuple[str, str], list[float]] = {key: [] for key in ends}
        for _ in range(repeats):
            for key in ends:
                speeds[key].append(batch / measured(key, kind, times[key]))
        print(f"\n{'fit step' if kind == 'fit' else f'scoring, {PASSES} passes'}, batch {batch}: images/s")
        for (who, how), found in speeds.items():
            memory = measured((who, how), "memory", 0)
            print(f"  {who:<13}{how:<5}{_spread(found)}   peak {memory:.0f} MiB")
        told[kind] = {f"{who} {how}": found for (who, how), found in speeds.items()}
        best: dict[str, str] = {}
        for who, how in speeds:
            if who not in best or median(speeds[who, how]) > median(speeds[who, best[who]]):
                best[who] = how
        pairs = [((who, best[who]), ("anomae", best["anomae"])) for who in best if who != "anomae"]
        if "fp32" in precisions and best["anomae"] != "fp32":
            pairs += [((who, "fp32"), ("anomae", "fp32")) for who in best if who != "anomae"]
        for other, own in pairs:
            ratios = [one / two for one, two in zip(speeds[own], speeds[other], strict=True)]
            print(f"  ratio, {' '.join(own)} to {' '.join(other)}: {_spread(ratios)}", flush=True)
            told[kind][f"{' '.join(own)} / {' '.join(other)}"] = ratios
    for end in ends.values():
        end.send(None)
    return told


def _flops(shape: Shape) -> float:
    """Of the matrix products of one image's fit step."""
    import gpu  # here, so that the measured processes do not hold it

    counted = gpu.Shape(shape.side, shape.patch, (shape.encoder, shape.decoder), batch=1, matrix=0, stretch_s=0.0)
    return gpu.training_flops(counted)


def _spread(values: list[float]) -> str:
    return f"{median(values):9.2f}  ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=SHAPES, default="small")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--stretch", type=float, default=0.5, help="seconds of each measured stretch, about")
    parser.add_argument("--wall", action="store_true", help="the wall's seconds on a CPU too")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--without", nargs="*", choices=tuple(OTHERS), default=(), help="contenders to leave out")
    parser.add_argument("--json", type=Path, default=None, help="where all figures are to be written")
    arguments = parser.parse_args()
    show_machine()
    require("transformers", "benchmark")
    device = chosen_device(DeviceSettings(accelerator=arguments.device))
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    of = "wall" if arguments.wall or device == "cuda" else "processor"
    print(
        f"{arguments.size} on {where}, torch {torch.__version__}, {arguments.repeats} repeats, {of} seconds: "
        "median (min to max)"
    )
    told = compare(
        arguments.size,
        device,
        arguments.repeats,
        arguments.stretch,
        arguments.wall,
        arguments.precisions,
        arguments.without,
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
