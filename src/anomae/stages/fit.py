"""The stage `fit`: a store of prepared slices to a fitted detector; goes on where an earlier fit stopped."""

import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from anomae.detectors.settings import MethodSettings
from anomae.errors import UserError
from anomae.files import write_json, written_whole
from anomae.recipes.detector_settings import ANOMAE, settings_for
from anomae.recipes.named import recipe_for
from anomae.recipes.overrides import overridden
from anomae.recipes.recipe import Profile
from anomae.runs.run import Run
from anomae.slices.store import SliceStore

VERSIONED = ("anomae", "torch", "lightning-fabric", "numpy", "scipy", "scikit-image")
# Where and how often to keep a checkpoint may change between two halves of one fit; all else may not.
CHANGEABLE = {"device"}
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
    detector: str = ANOMAE,
    recipe: str | None = None,
    profile: Profile = "paper",
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    autoencoder_of: Path | str | None = None,
    keep_cache: bool = False,
) -> Path:
    """Fit a detector on the healthy training slices of `store`; returns the folder of the fitted detector.

    detector: a name in anomae.detectors.DETECTORS; the paper's method is "mae-classifier".
    recipe: a name in anomae.recipes.named.RECIPES; None: that of the store's cohort, else `small`.
    overrides: dotted setting -> value, as `--set` takes them.  A run that was stopped, at any moment and in any way,
    goes on to the same weights as if it had not been.
    autoencoder_of: a run on the same store whose masked autoencoder, trained with the same settings and seed, is taken
    over with what it kept in its cache, in place of training another one that would come out the same.

    Raises UserError where the store is not whole, the run was begun with other settings, a setting does not exist, or
    the other run's masked autoencoder is not the one that these settings want.
    """
    opened, opened_run = SliceStore(Path(store)), Run(Path(run))
    name = recipe or recipe_for(str(opened.prepared.get("cohort", "")))
    settings = overridden(
        settings_for(detector, name, profile, opened.image_size, opened.aligned, opened.modality), overrides or {}
    )
    facts = _facts(opened, detector, name, profile, seed, settings)
    _begin(opened_run, facts)
    if not opened_run.is_fitted:
        if autoencoder_of is not None:
            take_over_autoencoder(Run(Path(autoencoder_of)), opened_run, facts)
        _fit(opened, opened_run, detector, settings, seed)
        if not keep_cache:
            shutil.rmtree(opened_run.folder / "cache", ignore_errors=True)
    return opened_run.fitted


def take_over_autoencoder(other: Run, run: Run, facts: Mapping[str, Any]) -> None:
    """Put the masked autoencoder of `other`, and its reconstructions, where `run` would have left its own.

    Raises UserError where it is not the one that `facts` (as in run.json) describe, or not trained to its end.
    """
    theirs = other.facts()
    alike = all(theirs.get(key) == facts[key] for key in ("store_fingerprint", "seed"))
    if not alike or theirs["settings"].get("autoencoder") != facts["settings"].get("autoencoder"):
        raise UserError(f"{other.folder} has a masked autoencoder of another store, seed or settings; train one.")
    if not other.is_fitted:
        raise UserError(f"{other.folder} is not fitted yet; run `anomae fit` (again) to finish it.")
    for file in (other.folder / part for part in OF_AUTOENCODER):
        copy = run.folder / file.relative_to(other.folder)
        if file.exists() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(copy) as temporary:
                shutil.copyfile(file, temporary)


def _fit(store: SliceStore, run: Run, name: str, settings: BaseModel, seed: int) -> None:
    from anomae.detectors.registry import make_detector

    healthy = store.select(store.rows("train", label=0))
    labelled: dict[str, Any] = {}
    if chooses_by_labels(settings):
        rows = store.rows("validation")
        known = rows[store.index.label[rows] >= 0]
        labelled = {"validation": (store.select(known), np.asarray(store.index.label[known], dtype=np.int8))}
    detector = make_detector(name, settings)
    detector.fit(healthy, seed=seed, folder=run.folder, **labelled)
    detector.save(run.fitted)
    write_json(run.fitted / "prepare.json", _preparation(store))
    write_json(run.fitted / "fitted.json", {"detector": detector.name, "training_slices": len(healthy), "seed": seed})


def _preparation(store: SliceStore) -> dict[str, Any]:
    """What new scans need to be prepared alike: no paths, no patients."""
    kept = ("cohort", "kind", "channel_names", "settings", "modality", "fingerprint")
    return {key: store.prepared.get(key) for key in kept}


def chooses_by_labels(settings: BaseModel) -> bool:
    """Whether labelled validation images choose the checkpoint (profile `released` of the paper's method only)."""
    return isinstance(settings, MethodSettings) and settings.classifier.choice == "validation_auroc"


def _facts(
    store: SliceStore, detector: str, recipe: str, profile: str, seed: int, settings: BaseModel
) -> dict[str, Any]:
    chosen = (
        "The checkpoint was chosen by its AUROC on labelled validation images: labels of abnormal images were seen."
        if chooses_by_labels(settings)
        else "The last checkpoint was taken; training and this choice saw no abnormal image."
    )
    return {
        "store": str(store.folder.resolve()),
        "store_fingerprint": store.prepared.get("fingerprint"),
        "detector": detector,
        "recipe": recipe,
        "profile": profile,
        "seed": seed,
        "checkpoint_choice": chosen,
        "settings": settings.model_dump(mode="json"),
        "versions": {"python": platform.python_version(), **{package: version(package) for package in VERSIONED}},
    }


def _begin(run: Run, facts: dict[str, Any]) -> None:
    """Write run.json, or check that an earlier one says the same."""
    if not (run.folder / "run.json").exists():
        if run.folder.exists() and any(run.folder.iterdir()):
            raise UserError(f"{run.folder} is not empty and is not a run; name a new folder.")
        write_json(run.folder / "run.json", facts)
        return
    earlier = run.facts()
    changed = [
        key for key in ("store_fingerprint", "detector", "recipe", "profile", "seed") if earlier.get(key) != facts[key]
    ]
    before, after = earlier["settings"], facts["settings"]
    changed += [part for part in after if part not in CHANGEABLE and before.get(part) != after[part]]
    if changed:
        raise UserError(
            f"{run.folder} was begun with other {', '.join(changed)}; name a new folder, or give the same again."
        )
