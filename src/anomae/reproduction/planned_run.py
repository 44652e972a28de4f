"""One run of a reproduction: its settings at a scale; fitted, scored and evaluated, each unless it is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomae.detectors.method import PAPERS, Profile, Scale
from anomae.detectors.registry import method_named
from anomae.errors import AnomaeError, UserError
from anomae.files import read_json
from anomae.nested import flat_settings
from anomae.recipes.overrides import layered, overridden
from anomae.reproduction.cells import METHOD_RUN, PlannedRun
from anomae.runs.begun import CHANGEABLE
from anomae.runs.run import Run
from anomae.slices.store import SliceStore
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit, situation_of
from anomae.stages.score import score
from anomae.statistics.neighbours import ALONE

Overrides = Mapping[str, Mapping[str, Any]]
TESTED = "test"  # the split that all figures of a reproduction are of


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a planned run is fitted with: all settings, what `fit` takes to have them: overrides, seed and profile."""

    settings: Any
    overrides: Mapping[str, Any]
    seed: int
    profile: Profile = "paper"


def wanted_of(run: PlannedRun, scale: Scale, recipe: str, store: SliceStore, overrides: Overrides, seed: int) -> Wanted:
    """What a run is fitted with.

    recipe: of the paper's method at this scale.  store: what it learns from.  overrides: detector -> settings of all
    its runs.  seed: of runs that have none of their own.
    Raises UserError where a setting does not exist or hold.
    """
    given = layered(layered(overrides.get(run.detector, {}), run.overrides), run.by_scale.get(scale, {}))
    situation = situation_of(store, recipe, run.profile)
    if run.sources:
        given["sources"] = tuple(name for name in run.sources if situation.aligned or name != "mirror")
    settings = overridden(method_named(run.detector).settings(situation), given)
    if run.length != 1.0 and run.detector == PAPERS:
        given = layered(given, _shortened(settings, run.length))
        settings = overridden(settings, given)
    return Wanted(settings, given, seed if run.seed is None else run.seed, run.profile)


def refuse_several_devices(runs: Sequence[PlannedRun], wanted: Mapping[str, Wanted]) -> None:
    """Raises UserError where a run is to be fitted on several devices: each begins the whole command anew."""
    for run in runs:
        for key, value in flat_settings(wanted[run.name].settings.model_dump(mode="json")):
            if f".{key}".endswith((".device.devices", ".device.nodes")) and isinstance(value, int) and value > 1:
                raise UserError(
                    f"`anomae reproduce` fits on one device, not with {run.detector}.{key}={value}: leave that out, or "
                    "fit the run by itself with `anomae fit --devices`."
                )


def chosen_by_labels(runs: Sequence[PlannedRun], wanted: Mapping[str, Wanted]) -> list[str]:
    """The runs, by what pages call them, whose checkpoint labels of validation slices choose."""
    found = []
    for run in runs:
        kind: Any = method_named(run.detector).detector
        if hasattr(kind, "chooses_by_labels") and kind(wanted[run.name].settings).chooses_by_labels():
            found.append(run.title or run.name)
    return found


def _shortened(settings: Any, length: float) -> dict[str, Any]:
    """The masked autoencoder's training cut to this share, warm-up included, each in what it is counted in."""
    training, key = settings.autoencoder.training, "autoencoder.training"
    unit, other = ("epochs", "steps") if training.steps is None else ("steps", "epochs")
    warmup_unit = unit if getattr(training, f"warmup_{other}") is None else other
    cut = {unit: getattr(training, unit), f"warmup_{warmup_unit}": getattr(training, f"warmup_{warmup_unit}") or 0}
    shares = {name: count * length if name.endswith("epochs") else round(count * length) for name, count in cut.items()}
    return {f"{key}.{name}": max(1, share) if name == "steps" else share for name, share in shares.items()}


def is_finished(path: Path) -> bool:
    """Whether the run at `path` is fitted, and scored and evaluated on the test split by each slice's own score.

    Someone may have looked at another split, or at smoothed scores, since.
    """
    report = path / "report" / "report.json"
    if not report.exists() or _scored_split(path) != TESTED:
        return False
    evaluated = read_json(report)
    return evaluated["provenance"]["split"] == TESTED and ALONE not in evaluated["scores"]


def done_or_reason(
    run: PlannedRun, runs: Path, store: SliceStore, recipe: str, wanted: Wanted, seed: int, resamples: int
) -> str:
    """Fit, score and evaluate one run in RUNS/<its name>, each unless it is done; why that failed, else "".

    seed: of the bootstrap, the same for all runs.
    """
    path, method = runs / run.name, runs / METHOD_RUN
    try:
        if is_finished(path):
            _refuse_other(path, wanted, store)
            return ""
        fit(
            store.folder,
            path,
            detector=run.detector,
            recipe=recipe,
            profile=wanted.profile,
            seed=wanted.seed,
            overrides=wanted.overrides,
            autoencoder_of=method if run.shares_autoencoder else None,
            keep_cache=run.name == METHOD_RUN,
        )
        if _scored_split(path) != TESTED:
            score(path, store=store.folder)
        evaluate(path, store=store.folder, seed=seed, resamples=resamples)
    except AnomaeError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - one run that fails, for whatever reason, must not take the others along
        return f"{type(error).__name__}: {error}"
    return ""


def _scored_split(path: Path) -> str:
    """The split that the run's findings are of; "" where there are none."""
    facts = Run(path).findings / "findings.json"
    return str(read_json(facts).get("split", "")) if facts.exists() else ""


def _refuse_other(path: Path, wanted: Wanted, store: SliceStore) -> None:
    """Raises UserError where a finished run was fitted with other settings, or on another store.

    Settings that it does not know do not count.
    """
    facts = Run(path).facts()
    before = dict(flat_settings(facts["settings"]))
    after = dict(flat_settings(wanted.settings.model_dump(mode="json")))
    changed = [
        key for key in after if key in before and before[key] != after[key] and not CHANGEABLE & {*key.split(".")}
    ]
    changed += [name for name in ("seed", "profile") if facts.get(name) != getattr(wanted, name)]
    if facts.get("store_fingerprint") != store.prepared.get("fingerprint"):
        changed.append("prepared slices")
    if changed:
        raise UserError(f"{path} was finished with other {', '.join(changed)}; name a new folder, or remove it.")
