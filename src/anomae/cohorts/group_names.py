"""Names of groups in arrays, in one spelling: "P1" and "p 1" are one patient's."""

from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.volumes.patient_ids import plain_name


class Spelling:
    """How groups are spelled first.  Numbers are taken as they are."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._first: dict[str, str] = {}
        self._names: set[str] = set()

    def learn(self, groups: npt.NDArray[Any]) -> None:
        """Take note of groups (n,), of any type; those that came before keep their spelling."""
        for name in _texts(groups) if groups.dtype.kind in "US" else ():
            self._names.add(name)
            self._first.setdefault(plain_name(name), name)

    def named(self, groups: npt.NDArray[Any]) -> list[str]:
        """Groups (n,) as text, each as it was first spelled."""
        texts = _texts(groups)
        return [self._first.get(plain_name(name), name) for name in texts] if groups.dtype.kind in "US" else texts

    @property
    def others(self) -> int:
        """How many names are others but for their spelling."""
        return len(self._names) - len(self._first)


def _texts(groups: npt.NDArray[Any]) -> list[str]:
    texts: list[str] = groups.astype(np.str_).tolist()
    return texts
