"""The data sets that `anomae reproduce` knows, how each is prepared, and the method's recipe at each scale."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anomae.detectors.method import Scale
from anomae.reproduction.cells import BRATS, LUNA


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A data set of `anomae reproduce`.

    cohort, options: as `anomae prepare` takes them.  image_size, recipe: pixels of a side, and the recipe of the
    paper's method, by scale.  paper: which data set of the paper its figures are set beside.
    """

    cohort: str
    paper: str
    image_size: Mapping[Scale, int]
    recipe: Mapping[Scale, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    allow_leak: bool = False


_METHOD: dict[Scale, str] = {"tiny": "phantom", "small": "reproduce-small", "paper": "brats2020"}
_PATCHES: dict[Scale, str] = {"tiny": "phantom", "small": "reproduce-small-patches", "paper": "luna16"}

REPRODUCTIONS: dict[str, Reproduction] = {
    "brats2020": Reproduction("brats2020", BRATS, {"tiny": 32, "small": 64, "paper": 224}, _METHOD),
    "luna16": Reproduction("luna16", LUNA, {"tiny": 32, "small": 48, "paper": 64}, _PATCHES),
    "lgg": Reproduction("lgg", BRATS, {"tiny": 32, "small": 64, "paper": 224}, _METHOD),
    "luna16-patches": Reproduction(
        "arrays",
        LUNA,
        {"tiny": 32, "small": 48, "paper": 64},
        _PATCHES,
        {
            "blocks": "candidate_row train=:330000 validation=334000:352000 test=352000:",
            "groups": "candidate_row//500",
        },
    ),
    "demo": Reproduction("folder", BRATS, {"tiny": 32, "small": 64, "paper": 224}, _METHOD, {"near_duplicates": True}),
    "phantom": Reproduction("phantom", BRATS, {"tiny": 32, "small": 64, "paper": 224}, _METHOD),
}
