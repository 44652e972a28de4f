"""The contract of a detector: what anomae.detectors.protocol says of it, as checks on made-up images.

Each check takes a `DetectorTrial` and raises AssertionError, with a sentence, where something does not hold.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.detectors.protocol import Findings, FittedDetector, Images4, with_neighbours
from anomae.detectors.trial import NEW, DetectorTrial, made_up_images, made_up_slices
from anomae.files import read_json
from anomae.slices.store import Slices

PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib")


def _has_what_is_called(trial: DetectorTrial) -> None:
    detector, fitted = trial.make(), trial.fitted
    for name in ("name", "settings_type", "fit", "load"):
        _expect(hasattr(type(detector), name), f"The class {type(detector).__name__} has no {name}.")
    for name in ("name", "map_name", "description"):
        _expect(isinstance(getattr(fitted, name, None), str), f"The fitted detector has no {name} (a text).")
    _expect(fitted.name == detector.name, "The fitted detector must have the name of its class.")
    has_maps = fitted.inspect(trial.images[:1]).maps is not None
    _expect(bool(fitted.map_name) == has_maps, "map_name says what the map's numbers are; without maps it is empty.")
    _expect(hasattr(type(detector).settings_type, "model_validate"), "settings_type must be a pydantic model.")


def _findings_have_their_shapes(trial: DetectorTrial) -> None:
    _check_findings(trial.fitted, trial.images)


def _check_findings(fitted: FittedDetector, images: Images4) -> None:
    given = images.copy()
    findings = fitted.inspect(given)
    _expect(np.array_equal(given, images), "inspect must leave the images as they are.")
    count, _, height, width = images.shape
    scores = {"scores": findings.scores, **findings.other_scores}
    _expect("neighbours" not in scores, 'The name "neighbours" is taken by a score that the program adds.')
    for name, column in scores.items():
        _expect(column.shape == (count,), f"{name} must be of shape ({count},), not {column.shape}.")
        _expect(column.dtype == np.float64, f"{name} must be float64, not {column.dtype}.")
        _expect(bool(np.isfinite(column).all()), f"{name} must be finite.")
    _expect(len(np.unique(findings.scores)) > count // 2, "Different images must have different scores.")
    if findings.maps is not None:
        _expect(findings.maps.shape == (count, height, width), f"maps have the shape {findings.maps.shape}.")
        _expect(findings.maps.dtype == np.float32, f"maps must be float32, not {findings.maps.dtype}.")
        _expect(bool((findings.maps >= 0).all()), "maps must be 0 and more.")
    if findings.reconstructions is not None:
        _expect(findings.reconstructions.shape == images.shape, "reconstructions must be of the images' shape.")
        _expect(findings.reconstructions.dtype == np.float32, "reconstructions must be float32.")


def _neither_batch_nor_order_counts(trial: DetectorTrial) -> None:
    _check_company(trial.fitted, trial.images)


def _check_company(fitted: FittedDetector, images: Images4) -> None:
    whole = _columns(fitted.inspect(images))
    some = np.unique(np.linspace(0, len(images) - 1, 3).astype(int))
    alone = [_columns(fitted.inspect(images[index : index + 1])) for index in some]
    order = np.random.default_rng(0).permutation(len(images))
    ordered = _columns(fitted.inspect(images[order]))
    others = made_up_images(12, 5, images.shape[1]).astype(np.float32)
    crowd = _columns(fitted.inspect(np.concatenate([images[7:9], others])))
    for name, column in whole.items():
        one_by_one = np.concatenate([columns[name] for columns in alone])
        _expect(np.array_equal(column[some], one_by_one), f"An image's {name} must be the same alone and in a batch.")
        _expect(np.array_equal(ordered[name], column[order]), f"An image's {name} must not depend on the order.")
        in_crowd = np.array_equal(crowd[name][:2], column[7:9])
        _expect(in_crowd, f"An image's {name} must not depend on the other images of its batch.")


def _columns(findings: Findings) -> dict[str, npt.NDArray[Any]]:
    """All that is said of n images, by name: (n,) scores, and maps and reconstructions where there are any."""
    shown = {"maps": findings.maps, "reconstructions": findings.reconstructions}
    scores = {"scores": findings.scores, **{f"score_{name}": column for name, column in findings.other_scores.items()}}
    return scores | {name: images for name, images in shown.items() if images is not None}


def _twice_is_the_same(trial: DetectorTrial) -> None:
    first, second = (trial.fitted.inspect(trial.images) for _ in range(2))
    _expect_alike(first, second, "Inspecting twice must give the same.")


def _loaded_it_says_the_same(trial: DetectorTrial) -> None:
    _check_saved(trial, trial.fitted, trial.images, trial.folder / "saved")


def _check_saved(trial: DetectorTrial, fitted: FittedDetector, images: Images4, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    fitted.save(folder)
    load = type(trial.make()).load
    loaded = load(folder, trial.device)
    _expect(type(loaded) is type(fitted), "load must give what fit gives.")
    _expect_alike(loaded.inspect(images), fitted.inspect(images), "Saved and loaded it must say the same.")
    for name in ("name", "map_name", "description"):
        _expect(getattr(loaded, name) == getattr(fitted, name), f"Saved and loaded it must have the same {name}.")
    settings = read_json(folder / "settings.json")
    _expect(settings.get("detector") == fitted.name, 'settings.json must hold the key "detector": the name.')
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    pickled = [path.name for path in files if path.suffix in PICKLES]
    _expect(not pickled, f"No pickle may be written, as {', '.join(pickled)} seems to be.")
    for file in files:
        content = file.read_bytes()
        file.unlink()
        trial.refuses(f"Loading without {file.name}", lambda: load(folder, trial.device))
        file.write_bytes(content)


def _same_seed_same_scores(trial: DetectorTrial) -> None:
    scores = trial.fitted.inspect(trial.images).scores
    again = trial.fit("again").inspect(trial.images).scores
    _expect(np.array_equal(again, scores), "The same seed must give the same scores.")
    other = trial.fit("other seed", seed=4).inspect(trial.images).scores
    if trial.draws:
        _expect(not np.array_equal(other, scores), "Another seed must give other scores (or draws=False).")
    else:
        _expect(np.allclose(other, scores, rtol=1e-3), "One that draws nothing must not depend on the seed.")


def _interrupted_it_comes_to_the_same(trial: DetectorTrial) -> None:
    with suppress(KeyboardInterrupt):
        trial.fit("interrupted", healthy=_Interrupting(made_up_slices()))
    found, wanted = (fitted.inspect(trial.images) for fitted in (trial.fit("interrupted"), trial.fitted))
    _expect_alike(found, wanted, "A fit that was interrupted must come to the same in the same folder.")


class _Interrupting:
    """Slices that are read once; the next time the user has pressed Ctrl-C."""

    def __init__(self, slices: Slices) -> None:
        self.slices, self.left = slices, 1
        self.image_size, self.channels = slices.image_size, slices.channels

    def __len__(self) -> int:
        return len(self.slices)

    def read(self, indices: Any) -> Images4:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.slices.read(indices)

    def neighbours(self, indices: Any) -> Images4:
        return self.slices.neighbours(indices)


def _nothing_to_learn_from_is_refused(trial: DetectorTrial) -> None:
    trial.refuses("Fitting on no slice at all", lambda: trial.fit("nothing", healthy=made_up_slices(count=0)))


def _other_images_are_refused(trial: DetectorTrial) -> None:
    _check_refusals(trial, trial.fitted, trial.images[:2])


def _check_refusals(trial: DetectorTrial, fitted: FittedDetector, images: Images4) -> None:
    channels = images.shape[1]
    wrong: dict[str, Images4] = {
        "an empty batch": images[:0],
        "images of rank 3": images[:, 0],
        "an image of rank 2": images[0, 0],
        "images of rank 5": images[None],
        f"images of {channels + 1} channels": np.concatenate([images, images[:, :1]], axis=1),
        "images of twice the size": images.repeat(2, axis=2).repeat(2, axis=3),
        "images of half the size": images[:, :, ::2, ::2],
        "images of another width": images[..., :16],
    }
    if channels > 1:
        wrong[f"images of {channels - 1} channels"] = images[:, 1:]
    for what, value in (("NaN", np.nan), ("infinity", np.inf), ("negative infinity", -np.inf)):
        wrong[f"images with one value that is {what}"] = images.copy()
        wrong[f"images with one value that is {what}"][-1, -1, 3, 5] = value
    for what, given in wrong.items():
        trial.refuses(f"Inspecting {what}", lambda given=given: fitted.inspect(given))  # type: ignore[misc]


def _several_channels(trial: DetectorTrial) -> None:
    if trial.channels == 1:
        trial.refuses("Fitting on three channels", lambda: trial.fit("channels", 3))
        return
    fitted, images = trial.of_channels, made_up_images(NEW, 1, trial.channels).astype(np.float32)
    _check_findings(fitted, images)
    _check_company(fitted, images)
    _check_refusals(trial, fitted, images[:2])
    _check_saved(trial, fitted, images, trial.folder / "saved channels")
    scores = fitted.inspect(images).scores
    for channel in range(trial.channels):
        altered = images.copy()
        altered[:, channel, 10:20, 10:20] += 1.0
        moved = fitted.inspect(altered).scores != scores
        _expect(bool(moved.any()), f"No score depends on channel {channel} of {trial.channels}.")


def _fitted_it_does_not_change(trial: DetectorTrial) -> None:
    fitted: Any = trial.fitted
    names = [entry.name for entry in fields(fitted)] if is_dataclass(fitted) else list(getattr(fitted, "__dict__", {}))
    for name in (*names, "name", "something_new"):
        try:
            setattr(fitted, name, getattr(fitted, name, None))
        except (AttributeError, TypeError):  # TypeError: of a frozen dataclass with slots
            continue
        raise AssertionError(f"The fitted detector must be frozen, but its attribute {name} can be set.")


def _neighbours_are_optional(trial: DetectorTrial) -> None:
    fitted: Any = trial.fitted
    if getattr(fitted, "needs_neighbours", False):
        own = np.stack([trial.images, trial.images], axis=1)
        alone, beside_itself = fitted.inspect(trial.images), fitted.inspect(trial.images, own)
        _expect_alike(alone, beside_itself, "Without neighbours each slice must stand for its own.")


def _pretext_scores(trial: DetectorTrial) -> None:
    fitted: Any = trial.fitted
    if not hasattr(fitted, "pretext"):
        return
    images = trial.images
    families = fitted.pretext(*with_neighbours(fitted, images, lambda: np.stack([images, images], axis=1)))
    _expect(set(fitted.trained_families) <= families.keys(), "trained_families must be among those of pretext.")
    for family, scores in families.items():
        sound = scores.shape == (len(images),) and scores.dtype == np.float64 and not np.isinf(scores).any()
        _expect(sound, f"The pretext scores of {family} must be ({len(images)},) float64, finite or NaN.")


DETECTOR_CHECKS: dict[str, Callable[[DetectorTrial], None]] = {
    check.__name__.strip("_").replace("_", " "): check
    for check in (
        _has_what_is_called,
        _findings_have_their_shapes,
        _neither_batch_nor_order_counts,
        _twice_is_the_same,
        _loaded_it_says_the_same,
        _same_seed_same_scores,
        _interrupted_it_comes_to_the_same,
        _nothing_to_learn_from_is_refused,
        _other_images_are_refused,
        _several_channels,
        _fitted_it_does_not_change,
        _neighbours_are_optional,
        _pretext_scores,
    )
}


def _expect(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


def _expect_alike(one: Findings, other: Findings, sentence: str) -> None:
    _expect(np.array_equal(one.scores, other.scores), sentence)
    for name in ("maps", "reconstructions"):
        first, second = getattr(one, name), getattr(other, name)
        same = first is second is None or np.array_equal(first, second)
        _expect(same, f"{sentence.rstrip('.')}: its {name} differ.")
