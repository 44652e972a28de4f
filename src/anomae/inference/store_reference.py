"""What the training scans of a store are like: read from the store alone, a bounded number of slices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import read_json
from anomae.inference.features import SLICES, learn_features, spaced
from anomae.inference.reference import Reference, levels_of, reference_of
from anomae.slices.store import SliceStore
from anomae.volumes.sequence_names import sequence_of
from anomae.volumes.volume import Grid

MOST_SCANS = 64  # that are looked at, of each split


def store_reference(store: SliceStore) -> Reference:
    """From the healthy training slices of `store`; distances are measured on its healthy validation slices too.

    A store of an earlier version does not say the modality and body part of its scans; those are then not compared.
    """
    training = _scans(store, store.rows("train", label=0))
    held_out = _scans(store, store.rows("validation", label=0))
    path = store.folder / "cases.json"
    cases: dict[str, Any] = read_json(path) if path.exists() else {}
    index = store.index
    known = [cases.get(str(name)) or {} for name in np.unique(index.case[store.rows("train", label=0)])]
    return reference_of(
        [Grid.from_json(facts["grid"]) for facts in known if facts.get("grid")],
        scans=len(known),
        modalities=[str(facts.get("modality", "")) for facts in known],
        body_parts=[str(facts.get("body_part", "")) for facts in known],
        sequences=[sequence_told(store, facts) for facts in known],
        levels=[levels_of(scan) for scan in training],
        features=learn_features(training, held_out),
    )


def sequence_told(store: SliceStore, facts: Mapping[str, Any]) -> str:
    """By the header's series description, the modality that the store was asked for, or the name of the file."""
    by_name = sequence_of(store.modality) or sequence_of(Path(str(facts.get("source", ""))).name)
    return str(facts.get("sequence") or by_name)


def _scans(store: SliceStore, rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.float32]]:
    """Up to SLICES slices with content of up to MOST_SCANS cases, in grey, (k, h, w) each; pictures: more cases."""
    rows = rows[~store.index.empty[rows]]
    if not len(rows):
        return []
    cases, first = np.unique(store.index.case[rows], return_index=True)
    most = MOST_SCANS if len(rows) > len(cases) else MOST_SCANS * SLICES
    found = []
    for case in cases[np.argsort(first)][spaced(len(cases), most)]:
        own = rows[store.index.case[rows] == case]
        own = own[np.argsort(store.index.slice[own], kind="stable")]
        found.append(store.select(own).pictures(spaced(len(own), SLICES)))
    return found
