"""The schema of report.json: every key, what it holds, its range; each report is checked against it when written.

docs/report.md is printed from these classes by `python docs/report_schema.py`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_TINY = 1e-9  # for sums that round
Ratio = Annotated[float, Field(ge=-_TINY, le=1 + _TINY)]
Signed = Annotated[float, Field(ge=-1 - _TINY, le=1 + _TINY)]
Count = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    """No other key, no NaN."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Share(Strict):
    """A share or an area, 0..1, with its 95 % interval."""

    value: Ratio = Field(description="on all test slices")
    low: Ratio | None = Field(description="2.5th percentile over resamples of whole patients; null: too few patients")
    high: Ratio | None = Field(description="97.5th percentile, likewise")


class Pretext(Share):
    """AUROC of pseudo-lesions of one family against untouched slices, on held-out normals."""

    trained: bool = Field(description="whether the detector learned from this family")


class Difference(Strict):
    """One AUROC minus another, -1..1, with its paired 95 % interval."""

    value: Signed = Field(description="on all test slices")
    low: Signed | None = Field(description="2.5th percentile; both are judged on the same resamples of patients")
    high: Signed | None = Field(description="97.5th percentile, likewise")


class SliceFigures(Strict):
    """The metrics of one score; each is a Share, or null where one class is missing."""

    auroc: Share | None = Field(description="area under the ROC curve; 0.5 is chance")
    average_precision: Share | None = Field(description="precision averaged over steps of recall")
    fpr_at_95_tpr: Share | None = Field(description="normal flagged where 95 % of the abnormal are found")
    sensitivity_at_90_specificity: Share | None = Field(description="found with at most 10 % of the normal flagged")
    sensitivity_at_95_specificity: Share | None = Field(description="found with at most 5 % of the normal flagged")
    sensitivity_at_99_specificity: Share | None = Field(description="found with at most 1 % of the normal flagged")


class ScoreFigures(SliceFigures):
    """The metrics of one score column, and what it gains."""

    gain: Difference | None = Field(description="its AUROC minus that of `best_floor`")


class FloorFigures(Share):
    """AUROC of a trivial rival."""

    title: str = Field(description="its name in sentences")
    direction: str = Field(description="what was fixed beforehand to be more abnormal")
    uses_labels: bool = Field(description="whether it has seen labels; such a rival is never `best_floor`")


class BesideRivals(Strict):
    """AUROC of every score and rival on some slices."""

    scores: dict[str, Share | None] = Field(description="by score column")
    floors: dict[str, Share | None] = Field(description="by rival, as in `floors`")
    best_floor: str | None = Field(description="the best rival here that saw no label")
    gain: Difference | None = Field(description="of `score` over it")


class Stratum(BesideRivals):
    """One part of the test slices."""

    slices: Count = Field(description="in this part")
    abnormal: Count = Field(description="of these")
    normal: Count = Field(description="of these")
    patients: Count = Field(description="with a slice here")


class Matched(BesideRivals):
    """Only pairs of slices of one band are compared."""

    bands: Count = Field(description="bands with both classes")


class Band(Strict):
    """A fifth of the scan, or of the slices by tissue area."""

    name: str = Field(description="its limits")
    normal: Count = Field(description="slices")
    abnormal: Count = Field(description="slices")
    score: Share | None = Field(description="AUROC of the score within; null where one class is missing")
    floor: Share | None = Field(description="AUROC of the report's `best_floor` within")


class Whole(Strict):
    """Whole patients or scans, abnormal where any slice is; null figures where all are of one class."""

    normal: Count = Field(description="units without an abnormal slice")
    abnormal: Count = Field(description="units with one")
    max: Share | None = Field(description="AUROC of the highest slice score")
    mean_of_top_3: Share | None = Field(description="AUROC of the mean of the three highest")
    slices: Share | None = Field(description="AUROC of the number of slices: a trivial rival")
    metrics: dict[Literal["max", "mean_of_top_3"], SliceFigures] = Field(description="every metric of each aggregation")


