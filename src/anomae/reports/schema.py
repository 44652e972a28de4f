"""The schema of report.json: every key, what it holds, its range; a report is made of these classes.

docs/report.md is printed from these classes by `python docs/report_schema.py`.
"""

from typing import Any, Literal

from pydantic import Field

from anomae.reports.schema_findings import FindingFigures
from anomae.reports.schema_maps import Pixel
from anomae.reports.schema_operating import OperatingPoint
from anomae.reports.schema_pretext import Pretext
from anomae.reports.schema_values import Count, Difference, MetricFigures, Ratio, Share, Strict


class ScoreFigures(MetricFigures):
    """The metrics of one score column, and what it gains."""

    gain: Difference | None = Field(description="its AUROC minus that of `best_trivial_baseline`")


class ComparedBaseline(Share):
    """AUROC of a trivial baseline."""

    title: str = Field(description="its name in sentences")
    uses_labels: bool = Field(description="whether it has seen labels; then it is never `best_trivial_baseline`")


class TrivialBaselineFigures(ComparedBaseline):
    """AUROC of a trivial baseline, and its direction."""

    direction: str = Field(description="what was fixed beforehand to be more abnormal")


class BesideBaselines(Strict):
    """AUROC of every score and baseline on some slices."""

    scores: dict[str, Share | None] = Field(description="by score column")
    trivial_baselines: dict[str, Share | None] = Field(description="by baseline, as in `trivial_baselines`")
    best_trivial_baseline: str | None = Field(description="the best baseline here that saw no label")
    gain: Difference | None = Field(description="of `score` over it")


class Stratum(BesideBaselines):
    """Some of the test slices."""

    slices: Count = Field(description="in this stratum")
    abnormal: Count = Field(description="of these")
    normal: Count = Field(description="of these")
    patients: Count = Field(description="with a slice here")


class Matched(BesideBaselines):
    """Only pairs of slices of one band are compared."""

    bands: Count = Field(description="bands with both classes")


class Band(Strict):
    """A fifth of the scan, or of the slices by tissue area."""

    name: str = Field(description="its limits")
    normal: Count = Field(description="slices")
    abnormal: Count = Field(description="slices")
    score: Share | None = Field(description="AUROC of the score within; null where one class is missing")
    trivial_baseline: Share | None = Field(description="AUROC of the report's `best_trivial_baseline` within")


class Aggregate(Strict):
    """Patients or scans, abnormal where any slice is; null figures where all are of one class."""

    normal: Count = Field(description="patients or scans without an abnormal slice")
    abnormal: Count = Field(description="patients or scans with one")
    max: Share | None = Field(description="AUROC of the highest slice score")
    mean_of_top_3: Share | None = Field(description="AUROC of the mean of the three highest")
    slices: Share | None = Field(description="AUROC of the number of slices: a trivial baseline")
    metrics: dict[Literal["max", "mean_of_top_3"], MetricFigures] = Field(
        description="every metric of each aggregation"
    )


class NearDuplicates(Strict):
    """Test images that look like a training image."""

    tested: Count = Field(description="test images with content")
    equal: Count = Field(description="of these, equal to a training image in every pixel")
    compared: Count = Field(description="test images whose fingerprints were compared")
    training: Count = Field(description="training images they were compared with")
    near: Count = Field(description="of `compared`, similar to one of them, mirrored or turned or not")
    similar_from: Ratio = Field(description="correlation of fingerprints that counts as similar")
    sampled: bool = Field(description="whether an even sample was compared, not all")


class MixedNormals(Strict):
    """Normal slices of patients who have a lesion elsewhere."""

    slices: Count = Field(description="of the normal test slices")
    of: Count = Field(description="normal test slices")
    by_split: dict[str, Ratio] = Field(description="their share by split, as prepared; empty where not known")


class AcquiredApart(Strict):
    """A fact of the files of scans that tells abnormal patients from the others without a look at a picture."""

    fact: str = Field(description="what it is, such as the size of a pixel")
    healthy: str = Field(description="what it is of patients without an abnormal scan")
    abnormal: str = Field(description="what it is of the others")
    healthy_patients: Count = Field(description="of whom it is known")
    abnormal_patients: Count = Field(description="of whom it is known")
    auroc: Ratio = Field(description="of the fact alone, by patient, whichever way it points; at least 0.9")


