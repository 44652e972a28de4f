"""The stage `fit`: a store of prepared slices to a fitted detector; goes on where an earlier fit stopped."""

import platform
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from anomae.detectors.method import DEFAULT, Profile, Situation
from anomae.detectors.protocol import Detector, FittedDetector
from anomae.detectors.registry import load_detector, method_named, told_of
from anomae.errors import UserError
from anomae.files import copy_file, write_json, written_whole
from anomae.inference.store_reference import store_reference
from anomae.locks import locked
from anomae.progress import say
from anomae.recipes.overrides import overridden
from anomae.runs.begun import begin, refuse_other
from anomae.runs.calibrate import calibrate, device_of
from anomae.runs.model_fingerprint import REFERENCE
from anomae.runs.reference_file import write_reference
from anomae.runs.refused import nothing_left_of_a_refusal
from anomae.runs.run import Run
from anomae.slices.store import SliceStore
from anomae.training.leading import leads, meet

VERSIONED = ("anomae", "torch", "lightning-fabric", "numpy", "scipy")
# What a run keeps of its masked autoencoder.
OF_AUTOENCODER = (
    "checkpoints/autoencoder.safetensors",
    "cache/reconstructions.npy",
    "cache/second reconstructions.npy",
)


def fit(
    store: Path | str,
    run: Path | str,
    *,
    detector: str = DEFAULT,
    recipe: str | None = None,
    profile: Profile = "paper",
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    autoencoder_of: Path | str | None = None,
    keep_cache: bool = False,
) -> Path:
    """Fit a detector on the healthy training slices of `store`; returns the folder of the fitted detector.

    detector: a name in anomae.detectors.DETECTORS, or any class as "module:Class"; the paper's method is
    "mae-classifier".  recipe: a name in anomae.detectors.mae_classifier.recipes.RECIPES; None: that of the store's
    cohort, else `small`.
    overrides: dotted setting -> value, as `--set` takes them.  A run that was stopped, at any moment and in any way,
    goes on to the same weights as if it had not been.
    autoencoder_of: a run on the same store whose masked autoencoder, trained with the same settings and seed, is taken
    over with what it kept in its cache, in place of training another one that would come out the same.
    keep_cache: leave RUN/cache; without it what is there is removed, of a run that was fitted before too.

    Raises UserError where the store is not whole, the run was begun with other settings, another process is writing it,
    a setting does not exist, or the other run's masked autoencoder is not the one that these settings want; and where a
    fit that was stopped would go on in another precision or on other numbers of devices or nodes.
    """
    if not isinstance(overrides, Mapping | None):
        raise UserError(f"overrides are a dictionary, setting -> value, not {overrides!r}.")
    opened, opened_run = SliceStore(store), Run(Path(run))
    name = recipe or opened.recipe
    method = method_named(detector)
    settings = overridden(method.settings(situation_of(opened, name, profile)), overrides or {})
    made, computed = method.detector(settings), _computed(settings)
    leading = leads(computed)
    facts = {
        "store": str(opened.folder.resolve()),
        "store_fingerprint": opened.prepared.get("fingerprint"),
        "detector": method.name,
        "asked": detector,
        "recipe": name,
        "profile": profile,
        "seed": seed,
        "checkpoint_choice": _choice(made),
        "settings": settings.model_dump(mode="json"),
        "computed": computed,
        **_left_out(opened),
        "versions": {"python": platform.python_version(), **{package: version(package) for package in VERSIONED}},
    }
    refuse_other(opened_run, facts)
    if not opened_run.is_fitted:
        with locked(opened_run.folder) if leading else nullcontext():  # of several processes the first holds the lock
            if leading:
                opened_run.remove_unfinished()
            new = begin(opened_run, facts)
            if autoencoder_of is not None:
                take_over_autoencoder(Run(Path(autoencoder_of)), opened_run, facts)
            if not opened_run.is_fitted:  # by another process, in between
                with nothing_left_of_a_refusal(opened_run, new):
                    _fit(opened, opened_run, made, detector, seed, leading)
    if leading:
        with locked(opened_run.folder):
            opened_run.remove_unfinished()
            if not keep_cache:  # also where a fit was killed before it came here
                for cache in (opened_run.folder / "cache", *opened_run.folder.glob("members/*/cache")):
                    shutil.rmtree(cache, ignore_errors=True)
            _keep_beside(opened, opened_run)
    return opened_run.fitted


def situation_of(store: SliceStore, recipe: str, profile: Profile = "paper") -> Situation:
    """What a method's recipe may look at where it is fitted on `store`."""
    return Situation(recipe, profile, store.image_size, store.channels, store.aligned, store.modality)


