"""A run exported: networks written, compared with torch, and kept only where both say the same."""

import errno
import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomae import processor
from anomae.detectors.protocol import with_neighbours
from anomae.errors import UserError
from anomae.export.calibrated import own_calibration
from anomae.export.card import write_card
from anomae.export.carried import carry_over
from anomae.export.held_back import LEARNED_SPLIT, HeldBack, held_back, store_at_hand
from anomae.extras import require
from anomae.files import read_json
from anomae.inference.exported.detector import ExportedDetector, opened
from anomae.inference.exported.engines import ENGINES, EXTRAS, multiplies_bf16
from anomae.inference.exported.folder import HEALTHY, is_exported, write_checksums
from anomae.inference.fitted import fitted_folder, load_fitted
from anomae.progress import progress
from anomae.runs.healthy_file import NAME as HEALTHY_SCORES
from anomae.runs.healthy_file import write_healthy_scores
from anomae.runs.model_fingerprint import BESIDE, REFERENCE_FEATURES, files_of_model
from anomae.training.settings import DeviceSettings

if TYPE_CHECKING:
    from anomae.export.traceable import Traceable


PRECISIONS = {"onnx": ("fp32", "int8"), "openvino": ("fp32", "bf16", "int8")}
FEW, TIMED = 32, 64


class Taken(UserError):
    """The folder that a model was to be exported into holds something already."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is there already; name a new folder for the exported model.")


def export(run: Path | str, out: Path | str, *, to: str, precision: str = "fp32", store: Path | None = None) -> Path:
    """Write the fitted detector of a run as networks for another engine into the new folder `out`; returns it.

    run: a run, or a copy of its fitted folder.  to: onnx or openvino.  precision: fp32, int8, or bf16 for OpenVINO.
    store: of the run, if it was moved.  The folder appears whole, or not at all.  Raises UserError where the detector
    cannot be exported, Taken where `out` holds something, before or afterwards, NoParity where the exported model does
    not say what torch says, MissingExtra where the engine is not installed.  In bf16 and int8 its thresholds come from
    its own scores of the normal validation slices; without the store it has none.
    """
    from anomae.export.registry import traceable_of

    _refuse_unknown(to, precision)
    source, target = Path(run), Path(out)
    if is_exported(source):
        raise UserError(f"{source} is an exported model already; export the run that it was made from.")
    fitted_in = fitted_folder(source)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Taken(target)
    fitted = load_fitted(fitted_in, DeviceSettings(accelerator="cpu", precision="fp32"))
    traced = with_shape(traceable_of(fitted), fitted_in)
    computed = {network.computed_in.get(precision, precision) for network in traced.networks.values()}
    if precision != "fp32" and precision not in computed:
        raise UserError(
            f"The detector {fitted.name} has nothing that could be computed in {precision}; export in fp32."
        )
    shape = (traced.facts["channels"], traced.facts["image_size"])
    slices = held_back(source, *shape, store)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".part-{secrets.token_hex(8)}-{target.name}")
    made.mkdir()
    try:
        learned = None
        if precision == "int8":
            learned = held_back(source, *shape, store, split=LEARNED_SPLIT)
        card = write_compared(fitted, traced, slices, made, to, precision, learned, _in_bf16(fitted_in))
        write_card(made, {**card, HEALTHY: _carry(source, fitted_in, made, card, store)})
        write_checksums(made)
        try:
            made.rename(target)  # onto an empty folder too
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise Taken(target) from error  # by another process, meanwhile
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target


def write_compared(
    fitted: Any,
    traced: "Traceable",
    slices: HeldBack,
    folder: Path,
    to: str,
    precision: str,
    learned: HeldBack | None = None,
    also: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Networks in `folder`, once they are seen to say what torch says on `slices`; returns the card.

    fitted: in fp32.  learned: of the training split, for the ranges of int8.  also: precision -> the detector in torch
    in it, whose speed is measured too.  Raises NoParity or EngineFailed.
    """
    from anomae.export.card import card_of, some_in_bf16
    from anomae.export.joined import joined
    from anomae.export.parity import differences, ranks_alike, refuse_different, same_at_every_batch
    from anomae.export.speeds import speeds
    from anomae.export.writing import write_network

    fp32 = ("fp32",) if some_in_bf16(to, precision) else ("fp32", "bf16")
    traced = joined(traced, lambda network: network.computed_in.get(precision, precision) in fp32)
    with progress("export", len(traced.networks) + 2, "steps") as bar, tempfile.TemporaryDirectory() as kept:
        networks = {}
        for name, network in traced.networks.items():
            networks[name] = write_network(network, Path(kept), folder, name, to, precision)
            bar.advance()
        card = card_of(fitted, traced, networks, to, precision)
        at_any = opened(folder, card, any_batch=True, precision="fp32")
        parity: dict[str, Any] = {"source": slices.source, "fp32": same_at_every_batch(fitted, at_any, slices)}
        bar.advance()
        in_use = opened(folder, card, precision="fp32")
        few = _first(fitted, slices, FEW)
        refuse_different(differences(fitted.inspect(*few), in_use.inspect(*few)), f"in batches of {card['batch']}")
        if precision != "fp32":
            if learned is not None:
                _quantise(traced, in_use, learned, Path(kept), folder, to)
                card["quantised_on"] = learned.source
            in_use = opened(folder, card)
            parity[precision] = ranks_alike(fitted, in_use, slices, traced.pretext)
        by_torch = {"fp32": fitted, **(also or {})}
        card |= {"parity": parity, "slices_per_s": speeds(by_torch, in_use, _first(fitted, slices, TIMED))}
        bar.advance()
    return {**card, **traced.facts}


