"""What the training scans of a fitted detector were like, beside it: facts as JSON, features as arrays, no patient.

fitted/reference_features.npz   absent where too few scans were there to measure by
fitted/reference.json           written last; has_features: whether they belong to it (earlier versions did not say)
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.arrays import BROKEN_ARRAY
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.runs.model_fingerprint import REFERENCE, REFERENCE_FEATURES
from anomae.volumes.write import write_arrays


def write_reference(fitted: Path, facts: Mapping[str, Any], features: Mapping[str, npt.NDArray[Any]] | None) -> None:
    """Write both into a fitted folder, in place of those that are there."""
    for name in (REFERENCE, REFERENCE_FEATURES):
        (fitted / name).unlink(missing_ok=True)
    if features is not None:
        write_arrays(fitted / REFERENCE_FEATURES, **features)
    write_json(fitted / REFERENCE, {**facts, "has_features": features is not None})


def read_reference(fitted: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]] | None] | None:
    """The facts and the features of a fitted folder; None where it has none.

    Raises UserError where the features are damaged.
    """
    if not (fitted / REFERENCE).exists():
        return None
    path = fitted / REFERENCE_FEATURES
    if not path.exists():
        return read_json(fitted / REFERENCE), None
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as kept:  # numpy leaves a broken one open
            return read_json(fitted / REFERENCE), {name: kept[name] for name in kept.files}
    except BROKEN_ARRAY as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: object) -> UserError:
    """What is said of either file where it is not whole."""
    return UserError(
        f"{path} is damaged ({error}); remove {path.parent / REFERENCE}, and give the command `anomae fit` of its run "
        "again."
    )
