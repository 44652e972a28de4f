"""One report from what was evaluated and what is known of it; the same for a run of ours and for anyone's scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.reports.assessment import assess
from anomae.reports.audit import audit, duplicates_warning
from anomae.reports.definitions import definitions
from anomae.reports.operating_point import operating_point
from anomae.reports.pictures import Strip
from anomae.reports.plot_findings import froc_plot
from anomae.reports.provenance import count_scored, count_splits, in_several_splits, leak_warning, split_sentences
from anomae.reports.report import write_report
from anomae.reports.report_plots import report_plots
from anomae.reports.schema import Assessment, NearDuplicates, Provenance, ReportContent
from anomae.reports.schema_findings import FindingFigures
from anomae.reports.schema_maps import Pixel
from anomae.reports.schema_pretext import Pretext
from anomae.runs.findings import report_versions
from anomae.statistics.acquisition import SetApart, acquisition_sentence
from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.operating_point import Calibration
from anomae.statistics.scored import ScoredSlices

Columns = Mapping[str, npt.NDArray[np.float64]]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitColumns:
    """Of every slice known, scored or not, (n,) each.

    made: how the split was made, None where that is not known.  known: whether a split was given at all.  allow_leak:
    whether a patient was allowed to be in several.  ill: share of the normal slices of each split whose patient has a
    lesion elsewhere.  doubt: a sentence where it is not known of all who their patient is.
    """

    split: Texts
    label: npt.NDArray[np.int8]
    empty: npt.NDArray[np.bool_]
    case: Texts
    patient: Texts
    made: Any = None
    known: bool = True
    allow_leak: bool = False
    ill: Mapping[str, float] | None = None
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What a report is made of.

    slices, scores, trivial_baselines: of the n tested slices, (n,) a column.  bootstrap: over their patients.
    calibration: for the operating point; why_no_calibration: a sentence where there is none.  bounds: asked of it.
    unit: what is resampled: "patient", or "case", "file" and so on where none is known.  labels_seen: a sentence.
    notes: go to the top.  not_audited: what could not be checked, and why.  provenance: what `Provenance` holds beyond
    what is counted here.  acquisition: what tells abnormal patients from the others beside their pictures.
    journal: of the fit.
    """

    slices: ScoredSlices
    scores: Columns
    trivial_baselines: Columns
    bootstrap: PatientBootstrap
    calibration: Calibration | None
    why_no_calibration: str
    bounds: tuple[float, float]
    splits: SplitColumns
    labels_seen: str
    provenance: Mapping[str, Any]
    unit: str = "patient"
    notes: Sequence[str] = ()
    not_audited: Sequence[str] = ()
    warnings: Sequence[str] = ()
    acquisition: Sequence[SetApart] = ()
    near_duplicates: NearDuplicates | None = None
    pixel: Pixel | None = None
    findings: FindingFigures | None = None
    pretext: Pretext | None = None
    journal: Sequence[Mapping[str, Any]] = ()
    strips: Sequence[Strip] = field(default_factory=list)


def write_evaluation(folder: Path, evaluated: Evaluated) -> dict[str, Any]:
    """Evaluate, and write FOLDER/report.json and report.html; returns the content of the former.

    Raises UserError where a score is not finite.
    """
    content, bootstrap = assemble(evaluated), evaluated.bootstrap
    columns = (evaluated.scores, evaluated.trivial_baselines)
    plots = report_plots(evaluated.slices, *columns, content, evaluated.journal, bootstrap, evaluated.unit)
    if content.findings is not None and content.findings.froc is not None:
        plots["froc"] = froc_plot(content.findings)
    return write_report(folder, content, plots, evaluated.strips)


def assemble(evaluated: Evaluated) -> ReportContent:
    """The content of report.json.  Raises UserError where a score is not finite."""
    slices, splits, bootstrap, unit = evaluated.slices, evaluated.splits, evaluated.bootstrap, evaluated.unit
    assessment = assess(slices, evaluated.scores, evaluated.trivial_baselines, bootstrap)
    leaking = in_several_splits(splits.split, splits.patient)
    counts = count_splits(splits.split, splits.label, splits.empty, splits.case, splits.patient)
    sections = {name: getattr(assessment, name) for name in Assessment.model_fields}
    warnings = [
        leak_warning(leaking, len(np.unique(splits.patient)), splits.allow_leak, unit, splits.doubt),
        splits.doubt,
        *evaluated.warnings,
        *(f"{said}." for said in [acquisition_sentence(evaluated.acquisition, unit)] if said),
        duplicates_warning(evaluated.near_duplicates),
    ]
    return ReportContent(
        **{**sections, "notes": [*evaluated.notes, *assessment.notes, *evaluated.not_audited]},
        pixel=evaluated.pixel,
        findings=evaluated.findings,
        pretext=evaluated.pretext,
        operating_point=operating_point(
            slices,
            evaluated.scores["score"],
            evaluated.calibration,
            evaluated.why_no_calibration,
            bootstrap,
            evaluated.bounds,
            unit,
        ),
        audit=audit(
            slices,
            assessment,
            leaking=leaking if splits.known and not splits.doubt else None,
            acquisition=evaluated.acquisition,
            duplicates=evaluated.near_duplicates,
            labels_seen=evaluated.labels_seen,
            not_audited=evaluated.not_audited,
            ill_by_split=splits.ill,
        ),
        counts={**counts, "scored": count_scored(slices)},
        warnings=[warning for warning in warnings if warning],
        provenance=_provenance(evaluated, leaking, counts),
        definitions=definitions(unit),
    )


def _provenance(evaluated: Evaluated, leaking: int, counts: dict[str, dict[str, int]]) -> Provenance:
    versions, splits = report_versions(), evaluated.splits
    sentences = split_sentences(counts, leaking, splits.made, evaluated.unit, splits.doubt)
    return Provenance.model_validate(
        {
            **evaluated.provenance,
            "unit": evaluated.unit,
            "resamples": evaluated.bootstrap.wanted,
            "seed": evaluated.bootstrap.seed,
            "allow_leak": splits.allow_leak,
            "patients_in_several_splits": leaking,
            "split_sentences": sentences if splits.known else ["Not known: the labels have no column split."],
            "tables": {**evaluated.provenance.get("tables", {}), "Versions of this report": versions},
            "anomae": versions["anomae"],
        }
    )