def _carry(run: Path, fitted: Path, folder: Path, card: Mapping[str, Any], store: Path | None) -> dict[str, str]:
    """What lies beside the weights of a run to its exported model in `folder`; whose healthy scores these are."""
    if card["precision"] == "fp32":
        carry_over(fitted, run / "calibration", folder)
        kept = (folder / HEALTHY_SCORES).exists()
        return {"of": "torch"} if kept else {"of": "none", "why": "the run keeps no scores of healthy people"}
    with tempfile.TemporaryDirectory() as scored:
        opened_store = store_at_hand(run, store)
        own = None
        if opened_store is not None:
            own = own_calibration(opened(folder, card), run, opened_store, Path(scored))
        carry_over(fitted, Path(scored) / "calibration", folder, but=[HEALTHY_SCORES])
    if own is not None:
        write_healthy_scores(folder, own)
        return {"of": "this model"}
    gone = "the run's store was not at hand" if opened_store is None else "the store has no normal validation slice"
    return {"of": "none", "why": gone}


def _first(fitted: Any, slices: HeldBack, count: int) -> tuple[Any, ...]:
    return with_neighbours(fitted, slices.images[:count], lambda: slices.neighbours[:count])


def _quantise(
    traced: "Traceable", exported: ExportedDetector, learned: HeldBack, kept: Path, folder: Path, to: str
) -> None:
    from anomae.export.quantising import quantise, recorded
    from anomae.export.writing import written_for

    names = [name for name, facts in exported.card["networks"].items() if facts["computed"] == "int8"]
    for name, given in recorded(exported, learned, names).items():
        quantise(traced.networks[name], kept / f"{name}.onnx", given)
        written_for(kept / f"{name}.onnx", folder, to)


def _in_bf16(fitted: Path) -> dict[str, Any]:
    """The detector as torch scores with it here in bf16, where that is not imitated."""
    if not processor.has_bf16():
        return {}
    return {"bf16": load_fitted(fitted, DeviceSettings(accelerator="cpu", precision="bf16"))}


def with_shape(traced: "Traceable", fitted: Path) -> "Traceable":
    """The same with the images' channels and (h, w), which every detector of ours keeps in settings.json."""
    content = read_json(fitted / "settings.json")
    height, width = content["image_size"]
    facts = {"channels": int(content["channels"]), "image_size": (height, width), "model": model_of(fitted)}
    return replace(traced, facts=facts)


def model_of(fitted: Path, *, with_features: bool = False) -> str:
    """A text that depends on the weights and settings in a fitted folder alone, and not on what else is put there.

    with_features: and on the features of the training scans, as earlier versions had it.
    """
    seen = hashlib.sha256()
    for path in files_of_model(fitted):
        beside = path.name in BESIDE and not (with_features and path.name == REFERENCE_FEATURES)
        if not beside and (path.suffix != ".json" or path.name == "settings.json"):
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            seen.update(f"{path.relative_to(fitted).as_posix()} {digest}\n".encode())
    return seen.hexdigest()


def _refuse_unknown(to: str, precision: str) -> None:
    if to not in PRECISIONS:
        raise UserError(f"--to is {to!r}; a run is exported to {' or '.join(PRECISIONS)}.")
    if precision not in PRECISIONS[to]:
        raise UserError(f"There is no --precision {precision} for {to}; it is {' or '.join(PRECISIONS[to])}.")
    require(ENGINES[to], EXTRAS[ENGINES[to]])
    if precision == "int8":
        require("onnxruntime", "onnx")  # which quantises, whatever the engine
    if precision == "bf16" and not multiplies_bf16():
        raise UserError("This processor has no bf16, so its agreement cannot be measured here; export in fp32.")
