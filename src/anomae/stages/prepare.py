"""The stage `prepare`: scans as they lie on disk to a store of prepared slices, split by patient."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from anomae.cohorts.case import HEALTHY, SPLITS, Case, Cohort
from anomae.cohorts.pairing_facts import NOTED, never_ignored, noted_masks
from anomae.cohorts.patient_names import unit_of
from anomae.cohorts.registry import cohort_named, cohort_options, open_cohort
from anomae.cohorts.released_lists import ReleasedLists
from anomae.cohorts.splits import refuse_leaks
from anomae.errors import UserError
from anomae.progress import progress, say
from anomae.reports.provenance import count_splits
from anomae.runs.acquisition import acquired_apart
from anomae.slices.copies import copy_notes
from anomae.slices.index import SliceIndex
from anomae.slices.labelled_whole import labelled_whole
from anomae.slices.rows import CaseRows, rows_or_reason
from anomae.slices.scan_notes import counted_notes, note_sentences
from anomae.slices.settings import PrepareSettings
from anomae.slices.source_facts import refuse_changed
from anomae.slices.splitting import CANDIDATE, SPLIT_RULES, SUBSETS, WHOLE, assign_splits, drawn_candidates
from anomae.slices.store import SliceStore
from anomae.slices.writer import FINISHED, StoreWriter, clear_journal, refuse_other_request
from anomae.statistics.acquisition import acquisition_sentence
from anomae.workers import in_order, usable_cores

# Each holds a scan and the libraries that read it: unless more are asked for, all together stay far below 2 GB.
MOST_WORKERS = 4
# Where the brain may have to be extracted, each holds 0.8 GB for that.
MOST_EXTRACTING = 2
SAID_REASONS = 10
VERSIONED = ("anomae", "numpy", "pillow", "simpleitk")


def prepare(
    cohort: str,
    source: Path | str,
    store: Path | str,
    *,
    modality: str | None = None,
    splits: Path | str | None = None,
    split: str | None = None,
    allow_leak: bool = False,
    seed: int = 0,
    settings: PrepareSettings | None = None,
    options: Mapping[str, Any] | None = None,
    workers: int | None = None,
) -> SliceStore:
    """Read the scans of a cohort, prepare their slices, and write them into the folder `store`; returns it, opened.

    modality: of the cohorts that have several, one, or several with commas between them, which become channels.
    splits: folder of the released lists (the user's own copy), which then say which slice is in which split.
    split: "patient" (by the seed: 40 % of the patients to test, 20 % of the rest to validation), "fixed" (as the data
    set says), "subsets" (LUNA16's), "candidate" (LUNA16's, at random as the paper's: needs allow_leak)
    or "whole" (all slices to test, as cross-validation begins); None: fixed where the
    data set fixes all, else patient.
    settings: None: those of the cohort and of what its option `content` says.  options: of the cohort
    (anomae.cohorts.registry.cohort_options).
    workers: processes that read, 0: none beside this one, None: one a core; they change nothing in the result.

    A preparation that was stopped, at any moment and in any way, goes on to the same bytes; one that is whole is left
    as it is.  A broken scan is listed in prepare.json and skipped.  The training split holds healthy slices only.

    Raises UserError where no healthy training slice comes out, the store was begun with other settings, or its source
    files have changed since, and LeakySplit where a patient would be in several splits and `allow_leak` does not say
    that this is wanted.
    """
    if not isinstance(settings, PrepareSettings | None):
        raise UserError(f"settings are anomae.PrepareSettings(...), not of the type {type(settings).__name__}.")
    settings = (settings or _usual_settings(cohort, options or {})).checked()
    folder, lists = Path(store), ReleasedLists.read(Path(splits), cohort) if splits is not None else None
    chosen = _split_options(cohort, with_modality(cohort, options, modality), split)
    if split == CANDIDATE:
        if splits is not None:
            raise UserError("--split candidate draws the lists that --splits would name; give one of them.")
        lists = drawn_candidates(open_cohort(cohort, source, **chosen), seed, allow_leak)
    # Of LUNA16's half a million patches the lists name a tenth; only those are cut.
    only = {"rows": lists.rows()} if lists is not None and cohort_named(cohort).accepts_rows else {}
    opened = open_cohort(cohort, source, **chosen, **only)
    cases = opened.cases()
    refuse_unfit(opened, settings)
    asked = {
        "cohort": cohort,
        "source": str(Path(source).resolve() if Path(source).exists() else source),
        "options": chosen,
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "split": "released lists" if splits is not None else split or "automatic",
        "lists": None if lists is None else _digest([lists.keys.tobytes(), lists.lists.tobytes()]),
        "channels": settings.channels_of(len(opened.channel_names)),
        "cases": _digest(repr((case.case, case.patient, case.split, case.label, case.site)).encode() for case in cases),
    }
    request = json.loads(json.dumps(asked, default=str))  # as it will be read back
    refuse_other_request(folder, request)
    if (folder / FINISHED).exists():
        refuse_changed(folder, cases)
        return _whole(folder, allow_leak)
    assigned, said = assign_splits(opened, cases, rule=split, lists=lists, seed=seed, allow_leak=allow_leak)
    work = partial(rows_or_reason, cohort=opened, assigned=assigned, settings=settings)
    writer = StoreWriter(folder, request, settings, cases, work)
    try:
        _write(writer, cases, work, usable_workers(workers, settings))
        _tell_skipped(writer)
        _finish(writer, opened, lists, said, allow_leak)
    finally:
        writer.close()
    made = SliceStore(folder)
    _tell_left_out(made)
    return made


def refuse_unfit(cohort: Cohort, settings: PrepareSettings) -> None:
    """Raises UserError where these settings need whole scans, or an order of slices, and the cohort has none."""
    if cohort.order != "none":
        return
    if settings.slices == "mid":
        raise UserError(f"slices=mid is for whole scans; the slices of {cohort.name} are in no order.")
    if settings.neighbours:
        raise UserError(
            f"neighbours={settings.neighbours} is for whole scans; the slices of {cohort.name} are in no order."
        )
    if settings.preparation != "plain":
        raise UserError(f"preparation={settings.preparation} is for whole scans, not for the patches of {cohort.name}.")


def with_modality(cohort: str, options: Mapping[str, Any] | None, modality: str | None) -> dict[str, Any]:
    """The options with the modality among them.  Raises UserError where the cohort has no modalities."""
    if modality is None:
        return dict(options or {})
    if not cohort_named(cohort).modalities:
        raise UserError(f"The cohort {cohort!r} has no modalities; leave --modality out.")
    return {**(options or {}), "modality": modality}


def usable_workers(workers: int | None, settings: PrepareSettings | None = None) -> int:
    """How many processes read, where `workers` were asked for: fewer if none were and brains may have to be extracted.

    Raises UserError for fewer than none.
    """
    if workers is not None and workers < 0:
        raise UserError(f"workers is {workers}; it is a number of processes, 0 for none beside this one.")
    if workers is not None:
        return workers
    extracting = settings is not None and settings.preparation == "brain" and settings.brain_mask in ("auto", "extract")
    return min(usable_cores(), MOST_EXTRACTING if extracting else MOST_WORKERS)


def _usual_settings(cohort: str, options: Mapping[str, Any]) -> PrepareSettings:
    from anomae.recipes.preparation import preparation_for

    return preparation_for(cohort, str(options.get("content", "")))


def _split_options(cohort: str, options: dict[str, Any], split: str | None) -> dict[str, Any]:
    if split is not None and split not in SPLIT_RULES:
        raise UserError(f"There is no split {split!r}; there are {', '.join(SPLIT_RULES)}.")
    if split == "subsets":
        if "subsets" not in cohort_options(cohort):
            raise UserError(f"The cohort {cohort!r} has no subsets; --split subsets is for luna16.")
        return {"subsets": SUBSETS, **options}
    return options


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _whole(folder: Path, allow_leak: bool) -> SliceStore:
    clear_journal(folder)
    store = SliceStore(folder)
    refuse_leaks(store.index.patient, store.index.split, allow_leak or not store.prepared.get("leaking_patients"))
    skipped = len(store.prepared.get("skipped", []))
    without = f" (without {skipped} scans that could not be read)" if skipped else ""
    say(f"{folder} is whole already{without}; to prepare it anew, remove it first.")
    return store


def _write(writer: StoreWriter, cases: Sequence[Case], work: Callable[[Case], CaseRows | str], workers: int) -> None:
    left = cases[writer.done :]
    with progress("prepare", len(cases), "scans", writer.done) as bar:
        for case, made in zip(left, in_order(work, left, workers, _source_of), strict=True):
            if isinstance(made, str):
                writer.skip(case, made)
            else:
                writer.append(case, made)
            bar.advance()


def _source_of(case: Case) -> str:
    return str(case.source)


def _tell_skipped(writer: StoreWriter) -> None:
    if not writer.skipped:
        return
    say(f"{len(writer.skipped)} of {writer.done} scans could not be read and are left out:")
    for entry in writer.skipped[:SAID_REASONS]:
        say(f"  {entry['reason']}")
    if len(writer.skipped) > SAID_REASONS:
        say(f"  and {len(writer.skipped) - SAID_REASONS} more; prepare.json names all.")


def _tell_left_out(store: SliceStore) -> None:
    """Say what is not in the store although it was read, and what the cohort noticed."""
    said = [*store.prepared["notes"]]
    said += [f"{count} scans: {what}" for what, count in store.prepared.get("pairing", {}).get("noted", {}).items()]
    said += note_sentences(store.prepared.get("scan_notes", {}))
    said += [f"{count} slices were dropped: {why}" for why, count in store.prepared["dropped"].items()]
    if store.prepared["leaking_patients"]:
        said.append(f"{store.prepared['leaking_patients']} patients are in more than one split; this was allowed")
    for sentence in said:
        say(f"{sentence}.")


def _finish(writer: StoreWriter, cohort: Cohort, lists: ReleasedLists | None, split: str, allow_leak: bool) -> None:
    index = writer.write_index()
    _refuse_useless(writer, index)
    pairing, noted = cohort.pairing(), noted_masks(line.get("notes", ()) for line in writer.lines)
    facts: dict[str, Any] = {
        **{name: writer.request[name] for name in ("cohort", "options", "settings", "seed")},
        "modality": writer.request["options"].get("modality"),
        "kind": cohort.kind,
        "order": cohort.order,
        "recipe": cohort.recipe,
        "channel_names": list(cohort.channel_names),
        "channels": writer.request["channels"],
        "split": split,
        "allow_leak": allow_leak,
        "patients_told": cohort.patients_told(),
        "leaking_patients": refuse_leaks(index.patient, index.split, allow_leak),
        "counts": count_splits(index.split, index.label, index.empty, index.case, index.patient),
        "share_of_normals_from_patients_with_lesions": _ill_shares(index, writer.abnormal_patients),
        "notes": [
            *cohort.notes(),
            *copy_notes(writer.lines),
            *never_ignored(pairing, noted),
            *(() if pairing.get("with_lesion_mask") else labelled_whole(index, pairing)),  # else the cohort says it
            *(() if lists is None else lists.compare(index.case, index.slice, index.label)),
        ],
        "pairing": {**pairing, "noted": noted},
        "scan_notes": counted_notes((line.get("notes", ()) for line in writer.lines), NOTED),
        "versions": {name: version(name) for name in VERSIONED},
    }
    apart = acquired_apart(writer.folder, index, ill=writer.abnormal_patients)
    facts["notes"] += filter(None, [acquisition_sentence(apart, unit_of(facts))])
    writer.finish(facts)


def _refuse_useless(writer: StoreWriter, index: SliceIndex) -> None:
    if writer.done == len(writer.skipped):
        raise UserError(f"None of the {writer.done} scans could be read; the first: {writer.skipped[0]['reason']}")
    if writer.request["split"] != WHOLE and not np.any((index.split == "train") & (index.label == HEALTHY)):
        dropped = ", ".join(f"{count} {why}" for why, count in writer.dropped.items()) or "none"
        raise UserError(
            "No healthy slice is left in the training split, so nothing could be learned: "
            f"{len(writer.skipped)} of {writer.done} scans could not be read, slices dropped: {dropped}."
        )


def _ill_shares(index: SliceIndex, ill: set[str]) -> dict[str, float]:
    """By split: how many of the healthy slices are of patients who have a lesion elsewhere, 0..1."""
    of_ill = np.isin(index.patient, sorted(ill))
    healthy = {split: (index.split == split) & (index.label == HEALTHY) for split in SPLITS}
    return {split: round(float(of_ill[here].mean()), 6) for split, here in healthy.items() if here.any()}
