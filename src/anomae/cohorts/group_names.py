"""Names of groups, in one spelling: "P1" and "p 1" are one patient's, and so are 1, "001" and 1.0."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.patient_names import told_notes
from anomae.volumes.headers import header_text
from anomae.volumes.patient_ids import is_missing, plain_name

_WHOLE = re.compile(r"(-?\d+)\.0+")


class Spelling:
    """How groups are spelled first, whichever type they are stored in."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._first: dict[str, str] = {}
        self._names: set[str] = set()
        self._whole: set[str] = set()

    def learn(self, groups: npt.NDArray[Any]) -> None:
        """Take note of groups (n,), of any type; those that came before keep their spelling."""
        for name, whole in dict.fromkeys(zip(array_texts(groups), _whole_numbers(groups), strict=True)):
            self._names.add(name)
            self._whole.add(whole)
            self._first.setdefault(plain_name(whole), name)

    def named(self, groups: npt.NDArray[Any]) -> list[str]:
        """Groups (n,) as text, each as it was first spelled."""
        texts, wholes = array_texts(groups), _whole_numbers(groups)
        plain = {whole: plain_name(whole) for whole in set(wholes)}
        return [self._first.get(plain[whole], name) for name, whole in zip(texts, wholes, strict=True)]

    @property
    def others(self) -> int:
        """How many names are others but for their spelling."""
        return len(self._whole) - len(self._first)

    def notes(self, counts: Mapping[str, Mapping[str, int]]) -> list[str]:
        """How patients were told, by `counts` (as told_notes takes them), and how many names were taken as another."""
        decimals = len(self._names) - len(self._whole)
        said = f"{decimals} name(s) of patients are others but for decimals (1.0 and 1); each is one patient"
        return [*told_notes(counts, self.others), *([said] if decimals else [])]


def name_nobody(groups: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which of groups (n,) are no names: NaN, empty, or what programs write where a name is missing ("None")."""
    texts = array_texts(groups)
    missing = {text for text in set(texts) if is_missing(text)}
    return np.array([text in missing for text in texts], dtype=np.bool_)


def array_texts(values: npt.NDArray[Any]) -> list[str]:
    """Values (n,) of any type as text; bytes are UTF-8, or what old programs wrote."""
    if values.dtype.kind == "S":
        return [header_text(value) for value in values.tolist()]
    texts: list[str] = values.astype(np.str_).tolist()
    return texts


def _whole_numbers(groups: npt.NDArray[Any]) -> list[str]:
    """Groups (n,) as text, whole numbers without decimals, as pandas adds them where a column has gaps."""
    texts = array_texts(groups)
    if groups.dtype.kind == "f":
        return [str(int(value)) if value.is_integer() else text for value, text in zip(groups, texts, strict=True)]
    return [match[1] if (match := _WHOLE.fullmatch(text)) else text for text in texts]
