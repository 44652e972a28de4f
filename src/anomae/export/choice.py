"""Which engine scores: torch, or an exported model of the run that passed the parity gate; named where scores are."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import FittedDetector
from anomae.errors import UserError
from anomae.export.speeds import gain_over_torch
from anomae.files import read_json
from anomae.inference.decision import EXPORT_AGAIN
from anomae.inference.exported.detector import ExportedDetector, load_exported
from anomae.inference.exported.engines import ENGINES
from anomae.inference.exported.folder import CARD, CHECKSUMS, is_current, is_exported
from anomae.inference.fitted import fitted_folder, load_fitted
from anomae.progress import say
from anomae.runs.healthy_file import NAME as HEALTHY_SCORES
from anomae.suggestions import nearest_sentence
from anomae.training.settings import DeviceSettings

if TYPE_CHECKING:
    from anomae.export.traceable import Pretext

CHOICES = ("auto", "torch", *ENGINES.values())
KEPT_IN = "exported"  # of a run: exported models that scoring may use
Load = Callable[[Path, DeviceSettings | None], FittedDetector]


def engine_for(
    run: Path, engine: str, device: DeviceSettings | None, *, store: Path | None = None, pretext: bool = False
) -> Load | None:
    """What reads the detector that scores with `run`; None: torch, as it always was.

    engine: auto, torch, onnxruntime or openvino.  auto is the fastest of torch and the models in RUN/exported, as each
    export measured it beside torch; where there are none, or a GPU is to be used, torch.  One that has no thresholds
    for new scans, where torch has, is passed by.  An engine that is named and has no model there is exported first, in
    the precision of `device`, or fp32.  store: of the run, if it was moved.  pretext: the detector is to be asked about
    the pretext task too, as for a store, whose normal slices are scored with it.

    Raises UserError where there is no such engine, or `run` is an exported model of another one; and what `export`
    raises.
    """
    if engine not in CHOICES:
        raise UserError(f"There is no engine {engine!r}. {nearest_sentence(engine, CHOICES)}")
    if is_exported(run):
        return _of_exported(run, engine, pretext)
    if engine == "torch":
        return None
    precision = None if device is None or device.precision == "auto" else device.precision
    exported: ExportedDetector | None
    if engine == "auto":
        found = [card for card in _exported_of(run) if precision in (None, card[1]["precision"])]
        flags = not pretext and (fitted_folder(run) / HEALTHY_SCORES).exists()
        exported = None if not found or _wants_cuda(device) else _first_usable(found, device, flags)
        if exported is None:
            return None
    else:
        exported = load_exported(_named(run, engine, precision, store, device))
    return lambda fitted, _: _with_pretext(exported, fitted) if pretext else exported


def _of_exported(folder: Path, engine: str, pretext: bool) -> Load | None:
    own = read_json(folder / CARD)["engine"] if (folder / CARD).exists() else None
    if engine not in ("auto", own):
        raise UserError(
            f"{folder} was exported for {own}; score with --engine {own} or auto, or export the run for {engine}."
        )
    if pretext:
        raise UserError(f"{folder} is an exported model, which knows no store; name scans to score, or give the run.")
    return None  # load_fitted knows what to do with it


def _exported_of(run: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The models in RUN/exported that are whole, of the weights that the run has now, and whose engine is installed."""
    folders = sorted(path.parent for path in (run / KEPT_IN).glob(f"[!.]*/{CHECKSUMS}"))
    if not folders:
        return
    from anomae.export.export import model_of  # a second of imports that most scorings do not need

    models = [model_of(fitted_folder(run), with_features=earlier) for earlier in (False, True)]
    for folder in folders:
        card = read_json(folder / CARD) if (folder / CARD).exists() else {}
        if not is_current(card):
            say(f"{folder} is not whole, or was exported by another version, and is not used; remove it.")
            continue
        if card.get("model") not in models:
            say(f"{folder} was exported from other weights than the run has now, and is not used; remove it.")
        elif importlib.util.find_spec(card["engine"]) is not None:
            if "slices_per_s" not in card:  # exported before the clock was asked
                card["slices_per_s"] = {"torch fp32": card["slices_per_cpu_s"]["torch"], **card["slices_per_cpu_s"]}
            yield folder, card