class Audit(Strict):
    """What may make the figures better than the detector is."""

    empty_share: Ratio = Field(description="empty slices among the test slices")
    auroc_without_empty: Share | None = Field(description="of the score; null where no slice is empty")
    position_matched_auroc: Share | None = Field(description="of the score, among slices of one tenth of the scan")
    normals_of_patients_with_lesions: MixedNormals = Field(description="normal is not healthy")
    patients_in_several_splits: Count | None = Field(description="of the split; null where it or they are not known")
    near_duplicates: NearDuplicates | None = Field(description="across the split; null where there are no images")
    acquisition: list[AcquiredApart] = Field(
        default=[], description="how abnormal scans were made otherwise than the others; empty where nothing tells them"
    )
    labels_seen: str = Field(description="which labels training or the choice of the checkpoint saw")
    not_audited: list[str] = Field(description="what could not be checked, and why")


class Blank(Strict):
    """How empty slices score."""

    share: Ratio = Field(description="empty slices among the test slices")
    normal_below: Ratio | None = Field(description="normal slices with content that score below the mean empty one")


class Provenance(Strict):
    """Where the figures come from."""

    title: str = Field(description="what was evaluated")
    unit: Literal["patient", "case", "file", "cluster", "scan", "image"] = Field(
        description="what is resampled; other than patient: no patient is known, and each of these counts as one"
    )
    resamples: Count = Field(description="of the bootstrap")
    seed: int = Field(description="of the bootstrap")
    split: str = Field(description="the split that is reported on")
    detector: str | None = Field(default=None, description="of a run; absent for anyone's scores, as the next five")
    recipe: str | None = Field(default=None, description="of a run")
    profile: str | None = Field(default=None, description="of a run")
    store_fingerprint: str | None = Field(default=None, description="of the prepared slices")
    allow_leak: bool = Field(default=False, description="whether a leaking split was allowed")
    patients_in_several_splits: Count = Field(description="counted slice by slice")
    checkpoint_choice: str = Field(description="what chose the checkpoint")
    split_sentences: list[str] = Field(description="how the split was made, and its counts")
    preparation: str = Field(default="", description="what was made of the slices, and how brains were found")
    skipped: str = Field(description="scans left out; may be empty")
    cost: str = Field(description="times, images/s, memory, as far as written down")
    findings: dict[str, Any] = Field(default={}, description="findings.json of the run")
    hashes: dict[str, str] = Field(description="SHA-256 of the tables and weights, by name")
    tables: dict[str, dict[str, Any]] = Field(description="settings and versions")
    anomae: str = Field(description="version that made the report")


class Assessment(Strict):
    """The sections of report.json that scores and labels give."""

    verdict: str = Field(description="what the score is worth, in one sentence")
    tone: Literal["above", "level", "below"] = Field(description="the score against the best baseline and chance")
    slice: MetricFigures = Field(description="the detector's score, slice by slice")
    scores: dict[str, ScoreFigures | None] = Field(
        description="every score column: `score`, `score_<name>`; `score_neighbours` is smoothed over the scan's slices"
    )
    trivial_baselines: dict[str, TrivialBaselineFigures] = Field(
        description="AUROC of the trivial baselines, the best first"
    )
    best_trivial_baseline: str | None = Field(description="the best of them that saw no label")
    gain: Difference | None = Field(description="AUROC of `score` minus that of `best_trivial_baseline`")
    strata: dict[str, Stratum] = Field(
        description="all, without_empty, mid, `site: NAME`, `scanner: ...`, `source: ...`"
    )
    matched: dict[str, Matched] = Field(description="position, tissue_area, site, scanner, source")
    bands: dict[str, list[Band]] = Field(description="AUROC within fifths: position, tissue_area")
    patient: Aggregate | None = Field(description="by patient; null where each has one slice")
    volume: Aggregate | None = Field(description="by scan; null where each has one slice")
    blank: Blank = Field(description="empty slices")
    notes: list[str] = Field(description="what limits the figures, a sentence each")


class ReportContent(Assessment):
    """report.json."""

    schema_version: Literal[3] = Field(default=3, description="of this schema")
    pixel: Pixel | None = Field(description="maps; null where no mask or no map is known")
    findings: FindingFigures | None = Field(
        default=None, description="regions of the maps against lesions; null where no mask or no map is known"
    )
    pretext: Pretext | None = Field(
        default=None, description="on held-out normals; null where the detector learned from no pseudo-lesions"
    )
    operating_point: OperatingPoint = Field(
        description="thresholds from normals only, and what they achieve on the test split"
    )
    audit: Audit = Field(description="what may make the figures better than the detector is")
    counts: dict[str, dict[str, Count]] = Field(description="by split, as prepared; `scored`: what the figures rest on")
    warnings: list[str] = Field(description="what makes the figures too good or incomplete")
    provenance: Provenance = Field(description="where this comes from")
    definitions: dict[str, str] = Field(description="what each figure means, a sentence each")
