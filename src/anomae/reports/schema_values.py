"""Figures with intervals, as every part of report.json holds them."""

from typing import Annotated

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