def _named(run: Path, engine: str, precision: str | None, store: Path | None, device: DeviceSettings | None) -> Path:
    """The fastest model of this engine in RUN/exported, exported now where there is none."""
    to = next(name for name, runs in ENGINES.items() if runs == engine)

    def there() -> list[tuple[Path, dict[str, Any]]]:
        models = [card for card in _exported_of(run) if card[1]["engine"] == engine]
        return [card for card in models if precision in (None, card[1]["precision"])]

    if of_engine := there():
        return _by_speed(of_engine, device)[0][1]
    chosen = precision or "fp32"
    from anomae.export.export import Taken, export

    say(f"The run is exported for {engine} in {chosen} first, and compared with torch.")
    names = (f"{to}-{chosen}{f'-{number}' if number > 1 else ''}" for number in count(1))
    free = next(name for name in names if not (run / KEPT_IN / name).exists())
    try:
        return export(run, run / KEPT_IN / free, to=to, precision=chosen, store=store)
    except Taken:
        if of_engine := there():  # another process had the same wish, and was faster
            return _by_speed(of_engine, device)[0][1]
        raise


def _first_usable(
    found: list[tuple[Path, dict[str, Any]]], device: DeviceSettings | None, flags: bool
) -> ExportedDetector | None:
    """The fastest that can be loaded, those that cannot are named; None where torch is faster than what is left.

    flags: torch has thresholds, and what is to have its own and has none is named and passed by too.
    """
    for gain, folder in _by_speed(found, device):
        if gain <= 1:
            break
        try:
            exported = load_exported(folder)
        except UserError as error:
            say(f"{folder} is passed by: {error}")
            continue
        if not flags or exported.own_calibration is None or (folder / HEALTHY_SCORES).exists():
            return exported
        say(f"{folder} is passed by: it keeps no thresholds of its own, so it would flag nothing; {EXPORT_AGAIN}.")
    return None


def _by_speed(found: list[tuple[Path, dict[str, Any]]], device: DeviceSettings | None) -> list[tuple[float, Path]]:
    """How many times as fast as torch as it would score here, and which; the fastest first."""
    from anomae.training.devices import chosen_precision

    precision = chosen_precision(device or DeviceSettings(accelerator="cpu"))
    gains = ((gain_over_torch(card["slices_per_s"], precision), folder) for folder, card in found)
    return sorted(gains, reverse=True)


def _wants_cuda(device: DeviceSettings | None) -> bool:
    wanted = "auto" if device is None else device.accelerator
    if wanted != "auto" or importlib.util.find_spec("torch") is None:
        return wanted == "cuda"
    import torch

    return torch.cuda.is_available()


@dataclass(frozen=True, slots=True)
class _WithPretext:
    """An exported detector with the pretext task: lesions drawn by torch, judged by the engine."""

    exported: ExportedDetector
    fitted: Any
    task: "Pretext"

    def __getattr__(self, name: str) -> Any:
        """All else is the exported detector's."""
        return getattr(self.exported, name)

    @property
    def trained_families(self) -> tuple[str, ...]:
        """Those that it learned from."""
        families: tuple[str, ...] = self.fitted.trained_families
        return families

    def pretext(
        self, images: npt.NDArray[np.float32], neighbours: npt.NDArray[np.float32] | None = None
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Family of pseudo-lesions -> scores (n,) of healthy images (n, c, h, w) with one of it."""
        return self.task(self.exported, images, neighbours)


def _with_pretext(exported: ExportedDetector, fitted: Path) -> FittedDetector:
    from anomae.export.registry import traceable_of

    torch_fitted = load_fitted(fitted, DeviceSettings(accelerator="cpu", precision="fp32"))
    task = traceable_of(torch_fitted).pretext
    if task is None:
        return exported
    scored: Any = _WithPretext(exported, torch_fitted, task)
    return scored  # type: ignore[no-any-return]
