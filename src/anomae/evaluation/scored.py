"""What the report knows about each scored slice, as plain columns."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ScoredSlices:
    """n scored slices of known label, each column (n,).

    label: 0 normal, 1 abnormal.  slice: the number within its case, -1 where unknown.  relative_position: place in the
    scan, 0 first slice .. 1 last, NaN where unknown.  empty: no content at all.  body_fraction: share of the image that
    is tissue, NaN where unknown.  site: where it was made, "" where unknown.
    """

    case: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]
    slice: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    relative_position: npt.NDArray[np.float64]
    empty: npt.NDArray[np.bool_]
    body_fraction: npt.NDArray[np.float64]
    site: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def both_classes(self) -> bool:
        """Whether there is a normal and an abnormal slice."""
        return 0 < int(np.count_nonzero(self.label)) < len(self)

    def take(self, places: npt.NDArray[np.int64]) -> "ScoredSlices":
        """These slices only, in this order."""
        return ScoredSlices(**{field.name: getattr(self, field.name)[places] for field in fields(self)})
