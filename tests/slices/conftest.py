"""Made-up cases and a made-up cohort that stands on no disk."""

from pathlib import Path

import numpy as np
import pytest

from anomae.cohorts.case import ABNORMAL, GREY, HEALTHY, Case, CaseSlices
from anomae.errors import UnreadableScan
from anomae.slices.rows import rows_or_reason
from anomae.slices.settings import settings_from


def made_up_case(seed=0, count=6, shape=(20, 24), lesions=True, kind=np.int16, **more):
    """A bright body on air, the first slice empty, lesions in the slices 2, 5, ..."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, *shape))
    images[1:-1, 4:-4, 4:-4] = rng.normal(400, 40, (count - 2, shape[0] - 8, shape[1] - 8))
    found = np.zeros(images.shape, np.bool_)
    found[2::3, 8:12, 8:12] = True
    images[found] = 800
    return CaseSlices(
        **{
            "images": images.astype(kind),
            "slices": np.arange(count),
            "labels": np.where(found.any(axis=(1, 2)), ABNORMAL, HEALTHY).astype(np.int8),
            "lesions": None if lesions is False else found,
            "positions_mm": np.arange(count) * 2.5 - 10,
            "spacing_mm": (1.5, 1.0),
        }
        | more
    )


class MadeUpCohort:
    """Cases by name -> CaseSlices, or the sentence with which reading fails."""

    name = "folder"

    def __init__(self, found, splits=None, channel_names=GREY):
        self.found, self.splits, self.channel_names = found, splits or {}, channel_names

    def cases(self):
        return [
            Case(name, name, Path(f"scans/{name}"), split=self.splits.get(name, "train"), site="A")
            for name in self.found
        ]

    def read(self, case):
        found = self.found[case.case]
        if isinstance(found, str):
            raise UnreadableScan(found)
        if isinstance(found, Exception):
            raise found
        return found

    def notes(self):
        return ()


@pytest.fixture
def make_case():
    return made_up_case


@pytest.fixture
def make_cohort():
    return MadeUpCohort


@pytest.fixture
def write():
    """Append every case of a cohort to a writer, from where it stands."""

    def append_all(writer, cohort, splits, settings):
        for case in cohort.cases()[writer.done :]:
            made = rows_or_reason(case, cohort, splits, settings)
            if isinstance(made, str):
                writer.skip(case, made)
            else:
                writer.append(case, made)

    return append_all


@pytest.fixture
def small():
    return settings_from({"image_size": (16, 12)})
