"""What report.json says of the pretext task: pseudo-lesions in healthy slices that the detector has not seen."""

from pydantic import Field

from anomae.reports.schema_values import Count, Share, Strict


class PretextFamily(Share):
    """AUROC of pseudo-lesions of one family against the same slices unaltered."""

    trained: bool = Field(description="whether the detector learned from this family")


class Pretext(Strict):
    """The pretext task on held-out normal slices; no real lesion takes part."""

    slices: Count = Field(description="normal slices of the validation split, each unaltered and altered")
    families: dict[str, PretextFamily] = Field(description="by family of pseudo-lesions")
    mean: Share = Field(description="mean AUROC over all families")
    mean_trained: Share | None = Field(
        description="over those it learned from; null where it learned from none of them"
    )
    mean_left_out: Share | None = Field(description="over the others; null where there are none")
