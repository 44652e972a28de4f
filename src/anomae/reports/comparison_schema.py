"""The schema of compare.json, as `schema` is of report.json."""

from typing import Any, Literal

from pydantic import Field

from anomae.reports.schema import ComparedBaseline, ScoreFigures
from anomae.reports.schema_values import Count, Difference, Ratio, Share, Signed, Strict


class ComparedRun(ScoreFigures):
    """One run among others, on the slices that all of them scored."""

    position_matched_auroc: Share | None = Field(description="among slices of one tenth of the scan")


class DeLongFigures(Strict):
    """DeLong's test of a difference, images of one patient taken together; all but value null: too few patients."""

    value: Signed = Field(description="AUROC of one minus that of the other")
    low: Signed | None = Field(description="of the 95 % interval")
    high: Signed | None = Field(description="of the 95 % interval")
    z: float | None = Field(description="the difference over its standard error; null also where that is 0")
    p: Ratio | None = Field(description="two-sided")
    p_holm: Ratio | None = Field(description="adjusted for the number of pairs with a p (Holm)")


class Pair(Strict):
    """Two runs on the same images."""

    one: str = Field(description="a run")
    other: str = Field(description="another")
    difference: Difference = Field(description="AUROC of one minus that of the other, paired, by patient")
    delong: DeLongFigures = Field(description="the same by DeLong")


class Spread(Strict):
    """A metric over seeds."""

    mean: Ratio = Field(description="over the runs")
    sd: float = Field(ge=0, description="standard deviation, n - 1")
    min: Ratio = Field(description="the lowest")
    max: Ratio = Field(description="the highest")


class SeedSpread(Strict):
    """Runs that differ by seed alone."""

    runs: list[str] = Field(description="their names")
    metrics: dict[str, Spread] = Field(description="every metric")


class Comparison(Strict):
    """The sections of compare.json that scores and labels give."""

    verdict: str = Field(description="which run is best, by how much, and beside which baseline")
    runs: dict[str, ComparedRun] = Field(description="by name of its folder")
    merged: ComparedRun | None = Field(description="mean over runs of the rank of a slice among the common slices")
    pairs: list[Pair] = Field(description="every two runs")
    seeds: dict[str, SeedSpread] = Field(description="runs that differ by seed alone, by the first of them")
    trivial_baselines: dict[str, ComparedBaseline] = Field(description="the trivial baselines, the best first")
    best_trivial_baseline: str | None = Field(description="the best of them that saw no label")


class ComparisonContent(Comparison):
    """compare.json."""

    schema_version: Literal[2] = Field(default=2, description="of this schema")
    counts: dict[str, Count] = Field(description="what the figures are computed on")
    notes: list[str] = Field(description="what limits the figures, a sentence each")
    provenance: dict[str, Any] = Field(description="unit, resamples, seed, versions; of each run its settings and hash")
    definitions: dict[str, str] = Field(description="what each figure means, a sentence each")