def take_over_autoencoder(other: Run, run: Run, facts: Mapping[str, Any]) -> None:
    """Put the masked autoencoder of `other`, and its reconstructions, where `run` would have left its own.

    Raises UserError where it is not the one that `facts` (as in run.json) describe, or not trained to its end.
    """
    theirs = other.facts()
    alike = all(theirs.get(key) == facts.get(key) for key in ("store_fingerprint", "seed", "left_out"))
    if not alike or theirs["settings"].get("autoencoder") != facts["settings"].get("autoencoder"):
        raise UserError(f"{other.folder} has a masked autoencoder of another store, seed or settings; train one.")
    if not other.is_fitted:
        raise UserError(f"{other.folder} is not fitted yet; run `anomae fit` (again) to finish it.")
    for file in (other.folder / part for part in OF_AUTOENCODER):
        copy = run.folder / file.relative_to(other.folder)
        if file.exists() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(copy) as temporary:
                copy_file(file, temporary)


def _fit(store: SliceStore, run: Run, detector: Detector, asked: str, seed: int, leading: bool) -> None:
    """Fit and save; asked: the name by which scoring finds the class again.  leading: see `leads`."""
    healthy = store.select(store.learnable("train"))
    if len(healthy) == 0:
        raise UserError(f"There is no healthy slice to learn from in the train split of {store.folder}.")
    if leading:
        _say_marks(store)
    labelled: dict[str, Any] = {}
    if _chooses_by_labels(detector):
        rows = store.rows("validation")
        known = rows[store.index.label[rows] >= 0]
        labelled = {"validation": (store.select(known), np.asarray(store.index.label[known], dtype=np.int8))}
    with told_of(asked, detector.name):
        fitted = detector.fit(healthy, seed=seed, folder=run.folder, **labelled)
    if leading:  # others may hold other statistics of batches, and the last to write would have had its own
        _write(fitted, store, run, asked, len(healthy), seed)
    meet()


def _left_out(store: SliceStore) -> dict[str, dict[str, int]]:
    """How many healthy slices are neither learned from nor in thresholds, by split; {} where nothing is ignored."""
    counts = {name: len(store.rows(name, label=0)) - len(store.learnable(name)) for name in ("train", "validation")}
    return {"left_out": counts} if any(counts.values()) else {}


def _say_marks(store: SliceStore) -> None:
    """Say what becomes of healthy slices with a region that is not to be judged."""
    if store.marks_are_usual:
        say(
            "Most healthy slices show a region that is not to be judged (ignore): it is taken for what all images have "
            "(a ruler), learned, and counts in thresholds as healthy."
        )
    elif left_out := _left_out(store).get("left_out"):
        counts = " and ".join(
            f"{count} of {len(store.rows(name, label=0))} healthy slices of the {name} split"
            for name, count in left_out.items()
        )
        say(f"{counts} show a region that is not to be judged (ignore); none is learned from or counts in thresholds.")


def _write(fitted: FittedDetector, store: SliceStore, run: Run, asked: str, count: int, seed: int) -> None:
    run.fitted.mkdir(parents=True, exist_ok=True)
    fitted.save(run.fitted)
    write_json(run.fitted / "prepare.json", _preparation(store))
    facts = {"detector": fitted.name, "asked": asked, "training_slices": count, "seed": seed}
    write_json(run.fitted / "fitted.json", facts)


def _preparation(store: SliceStore) -> dict[str, Any]:
    """What new scans need to be prepared alike: no paths, no patients."""
    kept = ("cohort", "kind", "channel_names", "settings", "modality", "fingerprint")
    return {key: store.prepared.get(key) for key in kept}


def _keep_beside(store: SliceStore, run: Run) -> None:
    """What a copy of the fitted folder needs to decide: what it was made for, and what healthy people score."""
    from anomae.training.devices import computed_on

    if not (run.fitted / REFERENCE).exists():
        reference = store_reference(store)
        write_reference(run.fitted, reference.to_json(), reference.arrays())
    device = device_of(run.facts())
    calibrate(lambda: load_detector(run.fitted, device), store, run, levels=True, computed_on=computed_on(device))


def _chooses_by_labels(detector: Detector) -> bool:
    """Whether it wants labelled validation images: anomae.detectors.protocol.LabelledValidation."""
    asks = getattr(detector, "chooses_by_labels", None)
    return bool(asks is not None and asks())


def _choice(detector: Detector) -> str:
    if _chooses_by_labels(detector):
        chosen_by = "its AUROC on labelled validation images: labels of abnormal images were seen"
        return f"The checkpoint was chosen by {chosen_by}."
    return "The last checkpoint was taken; training and this choice saw no abnormal image."


def _computed(settings: Any) -> dict[str, Any]:
    """In which precision, really, and on how many devices and nodes a fit computes; {} where its method has no say."""
    from anomae.training.devices import chosen_precision

    device = getattr(settings, "device", None)
    if device is None:
        return {}
    return {"precision": chosen_precision(device), "devices": device.devices, "nodes": device.nodes}
