"""The stage `folds`: all slices of all patients prepared once, and for each fold a light store that shares them.

OUT/
  store/               every slice of every patient, all in the test split: what the folds share
  folds/fold1/store/   the same arrays (hard links; copies where links are impossible), its own index.csv and
                       prepare.json: the fold's patients are tested, of the others one in six validates, the rest trains
"""

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.case import ABNORMAL, HEALTHY, SPLITS
from anomae.cohorts.folds import fold_of_patients, splits_in_fold
from anomae.cohorts.patient_names import unit_of
from anomae.errors import UserError
from anomae.files import copy_file, read_json, write_csv, write_json, written_whole
from anomae.reports.provenance import count_splits
from anomae.slices.index import COLUMNS, SliceIndex
from anomae.slices.settings import PrepareSettings
from anomae.slices.splitting import WHOLE
from anomae.slices.store import SliceStore
from anomae.stages.prepare import prepare

OWN = ("index.csv", "prepare.json")  # of each fold; all else of the store is shared


def prepare_folds(
    cohort: str,
    source: Path | str,
    out: Path | str,
    *,
    folds: int,
    seed: int = 0,
    modality: str | None = None,
    settings: PrepareSettings | None = None,
    options: Mapping[str, Any] | None = None,
    workers: int | None = None,
) -> list[SliceStore]:
    """Prepare all slices of a cohort once, into OUT/store, and make the stores of its folds; returns them in order.

    cohort, source, modality, settings, options, workers: as `anomae.stages.prepare.prepare` takes them; splits that the
    data set fixes are not followed.  seed: decides the folds.  What is whole is left as it is; what was stopped goes
    on.
    Raises UserError as `prepare` and `write_folds` do.
    """
    base = prepare(
        cohort,
        source,
        Path(out) / "store",
        modality=modality,
        split=WHOLE,
        seed=seed,
        settings=settings,
        options=options,
        workers=workers,
    )
    return write_folds(base, Path(out) / "folds", folds, seed)


def write_folds(base: SliceStore, out: Path | str, folds: int, seed: int = 0) -> list[SliceStore]:
    """The stores OUT/fold1/store ... of a store that was prepared with the split `whole`; returns them in order.

    A fold's training split holds healthy slices alone: abnormal ones, and those of unknown label, of the patients who
    train are in no split.  Each fold has a fingerprint of its own.
    Raises UserError where `base` is none such, has too few patients, or a store there is of other folds.
    """
    if set(np.unique(base.index.split)) - {"test"}:
        raise UserError(f"{base.folder} is split already; prepare one with the split {WHOLE!r} to make folds of it.")
    index = base.index
    ill = np.unique(index.patient[index.label == ABNORMAL]).tolist()
    healthy = np.unique(index.patient[index.label == HEALTHY]).tolist()
    fold_of = fold_of_patients(np.unique(index.patient).tolist(), ill, folds, seed)
    made = []
    for fold in range(folds):
        folder = Path(out) / f"fold{fold + 1}" / "store"
        asked = {"number": fold + 1, "of": folds, "seed": seed, "store_fingerprint": base.prepared.get("fingerprint")}
        if not (folder / "prepare.json").exists():
            splits = splits_in_fold(fold_of, healthy, fold, seed)
            _write_fold(base, folder, splits, asked)
        elif read_json(folder / "prepare.json").get("fold") != asked:
            raise UserError(f"{folder} is of other folds; name a new folder, or give the same again.")
        made.append(SliceStore(folder))
    return made


def _write_fold(base: SliceStore, folder: Path, splits: Mapping[str, str], asked: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(base.folder.iterdir()):
        if file.is_file() and file.name not in OWN and not file.name.startswith("."):
            _share(file, folder / file.name)
    split, left_out = _split_of_rows(base, splits)
    _write_index(base.folder / "index.csv", folder / "index.csv", split)
    fingerprint = hashlib.blake2b(str(base.prepared.get("fingerprint")).encode(), digest_size=16)
    fingerprint.update((folder / "index.csv").read_bytes())
    index = base.index
    request = {**base.prepared.get("request", {}), "fold": asked}
    unit = unit_of(base.prepared)
    facts = {
        **base.prepared,
        "fingerprint": fingerprint.hexdigest(),
        "fold": asked,
        "split": f"fold {asked['number']} of {asked['of']} by {unit} from seed {asked['seed']}: its {unit}s are "
        "tested, of the others one in six validates and the rest trains",
        "leaking_patients": 0,
        "counts": count_splits(split, index.label, index.empty, index.case, index.patient),
        "share_of_normals_from_patients_with_lesions": _ill_shares(index, split),
        "dropped": dict(Counter(base.prepared.get("dropped", {})) + left_out),
        "request": request,
    }
    write_json(folder / "prepare.json", facts)


def _share(file: Path, path: Path) -> None:
    """The same file at `path`: a hard link where the disk allows it, else a copy."""
    path.unlink(missing_ok=True)
    try:
        os.link(file, path)
    except OSError:
        with written_whole(path) as temporary:
            copy_file(file, temporary)


def _split_of_rows(base: SliceStore, splits: Mapping[str, str]) -> tuple[npt.NDArray[np.str_], Counter[str]]:
    """The split of each row (n,), "" where it is in none; and how many training rows are in none, by reason."""
    index = base.index
    split = np.array([splits[name] for name in index.patient.tolist()], dtype=np.str_)
    train = split == "train"
    reasons = {
        "abnormal in the training split": train & (index.label == ABNORMAL),
        "of unknown label in the training split": train & (index.label != ABNORMAL) & (index.label != HEALTHY),
        "of patients without a healthy slice, not tested": split == "",
    }
    if base.prepared["settings"].get("drop_empty_training"):
        reasons["empty in the training split"] = train & (index.label == HEALTHY) & index.empty
    for why in reasons.values():
        split[why] = ""
    if not (split == "train").any():
        raise UserError("No healthy slice with content is left to train on in one of the folds.")
    return split, Counter({why: int(which.sum()) for why, which in reasons.items() if which.any()})


def _write_index(source: Path, target: Path, split: npt.NDArray[np.str_]) -> None:
    """The lines of an index.csv as they are, with other splits; a line at a time."""
    with source.open(newline="", encoding="utf-8") as handle:
        lines = csv.DictReader(handle)
        changed = ({**line, "split": str(split[row])} for row, line in enumerate(lines))
        write_csv(target, COLUMNS, ([line[name] for name in COLUMNS] for line in changed))


def _ill_shares(index: SliceIndex, split: npt.NDArray[np.str_]) -> dict[str, float]:
    """By split: how many of the healthy slices are of patients who have an abnormal slice, 0..1."""
    of_ill = np.isin(index.patient, np.unique(index.patient[index.label == ABNORMAL]))
    healthy = {name: (split == name) & (index.label == HEALTHY) for name in SPLITS}
    return {name: round(float(of_ill[here].mean()), 6) for name, here in healthy.items() if here.any()}
