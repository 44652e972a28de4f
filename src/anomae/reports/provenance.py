"""Where the slices of a report come from: counts by split, patients in several splits, preparation, cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.progress import duration
from anomae.statistics.scored import ScoredSlices

PREPARED_AS = {
    "plain": "Whole slices, resized",
    "brain": "The brain alone, cropped, turned upright and resized",
    "body": "The body alone, cropped and resized",
}
FOUND_AS = {"given": "given by the user", "nonzero": "the skull-stripped scan itself", "extracted": "by deepbet 1.0.2"}

Texts = npt.NDArray[np.str_]


def count_splits(
    split: Texts, label: npt.NDArray[np.int8], empty: npt.NDArray[np.bool_], case: Texts, patient: Texts
) -> dict[str, dict[str, int]]:
    """By split: slices by label (0, 1, -1 unknown), empty ones, cases and patients; of index columns (n,).

    Slices in no split ("") are not counted.
    """
    names = [name for name in ("train", "validation", "test") if (split == name).any()]
    names += sorted({str(name) for name in np.unique(split)} - {*names, ""})
    found = {}
    for name in names:
        here = split == name
        found[name] = {
            "normal": int(np.count_nonzero(here & (label == 0))),
            "abnormal": int(np.count_nonzero(here & (label == 1))),
            "unknown": int(np.count_nonzero(here & (label < 0))),
            "empty": int(np.count_nonzero(here & empty)),
            "cases": len(np.unique(case[here])),
            "patients": len(np.unique(patient[here])),
        }
    return found


def count_scored(slices: ScoredSlices) -> dict[str, int]:
    """What the figures rest on."""
    abnormal = slices.label == 1
    return {
        "slices": len(slices),
        "normal": int(np.count_nonzero(~abnormal)),
        "abnormal": int(np.count_nonzero(abnormal)),
        "patients": len(np.unique(slices.patient)),
        "patients_with_abnormal": len(np.unique(slices.patient[abnormal])),
        "cases": len(np.unique(slices.case)),
    }


def in_several_splits(split: Texts, patient: Texts) -> int:
    """How many patients have slices in more than one split; slices in no split ("") do not count."""
    split, patient = split[split != ""], patient[split != ""]
    pairs = np.unique(np.stack([patient, split]), axis=1) if len(split) else np.empty((2, 0), dtype=np.str_)
    _, splits = np.unique(pairs[0], return_counts=True)
    return int(np.count_nonzero(splits > 1))


def leak_warning(leaking: int, patients: int, allowed: bool, unit: str = "patient", doubt: str = "") -> str:
    """What is said where patients are in several splits; empty where none is and none was allowed to be.

    doubt: a sentence where it is not known who the patients are; then "none is" is not said.
    """
    if leaking:
        return (
            f"{leaking} of {patients} {unit}s are in more than one split"
            f"{' (allowed with --allow-leak)' if allowed else ''}: the figures are too optimistic for new {unit}s."
        )
    if allowed and not doubt:
        return f"The split was made with --allow-leak; according to the index no {unit} is in several splits."
    return ""


def split_sentences(
    counts: dict[str, dict[str, int]], leaking: int, split: Any, unit: str = "patient", doubt: str = ""
) -> list[str]:
    """How the split was made, in sentences; `split` as the preparation wrote it.

    doubt: a sentence where it is not known who the patients are; then nothing is claimed of them.
    """
    splits = [name for name in counts if name != "scored"]
    said = [
        f"{unit.capitalize()}s by split: " + ", ".join(f"{counts[name]['patients']} {name}" for name in splits) + "."
    ]
    if doubt:
        said.append(doubt)
    elif not leaking and len(splits) > 1:
        said.append(f"No {unit} is in several splits (counted slice by slice).")
    if isinstance(split, dict):
        said.append("Split: " + ", ".join(f"{name} {value}" for name, value in split.items()) + ".")
    elif split:
        said.append(f"Split: {split}.")
    return said


def preparation_sentence(prepared: Mapping[str, Any]) -> str:
    """How the slices were prepared and how their brains were found, from prepare.json; empty where it does not say."""
    settings = prepared.get("settings")
    if not isinstance(settings, Mapping) or "intensity" not in settings:
        return ""
    kind = str(settings.get("preparation", "plain"))
    intensity = str(settings["intensity"])
    if intensity == "auto":
        intensity = "percentile" if kind == "plain" else "median"
    made = PREPARED_AS[kind]
    masks = prepared.get("brain_masks") or {}
    found = ", ".join(f"{FOUND_AS.get(name, name)} for {count} scan(s)" for name, count in masks.items())
    sentence = f"{made} ({kind}), intensity {intensity}"
    return f"{sentence}; brain mask {found}." if found else f"{sentence}."


def preparation_table(prepared: Mapping[str, Any]) -> dict[str, Any]:
    """What prepare.json says of the slices: cohort, modality, seed, fingerprint and settings."""
    kept = {
        name: prepared[name] for name in ("cohort", "modality", "seed", "fingerprint") if prepared.get(name) is not None
    }
    settings = prepared.get("settings")
    return {**kept, **(settings if isinstance(settings, dict) else {})}


def skipped_sentence(skipped: Sequence[Any]) -> str:
    """How many scans could not be read; empty where all could."""
    return f"{len(skipped)} scan(s) could not be read and were left out; prepare.json says why." if skipped else ""


def cost_sentence(findings: dict[str, Any], journal: Sequence[dict[str, Any]]) -> str:
    """What fitting and scoring took, as far as it was written down."""
    said = []
    stages: dict[str, float] = {}
    for line in journal:
        if isinstance(line.get("seconds"), int | float):
            stages[str(line["stage"])] = float(line["seconds"])
    if stages:
        said.append("Fitting: " + ", ".join(f"{name} {duration(seconds)}" for name, seconds in stages.items()) + ".")
    if findings.get("images_per_s"):
        said.append(f"Scoring: {findings['images']} images at {findings['images_per_s']:.1f} images/s.")
    if findings.get("peak_memory_mb"):
        said.append(f"Peak memory while scoring: {findings['peak_memory_mb']:.0f} MB.")
    return " ".join(said)
