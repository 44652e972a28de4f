"""Where the processor time of `make demo` goes: the cost of a unit of each part, times how many there are.

    python benchmarks/demo_time.py [--pictures 24] [--folder F]

A part's unit is a picture prepared, a sample of the pool, a step of a head, a slice scored.  Each is measured on few
(the demo's pictures where they are installed, else noise), in processor seconds of one thread, and multiplied by the
number that the demo has of them.  Not counted: imports, near-duplicates, `evaluate` and the pictures of the report,
which are no multiples of a unit; they are what the whole, `time anomae demo`, has beside.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anomae.detectors.anomae.fitted import FittedAnomae
from anomae.detectors.anomae.fitting import evidences_of, fit_parts, measured
from anomae.detectors.anomae.heads import build_heads, train_head
from anomae.detectors.anomae.neighbours import read_seen
from anomae.detectors.anomae.pool import make_pool
from anomae.detectors.anomae.samples import altered_by, families_of, make_samples
from anomae.detectors.inference import in_use
from anomae.detectors.method import Situation
from anomae.detectors.registry import DETECTORS
from anomae.recipes.overrides import overridden
from anomae.runs.pretext import MOST_ALTERED, MOST_SLICES
from anomae.slices.store import Slices
from anomae.stages.demo import CLASSES, PICTURES_DETECTOR, PICTURES_FIT, PICTURES_PREPARED, installed_pictures
from anomae.stages.prepare import prepare
from anomae.training.allocator import keep_freed_memory
from anomae.training.devices import make_fabric
from machine import show_machine

# Of the demo's 3,000 pictures: healthy to learn from, healthy of the validation split, to be scored.
TRAINED, VALIDATION, SCORED = 781, 561, 1656
FEW = 64
NAMED: dict[str, Any] = {"name": "head", "seed": 0}


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, and what it gave."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def prepared_seconds(folder: Path, count: int) -> float:
    """A picture prepared as the demo has it, without what a preparation costs once; 0 where none are installed."""
    if (source := installed_pictures()) is None:
        return 0.0
    taken: list[float] = []
    options: dict[str, Any] = {"settings": PICTURES_PREPARED, "workers": 0}
    for few in (12, 12 + count):  # with fewer there is nothing to split
        of_few = folder / f"pictures-{few}"
        for name in CLASSES:
            (of_few / "pictures" / name).mkdir(parents=True)
            for picture in sorted((source / name).glob("*.jpg"))[: few // 2]:
                shutil.copy(picture, of_few / "pictures" / name)
        taken.append(spent(partial(prepare, "folder", of_few / "pictures", of_few / "store", **options))[0])
    return (taken[1] - taken[0]) / count


def distilled(settings: Any, healthy: Slices, folder: Path, pretext: int) -> list[tuple[str, float, int]]:
    """The parts of RD4AD: the teacher's features, steps, slices scored, those of the pretext task too."""
    taken_by: list[float] = []
    for few in (2, 12):
        training = settings.training.model_copy(update={"steps": few})
        detector = DETECTORS["rd4ad"].detector(settings.model_copy(update={"training": training}))
        taken, fitted = spent(partial(detector.fit, healthy, seed=0, folder=folder / f"rd4ad-{few}"))
        taken_by.append(taken)
    step = (taken_by[1] - taken_by[0]) / 10
    images = healthy.read(slice(None))
    levels, _ = spent(
        lambda: [fitted.teacher.levels(torch.from_numpy(images[at : at + 16])) for at in range(0, FEW, 16)]
    )
    inspected, _ = spent(lambda: fitted.inspect(images))
    return [
        ("rd4ad: features of healthy images", levels / FEW, TRAINED),
        ("rd4ad: steps", step, settings.training.steps),
        ("rd4ad: slices scored", inspected / FEW, SCORED + VALIDATION + pretext),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=24, help="how many are prepared")
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    show_machine()
    keep_freed_memory()  # as the command line does
    method = DETECTORS[PICTURES_DETECTOR]
    side = PICTURES_PREPARED.image_size
    whole: Any = overridden(method.settings(Situation("demo", "paper", side, 1, False, None)), PICTURES_FIT)
    settings = whole.of("anomae")
    steps = settings.head.training.steps
    families = families_of(settings.lesions, every=True)
    pretext = min(MOST_SLICES, MOST_ALTERED // len(families), VALIDATION)
    lines: list[tuple[str, float, int]] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as made:
        folder = Path(made)
        lines.append(("pictures prepared", prepared_seconds(folder, arguments.pictures), 3000))
        healthy = Slices(np.random.default_rng(0).random((FEW, 1, *side), dtype=np.float32))
        fabric = make_fabric(settings.device)
        parts = fit_parts(settings, healthy, 0, folder, fabric)
        with in_use(settings.device) as device:
            bare = evidences_of(settings, healthy.image_size, parts, device)
            evidences = measured(bare, healthy, parts)  # warms up
            taken, _ = spent(lambda: measured(bare, healthy, parts))
            lines.append(("healthy images measured", taken / FEW, min(256, TRAINED)))
            seen = read_seen(healthy, parts.window, np.arange(FEW), False)
            drawing = torch.Generator().manual_seed(0)
            taken, _ = spent(lambda: make_samples(seen, settings.lesions, drawing))
            lines.append(("pool: pseudo-lesions drawn", taken / FEW, settings.pool))
            taken, pool = spent(
                lambda: make_pool(
                    folder / "pool",
                    FEW,
                    lambda rows: read_seen(healthy, parts.window, rows, False),
                    FEW,
                    evidences,
                    settings.lesions,
                    0,
                )
            )
            lines.append(("pool: evidence and writing", taken / FEW - lines[-1][1], settings.pool))
        heads = build_heads(settings, evidences, [int(array.shape[1]) for array in pool.evidence], 0)
        taken_by: list[float] = []
        for few in (2, 12):  # the difference is of ten steps, without what a training costs once
            training = settings.head.training.model_copy(update={"steps": few, "warmup_steps": 1})
            short, kept = settings.head.model_copy(update={"training": training}), folder / f"steps-{few}"
            taken, _ = spent(partial(train_head, settings.device, heads[0][0], pool, 0, short, folder=kept, **NAMED))
            taken_by.append(taken)
        lines.append(("steps of the heads", (taken_by[1] - taken_by[0]) / 10, steps * settings.heads))
        for of_size in heads:
            for head in of_size:
                head.eval()
        fitted = FittedAnomae(settings, 0, side, 1, parts, tuple(evidences), heads)
        images = healthy.read(slice(None))
        fitted.inspect(images[:16])  # warms up
        taken, _ = spent(lambda: fitted.inspect(images))
        altered = [spent(partial(altered_by, seen, name, drawing))[0] for name in families]
        scored = SCORED + VALIDATION
        lines.append(("slices scored by anomae", taken / FEW, scored))
        both = taken / FEW + sum(altered) / len(families) / FEW
        lines.append(("pretext task: drawn and scored", both, pretext * (1 + len(families))))
        lines += distilled(whole.of("rd4ad"), healthy, folder, pretext * (1 + len(families)))
    everything = sum(each * count for _, each, count in lines)
    print(f"{'part':<34}{'ms a unit':>11}{'units':>8}{'s':>8}{'share':>8}")
    for name, each, count in lines:
        print(f"{name:<34}{1000 * each:>11.2f}{count:>8}{each * count:>8.0f}{each * count / everything:>8.0%}")
    print(f"{'together':<34}{'':>11}{'':>8}{everything:>8.0f}")


if __name__ == "__main__":
    main()
