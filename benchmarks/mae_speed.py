"""Our masked autoencoder against the one in transformers: fit step and scoring, in turn, in one run.

    python benchmarks/mae_speed.py [--size small|vit-base-224] [--repeats 5] [--device auto|cpu|cuda]

Both have the same shape, get the same images, and are tried in fp32 and in bf16 (autocast).  A fit step is what
anomae's training does: masks drawn, forward, eq. (1), backward, AdamW (fused, for both).  Scoring is the
reconstruction of the paper: four passes in one batch, originals pasted, averaged.  Each runs in a process of its own,
set up as its users have it (anomae's keeps freed memory), and only one of them at a time.  Needs the extra `benchmark`.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
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
from anomae.training.devices import chosen_device, make_fabric
from anomae.training.settings import DeviceSettings

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
    "vit-base-224": Shape(224, 16, *SIZES["base"], {"cpu": 4, "cuda": 128}, {"cpu": 2, "cuda": 64}),
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


def made_up_images(shape: Shape, device: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    sizes = {"fit": shape.fit_batch[device], "score": shape.score_batch[device]}
    return {kind: torch.rand(size, 1, shape.side, shape.side, generator=generator) for kind, size in sizes.items()}


def seconds(work: Work, times: int, device: str) -> float:
    """Per turn, over `times` turns."""
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        work()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / times


MAKERS = {"anomae": our_works, "transformers": their_works}


def serve(who: str, size: str, device: str, precision: str, asked: Connection) -> None:
    """In a process of its own: do what is asked for, (kind, times), and answer with the seconds per turn."""
    works = MAKERS[who](SHAPES[size], device, precision)
    while (order := asked.recv()) is not None:
        kind, times = order
        asked.send(seconds(works[kind], times, device))


def compare(size: str, device: str, repeats: int, stretch_s: float) -> None:
    """Measure all in turn, and print the two tables."""
    shape, spawn = SHAPES[size], get_context("spawn")
    ends: dict[tuple[str, str], Connection] = {}
    for how in PRECISIONS:
        for who in MAKERS:
            ends[who, how], theirs = spawn.Pipe()
            spawn.Process(target=serve, args=(who, size, device, how, theirs), daemon=True).start()

    def measured(key: tuple[str, str], kind: str, times: int) -> float:
        ends[key].send((kind, times))
        return float(ends[key].recv())

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
            print(f"  {who:<13}{how:<5}{_spread(found)}")
        best = {who: max(PRECISIONS, key=lambda how, who=who: median(speeds[who, how])) for who in MAKERS}
        ours, theirs_best = (speeds[who, best[who]] for who in MAKERS)
        ratios = [one / other for one, other in zip(ours, theirs_best, strict=True)]
        print(f"  ratio, anomae {best['anomae']} to transformers {best['transformers']}: {_spread(ratios)}", flush=True)
    for end in ends.values():
        end.send(None)


def _spread(values: list[float]) -> str:
    return f"{median(values):9.2f}  ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=SHAPES, default="small")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--stretch", type=float, default=0.5, help="seconds of each measured stretch, about")
    arguments = parser.parse_args()
    require("transformers", "benchmark")
    device = chosen_device(DeviceSettings(accelerator=arguments.device))
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{arguments.size} on {where}, torch {torch.__version__}, {arguments.repeats} repeats: median (min to max)")
    compare(arguments.size, device, arguments.repeats, arguments.stretch)


if __name__ == "__main__":
    main()