class Lesions(Strict):
    """Lesions of one size; a lesion is a connected piece (8 neighbours) of the mask in one slice."""

    lesions: Count = Field(description="how many")
    smallest_px: Count = Field(description="pixels of the smallest")
    largest_px: Count = Field(description="pixels of the largest")
    found: Share | None = Field(description="with at least half of their pixels flagged")
    touched: Share | None = Field(description="with any pixel flagged")


class AtThreshold(Strict):
    """A map at the threshold above which 1 % of the healthy tissue of held-out patients lies."""

    threshold: float = Field(description="what is above it is flagged")
    dice: Share | None = Field(description="over all pixels of all test slices with a known mask")
    healthy_tissue_flagged: Share | None = Field(description="share of the tissue outside lesions")
    lesions: dict[Literal["all", "small", "middle", "large"], Lesions] = Field(description="by size, in thirds")


class MapFigures(Strict):
    """One map judged against the masks."""

    auroc: Share = Field(description="over all pixels")
    average_precision: Share = Field(description="over all pixels")
    aupro: Share = Field(description="area under the per-region overlap curve up to a false-positive rate of 0.3")
    best_dice: Share = Field(description="at the best threshold for these very masks: an upper bound")
    at_threshold: AtThreshold | None = Field(description="null where there is no held-out healthy map")


class Pixel(Strict):
    """Maps against lesion masks."""

    slices: Count = Field(description="with a known mask")
    lesion_share: Ratio = Field(description="of their pixels")
    note: str = Field(description="why something is missing; may be empty")
    map: MapFigures = Field(description="the map of the detector")
    image_intensity: MapFigures = Field(description="the image itself taken as the map: a trivial rival")


class CalibrationSet(Strict):
    """The held-out normal slices that thresholds are taken from."""

    source: str = Field(description="in words")
    patients: Count = Field(description="how many")
    slices: Count = Field(description="how many")


class Promise(Strict):
    """A threshold and its bound on false alarms."""

    threshold: float = Field(description="what is above it is flagged")
    bound_asked: Ratio = Field(description="the bound that was asked for")
    bound: Ratio = Field(description="the bound that is promised: the asked one, or 1 / (patients + 1)")
    reachable: bool = Field(description="whether there were calibration patients enough for what was asked")
    calibration_patients_needed: Count = Field(description="for what was asked")
    sentence: str = Field(description="the promise in words")
    false_positive_rate: Share | None = Field(description="seen on the test part; what the bound is about")
    specificity: Share | None = Field(description="seen on the test part; of patients: of those without a lesion")
    sensitivity: Share | None = Field(description="seen on the test part")
    balanced_accuracy: Share | None = Field(description="mean of the two")


class GroupFigures(Strict):
    """One site, scanner or source at the threshold of slices."""

    kind: Literal["site", "scanner", "source"] = Field(description="what the group is")
    name: str = Field(description="its name")
    slices: Count = Field(description="tested slices")
    patients: Count = Field(description="with a tested slice")
    specificity: Share | None = Field(description="of its slices")
    sensitivity: Share | None = Field(description="of its slices")


class SlicePromise(Promise):
    """Per slice: false_positive_rate is the mean over patients of the share of their normal slices flagged."""

    groups: list[GroupFigures] = Field(description="where groups are known")


class PatientPromise(Promise):
    """Per patient, flagged where any slice is: false_positive_rate counts patients with a normal slice flagged."""

    found_in_an_abnormal_slice: Share | None = Field(description="patients with a lesion, flagged in a slice with one")


class OperatingPoint(Strict):
    """Thresholds from held-out normal slices alone (split conformal, patients exchangeable)."""

    calibration: CalibrationSet | None = Field(description="null where there is none")
    sentence: str = Field(description="where thresholds come from, or why there are none")
    doubts: list[str] = Field(description="why the bounds may not hold")
    slice: SlicePromise | None = Field(description="the threshold for slices")
    patient: PatientPromise | None = Field(description="the threshold for whole patients")


class Twins(Strict):
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
    by_part: dict[str, Ratio] = Field(description="their share by part, as prepared; empty where not known")


