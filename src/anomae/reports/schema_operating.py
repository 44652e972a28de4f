"""What report.json says of thresholds from normal slices alone."""

from typing import Literal

from pydantic import Field

from anomae.reports.schema_values import Count, Ratio, Share, Strict


class CalibrationSet(Strict):
    """The held-out normal slices that thresholds are taken from."""

    source: str = Field(description="in words")
    patients: Count = Field(description="how many")
    slices: Count = Field(description="how many")


class OperatingThreshold(Strict):
    """A threshold and its bound on the false-positive rate."""

    threshold: float = Field(description="what is above it is flagged")
    bound_asked: Ratio = Field(description="the bound that was asked for")
    bound: Ratio = Field(description="the bound that holds: the one asked for, or 1 / (patients + 1)")
    reachable: bool = Field(description="whether there were calibration patients enough for what was asked")
    calibration_patients_needed: Count = Field(description="for what was asked")
    sentence: str = Field(description="what the threshold guarantees, in words")
    false_positive_rate: Share | None = Field(description="on the test split: what the bound limits")
    specificity: Share | None = Field(description="on the test split; of patients: of those without a lesion")
    sensitivity: Share | None = Field(description="on the test split")
    balanced_accuracy: Share | None = Field(description="mean of the two")


class GroupFigures(Strict):
    """One site, scanner or source at the threshold of slices."""

    kind: Literal["site", "scanner", "source"] = Field(description="what the group is")
    name: str = Field(description="its name")
    slices: Count = Field(description="tested slices")
    patients: Count = Field(description="with a tested slice")
    specificity: Share | None = Field(description="of its slices")
    sensitivity: Share | None = Field(description="of its slices")


class SliceThreshold(OperatingThreshold):
    """Per slice: false_positive_rate is the mean over patients of the share of their normal slices flagged."""

    groups: list[GroupFigures] = Field(description="where groups are known")


class PatientThreshold(OperatingThreshold):
    """Per patient, flagged where any slice is: false_positive_rate counts patients with a normal slice flagged."""

    flagged_in_an_abnormal_slice: Share | None = Field(
        description="of the patients with a lesion, those with an abnormal slice flagged"
    )


class OperatingPoint(Strict):
    """Thresholds from held-out normal slices alone (split conformal, patients exchangeable)."""

    calibration: CalibrationSet | None = Field(description="null where there is none")
    sentence: str = Field(description="where thresholds come from, or why there are none")
    doubts: list[str] = Field(description="why the bounds may not hold")
    slice: SliceThreshold | None = Field(description="the threshold for slices")
    patient: PatientThreshold | None = Field(description="the threshold for whole patients")
