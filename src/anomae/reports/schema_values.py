"""Figures with intervals, as every section of report.json holds them.

In this room `figures` are numbers, a `plot` is a drawn chart (SVG or PNG), and a `picture` is an image of a slice.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anomae.statistics.intervals import Estimate, Interval
from anomae.statistics.metric_specs import METRICS

_TINY = 1e-9  # for sums that round
Ratio = Annotated[float, Field(ge=-_TINY, le=1 + _TINY)]
Signed = Annotated[float, Field(ge=-1 - _TINY, le=1 + _TINY)]
Count = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    """No other key, no NaN; unchangeable."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Figure(Strict):
    """A number with its 95 % interval."""

    value: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, figure: Estimate | Interval, **more: Any) -> Self:
        """Of an estimate or its interval; more: what else the class holds."""
        interval = figure.interval() if isinstance(figure, Estimate) else figure
        return cls(value=interval.value, low=interval.low, high=interval.high, **more)

    @classmethod
    def of_known(cls, figure: Estimate | Interval | None) -> Self | None:
        """As `of`; None of None."""
        return None if figure is None else cls.of(figure)

    @property
    def interval(self) -> Interval:
        """To be printed."""
        return Interval(self.value, self.low, self.high)


class Share(Figure):
    """A share or an area, 0..1, with its 95 % interval."""

    value: Ratio = Field(description="on all test slices")
    low: Ratio | None = Field(description="lower end, by patient; null: too few patients")
    high: Ratio | None = Field(description="upper end, likewise")


class Difference(Figure):
    """One AUROC minus another, -1..1, with its paired 95 % interval."""

    value: Signed = Field(description="on all test slices")
    low: Signed | None = Field(description="lower end, on the same resamples; null: too few patients")
    high: Signed | None = Field(description="upper end, likewise")


class MetricFigures(Strict):
    """A figure for each metric of `anomae.statistics.metric_specs.METRICS`; null where one class is missing."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Share | None]

    def __getitem__(self, metric: str) -> Share | None:
        """The figure of a metric by its name."""
        return (self.__pydantic_extra__ or {})[metric]

    @classmethod
    def of(cls, figures: Mapping[str, Estimate] | None, **more: Any) -> Self:
        """Of estimates by metric, None where there are none; more: what else the class holds."""
        shares = {name: Share.of(figures[name]) if figures else None for name in METRICS}
        return cls.model_validate({**shares, **more})

    @model_validator(mode="after")
    def _every_metric(self) -> Self:
        names = set(self.__pydantic_extra__ or {})
        if names != set(METRICS):
            raise ValueError(f"the metrics are {', '.join(METRICS)}, not {', '.join(sorted(names)) or 'none'}")
        return self