class Audit(Strict):
    """What to know before believing the figures."""

    empty_share: Ratio = Field(description="empty slices among the test slices")
    auroc_without_empty: Share | None = Field(description="of the score; null where no slice is empty")
    position_matched_auroc: Share | None = Field(description="of the score, among slices of one tenth of the scan")
    normals_of_patients_with_lesions: MixedNormals = Field(description="normal is not healthy")
    patients_on_two_sides: Count | None = Field(description="of the split; null where it is not known")
    near_duplicates: Twins | None = Field(description="across the split; null where there are no images")
    labels_seen: str = Field(description="which labels training or the choice of the checkpoint saw")
    not_audited: list[str] = Field(description="what could not be checked, and why")


class Blank(Strict):
    """Where empty slices stand."""

    share: Ratio = Field(description="empty slices among the test slices")
    normal_below: Ratio | None = Field(description="normal slices with content that score below the mean empty one")


class Provenance(Strict):
    """Where the figures come from."""

    title: str = Field(description="what was judged")
    unit: Literal["patient", "case"] = Field(description="what is resampled")
    resamples: Count = Field(description="of the bootstrap")
    seed: int = Field(description="of the bootstrap")
    part: str = Field(description="the part that is reported on")
    detector: str | None = Field(default=None, description="of a run; absent for anyone's scores, as the next five")
    recipe: str | None = Field(default=None, description="of a run")
    profile: str | None = Field(default=None, description="of a run")
    store_fingerprint: str | None = Field(default=None, description="of the prepared slices")
    allow_leak: bool = Field(default=False, description="whether a leaking split was allowed")
    patients_on_two_sides: Count = Field(description="counted anew")
    checkpoint_choice: str = Field(description="what chose the checkpoint")
    split_sentences: list[str] = Field(description="how the split was made, counted anew")
    preparation: str = Field(default="", description="what was made of the slices, and how brains were found")
    skipped: str = Field(description="scans left out; may be empty")
    cost: str = Field(description="times, images/s, memory, as far as written down")
    findings: dict[str, Any] = Field(default={}, description="findings.json of the run")
    hashes: dict[str, str] = Field(description="SHA-256 of the tables and weights, by name")
    tables: dict[str, dict[str, Any]] = Field(description="settings and versions")
    anomae: str = Field(description="version that made the report")


class ReportContent(Strict):
    """report.json."""

    schema_version: Literal[2] = Field(description="of this schema")
    verdict: str = Field(description="what the score is worth, in one sentence")
    tone: Literal["above", "level", "below"] = Field(description="the score against the best rival and chance")
    slice: SliceFigures = Field(description="the detector's score, slice by slice")
    scores: dict[str, ScoreFigures | None] = Field(
        description="every score column: `score`, `score_<name>`; `score_neighbours` is smoothed over the scan's slices"
    )
    floors: dict[str, FloorFigures] = Field(description="AUROC of the trivial rivals, the best first")
    best_floor: str | None = Field(description="the best of them that saw no label")
    gain: Difference | None = Field(description="AUROC of `score` minus that of `best_floor`")
    strata: dict[str, Stratum] = Field(
        description="all, without_empty, mid, `site: NAME`, `scanner: ...`, `source: ...`"
    )
    matched: dict[str, Matched] = Field(description="position, tissue_area, site, scanner, source")
    bands: dict[str, list[Band]] = Field(description="AUROC within fifths: position, tissue_area")
    patient: Whole | None = Field(description="whole patients; null where each has one slice")
    volume: Whole | None = Field(description="whole scans; null where each has one slice")
    pixel: Pixel | None = Field(description="maps; null where no mask or no map is known")
    own_task: Share | None = Field(
        default=None, description="AUROC of what it was trained to tell, on held-out normals; null where it cannot say"
    )
    pretext: dict[str, Pretext] | None = Field(
        default=None, description="by family of pseudo-lesions; null where the detector learned from none"
    )
    operating_point: OperatingPoint = Field(description="thresholds from normals only, and what they achieve")
    audit: Audit = Field(description="what to know before believing the figures")
    blank: Blank = Field(description="empty slices")
    counts: dict[str, dict[str, Count]] = Field(description="by part, as prepared; `scored`: what the figures rest on")
    notes: list[str] = Field(description="what must be known, a sentence each")
    warnings: list[str] = Field(description="what makes the figures too good or incomplete")
    provenance: Provenance = Field(description="where this comes from")
    definitions: dict[str, str] = Field(description="what each figure means, a sentence each")
