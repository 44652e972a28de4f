"""What report.json says of findings: connected regions of the maps over the slices of a scan, against lesions."""

from typing import Annotated, Literal

from pydantic import Field

from anomae.reports.schema_values import Count, Figure, Ratio, Share, Strict

NotNegative = Annotated[float, Field(ge=0)]


class Rate(Figure):
    """A mean of counts, 0 or more, with its 95 % interval."""

    value: NotNegative = Field(description="mean over the scans")
    low: NotNegative | None = Field(description="lower end, by patient; null: too few patients")
    high: NotNegative | None = Field(description="upper end, likewise")


class FoundLesions(Strict):
    """Lesions of one size."""

    lesions: Count = Field(description="how many")
    smallest: Count = Field(description="voxels of the smallest, of the prepared slices")
    largest: Count = Field(description="voxels of the largest")
    found: Share | None = Field(description="with a true finding that overlaps them")


class FindingsAtThreshold(Strict):
    """Findings above the threshold that new scans are judged by."""

    threshold: float = Field(description="of the map, from the highest values of held-out healthy slices")
    bound: Ratio = Field(description="the probability that a healthy slice has anything above it, at most")
    findings: Count = Field(description="how many in all scans")
    true: Share | None = Field(description="of these, with at least a tenth of their voxels in a lesion")
    lesions: dict[Literal["all", "small", "middle", "large"], FoundLesions] = Field(description="by size, in thirds")
    false_per_scan: Rate | None = Field(description="findings that are not true, a scan")
    false_per_healthy_scan: Rate | None = Field(description="in scans without a lesion; null where there is none")


class FrocPoint(Strict):
    """A point of the FROC curve."""

    score: float = Field(description="findings whose maximum is this or higher count")
    false_per_scan: NotNegative = Field(description="mean number of false findings")
    recall: Ratio = Field(description="share of the lesions found")


class FrocFigures(Strict):
    """Recall against false findings per scan, as findings of ever lower maxima are counted."""

    base: float = Field(description="findings are the regions above this: 1 % of held-out healthy tissue is")
    sensitivity: dict[Literal["1/8", "1/4", "1/2", "1", "2", "4", "8"], Share] = Field(
        description="recall with at most so many false findings per scan"
    )
    mean: Share = Field(description="mean of these seven")
    most_false_per_scan: NotNegative = Field(description="where the curve ends; beyond, sensitivity stays")
    curve: list[FrocPoint] = Field(description="at most 200 points")


class FindingFigures(Strict):
    """Findings of the maps against lesions."""

    unit: Literal["scan", "image"] = Field(
        description="scan: findings go through its slices (26 neighbours); image: each stands alone (8 neighbours)"
    )
    scans: Count = Field(description="with a known mask; images where each stands alone")
    healthy_scans: Count = Field(description="of these, without a lesion")
    lesions: Count = Field(description="connected regions of the masks")
    threshold_sentence: str = Field(description="the threshold of findings, or why there is none")
    at_threshold: FindingsAtThreshold | None = Field(description="null where there is no such threshold")
    froc: FrocFigures | None = Field(description="of the map; null where there are no maps of held-out normal slices")
    image_intensity: FrocFigures | None = Field(description="the image itself as the map: a trivial baseline")
    note: str = Field(description="what limits these figures; may be empty")
