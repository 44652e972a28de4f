"""The stage `fit`: a store of prepared slices to a fitted detector; goes on where an earlier fit stopped."""

import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from anomae.detectors.settings import MethodSettings
from anomae.errors import UserError
from anomae.files import write_json
from anomae.recipes.named import named_recipe, recipe_for
from anomae.recipes.overrides import overridden
from anomae.recipes.recipe import Profile
from anomae.runs.run import Run
from anomae.slices.store import SliceStore

VERSIONED = ("anomae", "torch", "lightning-fabric", "numpy", "scipy", "scikit-image")
# Where and how often to keep a checkpoint may change between two halves of one fit; all else may not.
CHANGEABLE = {"device"}


def fit(
    store: Path | str,
    run: Path | str,
    *,
    recipe: str | None = None,
    profile: Profile = "paper",
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    keep_cache: bool = False,
    shown: bool = True,
) -> Path:
    """Fit the paper's method on the healthy training slices of `store`; returns the folder of the fitted detector.

    recipe: a name in anomae.recipes.named.RECIPES; None: that of the store's cohort, else `small`.
    overrides: dotted setting -> value, as `--set` takes them.  A run that was stopped, at any moment and in any way,
    goes on to the same weights as if it had not been.

    Raises UserError where the store is not whole, the run was begun with other settings, or a setting does not exist.
    """
    opened, place = SliceStore(Path(store)), Run(Path(run))
    name = recipe or recipe_for(str(opened.prepared.get("cohort", "")))
    settings = overridden(named_recipe(name, profile, opened.image_size), overrides or {})
    facts = _facts(opened, name, profile, seed, settings)
    _begin(place, facts)
    if not place.is_fitted:
        _fit(opened, place, settings, seed, shown)
        if not keep_cache:
            shutil.rmtree(place.folder / "cache", ignore_errors=True)
    return place.fitted


def _fit(store: SliceStore, run: Run, settings: MethodSettings, seed: int, shown: bool) -> None:
    from anomae.detectors.pseudo_abnormal_classifier import PseudoAbnormalClassifier

    healthy = store.select(store.rows("train", label=0))
    rows = store.rows("validation")
    labels = store.index.label[rows]
    known = labels >= 0
    validation = (store.select(rows[known]), np.asarray(labels[known], dtype=np.int8))
    detector = PseudoAbnormalClassifier(settings)
    detector.fit(healthy, seed=seed, folder=run.folder, validation=validation, shown=shown)
    detector.save(run.fitted)
    write_json(run.fitted / "prepare.json", _preparation(store))
    write_json(run.fitted / "fitted.json", {"detector": detector.name, "training_slices": len(healthy), "seed": seed})


def _preparation(store: SliceStore) -> dict[str, Any]:
    """What new scans need to be prepared alike: no paths, no patients."""
    return {key: store.prepared.get(key) for key in ("cohort", "settings", "modality", "fingerprint")}


def _facts(store: SliceStore, recipe: str, profile: str, seed: int, settings: MethodSettings) -> dict[str, Any]:
    labelled = settings.classifier.choice == "validation_auroc"
    chosen = (
        "The checkpoint was chosen by its AUROC on labelled validation images: labels of abnormal images were seen."
        if labelled
        else "The last checkpoint was taken; training and this choice saw no abnormal image."
    )
    return {
        "store": str(store.folder.resolve()),
        "store_fingerprint": store.prepared.get("fingerprint"),
        "detector": "mae-classifier",
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
    changed = [key for key in ("store_fingerprint", "recipe", "profile", "seed") if earlier.get(key) != facts[key]]
    before, after = earlier["settings"], facts["settings"]
    changed += [part for part in after if part not in CHANGEABLE and before.get(part) != after[part]]
    if changed:
        raise UserError(
            f"{run.folder} was begun with other {', '.join(changed)}; name a new folder, or give the same again."
        )
