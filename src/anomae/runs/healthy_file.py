"""Scores of healthy people beside a fitted detector: a copy of its folder alone can then flag.

fitted/healthy_scores.json
  scores, map_tops (null without maps), person (a number for each patient; who it is stays with the store), smoothed
  (null without neighbouring slices; not there in files of earlier versions): an entry a slice; unit, source, doubts,
  computed_on
"""

from pathlib import Path
from typing import Any

import numpy as np

from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.statistics.healthy_scores import HealthyScores

NAME = "healthy_scores.json"
_ADVICE = "remove it, and give the command `anomae fit` of its run again."


def write_healthy_scores(fitted: Path, healthy: HealthyScores) -> None:
    """Write them into the fitted folder, in place of those that are there."""
    content = {
        "scores": healthy.scores.tolist(),
        "smoothed": None if healthy.smoothed is None else healthy.smoothed.tolist(),
        "map_tops": None if healthy.map_tops is None else healthy.map_tops.tolist(),
        "person": healthy.person.tolist(),
        "unit": healthy.unit,
        "source": healthy.source,
        "doubts": list(healthy.doubts),
        "computed_on": healthy.computed_on,
    }
    write_json(fitted / NAME, content)


def is_reduced(computed_on: str) -> bool:
    """Whether an engine in bf16 or int8 computed, such as "onnxruntime 1.32.0, int8": scores are not those of torch."""
    return computed_on.endswith((", bf16", ", int8"))


def read_healthy_scores(fitted: Path) -> HealthyScores | None:
    """Those of a fitted folder; None where it has none.  Raises UserError where the file is not whole."""
    path = fitted / NAME
    if not path.exists():
        return None
    content: dict[str, Any] = read_json(path)
    try:
        scores = np.array(content["scores"], dtype=np.float64)
        tops = None if content["map_tops"] is None else np.array(content["map_tops"], dtype=np.float64)
        kept = content.get("smoothed")
        smoothed = None if kept is None else np.array(kept, dtype=np.float64)
        person = np.array(content["person"], dtype=np.int64)
        names = (str(content["unit"]), str(content["source"]), tuple(map(str, content["doubts"])))
        computed_on = str(content["computed_on"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{path} is damaged ({error}); remove it and run `anomae fit` or `anomae score` again."
        ) from error
    shapes = {column.shape for column in (scores, smoothed, tops, person) if column is not None}
    if (
        scores.ndim != 1
        or len(shapes) != 1
        or not all(np.isfinite(each).all() for each in (scores, smoothed) if each is not None)
    ):
        raise UserError(f"{path} is damaged; {_ADVICE}")
    return HealthyScores(scores, tops, person, *names, computed_on, smoothed)
