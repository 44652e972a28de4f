"""What report.json says of maps: by pixel, by lesion, at a threshold."""

from typing import Literal

from pydantic import Field

from anomae.reports.schema_values import Count, Ratio, Share, Strict


class Lesions(Strict):
    """Lesions of one size; a lesion is a connected piece (8 neighbours) of the mask in one slice."""

    lesions: Count = Field(description="how many")
    smallest_px: Count = Field(description="pixels of the smallest")
    largest_px: Count = Field(description="pixels of the largest")
    detected: Share | None = Field(description="with at least half of their pixels flagged")
    touched: Share | None = Field(description="with any pixel flagged")


class AtThreshold(Strict):
    """A map at the threshold above which 1 % of the healthy tissue of held-out patients lies."""

    threshold: float = Field(description="what is above it is flagged")
    dice: Share | None = Field(description="over all pixels of all test slices with a known mask")
    healthy_tissue_flagged: Share | None = Field(description="share of the tissue outside lesions")
    lesions: dict[Literal["all", "small", "middle", "large"], Lesions] = Field(description="by size, in thirds")


class MapFigures(Strict):
    """One map evaluated against the masks."""

    auroc: Share = Field(description="over all pixels")
    average_precision: Share = Field(description="over all pixels")
    aupro: Share = Field(description="area under the per-region overlap curve up to a false-positive rate of 0.3")
    best_dice: Share = Field(description="at the best threshold for the tested masks: an upper bound")
    at_threshold: AtThreshold | None = Field(description="null where there is no held-out healthy map")


class Pixel(Strict):
    """Maps against lesion masks."""

    slices: Count = Field(description="with a known mask")
    lesion_share: Ratio = Field(description="of their pixels")
    note: str = Field(description="why something is missing; may be empty")
    map_name: str = Field(description="what the detector's map holds, with its unit")
    map: MapFigures = Field(description="the map of the detector")
    image_intensity: MapFigures = Field(description="the image itself taken as the map: a trivial baseline")
