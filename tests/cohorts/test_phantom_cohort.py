import numpy as np
import pytest

from anomae.cohorts.phantom_cohort import Phantoms
from anomae.cohorts.registry import open_cohort
from anomae.errors import UserError
from anomae.phantoms.layouts import LAYOUTS, write_phantom_data_set


def test_heads_are_made_by_seed_and_number():
    heads = open_cohort("phantom", "heads:5", size="8x16x16", seed=1)
    assert len(heads.cases()) == 5
    found = [heads.read(case) for case in heads.cases()]
    assert [bool(each.lesions.any()) for each in found] == [False, True, False, True, False]
    assert found[0].images.shape == (8, 1, 16, 16)
    again = open_cohort("phantom", "heads:9", size="8x16x16", seed=1)
    np.testing.assert_array_equal(again.read(again.cases()[4]).images, found[4].images)
    other = open_cohort("phantom", "heads:5", size="8x16x16", seed=2)
    assert not np.array_equal(other.read(other.cases()[0]).images, found[0].images)
    t1 = open_cohort("phantom", "heads:5", size="8x16x16", seed=1, modality="t1")
    np.testing.assert_array_equal(t1.read(t1.cases()[1]).lesions, found[1].lesions)
    assert not np.array_equal(t1.read(t1.cases()[1]).images, found[1].images)


def test_the_word_alone_makes_enough_to_split():
    assert len(open_cohort("phantom", "heads").cases()) == 24


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"dicom"}))  # series to be scored, not a data set
def test_every_layout_is_known_by_its_look(layout, tmp_path):
    write_phantom_data_set(tmp_path, layout, count=3, seed=0, shape=(12, 24, 24))
    cohort = Phantoms(tmp_path)
    assert cohort.name == "phantom"
    labels = {label for case in cohort.cases() for label in cohort.read(case).labels.tolist()}
    assert labels == {0, 1}


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("heads:1", {}),
        ("heads:x", {}),
        ("chests", {}),
        ("heads", {"size": "8x8"}),
        ("heads", {"size": "8x8x-8"}),
        ("heads", {"size": "8x8x9999"}),
        ("heads", {"modality": "pd"}),
    ],
)
def test_what_cannot_be_made_is_refused(source, options):
    with pytest.raises(UserError):
        open_cohort("phantom", source, **options)
