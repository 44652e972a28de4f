"""The schema of compare.json, as `schema` is of report.json."""

from typing import Any, Literal

from pydantic import Field

from anomae.reports.schema import SliceFigures
from anomae.reports.schema_values import Count, Difference, Ratio, Share, Signed, Strict


class ComparedRun(SliceFigures):
    """One run among others, on the slices that all of them judged."""

    gain: Difference | None = Field(description="its AUROC minus that of `best_trivial_baseline`")
    position_matched_auroc: Share | None = Field(description="among slices of one tenth of the scan")


class DeLongFigures(Strict):
    """DeLong's test of a difference; it takes images as independent."""

    value: Signed = Field(description="AUROC of one minus that of the other")
    low: float = Field(description="of the 95 % interval")
    high: float = Field(description="of the 95 % interval")
    z: float | None = Field(description="the difference over its standard error; null where that is 0")
    p: Ratio = Field(description="two-sided")
    p_holm: Ratio = Field(description="adjusted for the number of pairs (Holm)")


class Pair(Strict):
    """Two runs on the same images."""

    one: str = Field(description="a run")
    other: str = Field(description="another")
    difference: Difference = Field(description="AUROC of one minus that of the other, paired, by patient")
    delong: DeLongFigures = Field(description="the same by DeLong")


class ComparedBaseline(Share):
    """AUROC of a trivial baseline on the common slices."""

    title: str = Field(description="its name in sentences")
    uses_labels: bool = Field(description="whether it has seen labels")


class ComparisonContent(Strict):
    """compare.json."""

    schema_version: Literal[1] = Field(description="of this schema")
    verdict: str = Field(description="which run is best, by how much, and beside which baseline")
    runs: dict[str, ComparedRun] = Field(description="by name of its folder")
    merged: ComparedRun | None = Field(description="mean over runs of the rank of a slice among the common slices")
    pairs: list[Pair] = Field(description="every two runs")
    seeds: dict[str, dict[str, Any]] = Field(
        description="runs that differ by seed alone: `runs`, and of every metric mean, sd (n - 1), min, max"
    )
    trivial_baselines: dict[str, ComparedBaseline] = Field(description="the trivial baselines, the best first")
    best_trivial_baseline: str | None = Field(description="the best of them that saw no label")
    counts: dict[str, Count] = Field(description="what the figures rest on")
    notes: list[str] = Field(description="what must be known, a sentence each")
    provenance: dict[str, Any] = Field(description="unit, resamples, seed, versions; of each run its settings and hash")
    definitions: dict[str, str] = Field(description="what each figure means, a sentence each")
