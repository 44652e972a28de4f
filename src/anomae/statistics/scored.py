"""What the report knows about each scored slice, as plain columns."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ScoredSlices:
    """n scored slices of known label, each column (n,).

    label: 0 normal, 1 abnormal.  slice: the number within its case, -1 where unknown.  relative_position: in the
    scan, 0 first slice .. 1 last, NaN where unknown.  empty: no content at all.  body_fraction: share of the image that
    is tissue, NaN where unknown.  filled: share of the slice as scanned that is above 0.08 of its scan's maximum, NaN
    where unknown.  site, scanner: where and on what it was made; source: what kind of file a picture is;
    "" where unknown, None where nothing is known of any.
    """

    case: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]
    slice: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    relative_position: npt.NDArray[np.float64]
    empty: npt.NDArray[np.bool_]
    body_fraction: npt.NDArray[np.float64]
    site: npt.NDArray[np.str_]
    scanner: npt.NDArray[np.str_] | None = None
    source: npt.NDArray[np.str_] | None = None
    filled: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def both_classes(self) -> bool:
        """Whether there is a normal and an abnormal slice."""
        return 0 < int(np.count_nonzero(self.label)) < len(self)

    def take(self, indices: npt.NDArray[np.int64]) -> "ScoredSlices":
        """These slices only, in this order."""
        columns = ((field.name, getattr(self, field.name)) for field in fields(self))
        chosen: dict[str, Any] = {name: None if column is None else column[indices] for name, column in columns}
        return ScoredSlices(**chosen)

    def groups(self) -> dict[str, npt.NDArray[np.str_]]:
        """site, scanner and source, those in which at least two names are known; (n,) each, "" where unknown."""
        columns = {"site": self.site, "scanner": self.scanner, "source": self.source}
        return {
            kind: column
            for kind, column in columns.items()
            if column is not None and len(np.unique(column[column != ""])) > 1
        }
