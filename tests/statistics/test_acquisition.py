"""What tells abnormal patients from healthy ones by their files: found where it is so, and not by chance."""

import numpy as np
import pytest

from anomae.statistics.acquisition import AcquisitionFacts, acquisition_sentence, columns_apart, set_apart
from anomae.statistics.metrics import auroc
from anomae.statistics.scored import ScoredSlices


def patients(healthy, abnormal, scans=1):
    """Abnormal (n,) and patient (n,) of so many patients with so many scans each."""
    ill = np.repeat(np.arange(healthy + abnormal) >= healthy, scans)
    return ill, np.repeat([f"p{number}" for number in range(healthy + abnormal)], scans)


@pytest.mark.parametrize(("healthy", "abnormal", "told"), [(4, 20, False), (20, 4, False), (5, 5, True), (6, 30, True)])
def test_another_pixel_size_is_told_from_five_patients_on(healthy, abnormal, told):
    ill, patient = patients(healthy, abnormal)
    found = set_apart(AcquisitionFacts({"pixel size (mm)": np.where(ill, 1.25, 2.5)}), ill, patient)
    assert bool(found) == told
    if told:
        assert (found[0].healthy, found[0].abnormal, found[0].auroc) == ("2.5", "1.25", 1.0)
        assert (found[0].healthy_patients, found[0].abnormal_patients) == (healthy, abnormal)


def test_many_scans_of_few_patients_tell_nothing():
    ill, patient = patients(3, 3, scans=50)
    assert set_apart(AcquisitionFacts({"slices": np.where(ill, 30.0, 60.0)}), ill, patient) == []


def test_a_patient_with_both_kinds_of_scan_is_abnormal():
    ill, patient = patients(8, 8, scans=2)
    first = np.arange(len(ill)) % 2 == 0
    ill &= first  # the second scan of each is healthy
    facts = AcquisitionFacts({"slices": np.repeat([30.0, 60.0], 16)})
    (found,) = set_apart(facts, ill, patient)
    assert (found.healthy_patients, found.abnormal_patients) == (8, 8)


def test_numbers_that_overlap_are_judged_by_their_auroc():
    ill, patient = patients(20, 20)
    rng = np.random.default_rng(0)
    for shift in (0.0, 1.0, 2.0, 3.0):
        values = rng.normal(size=40) + shift * ill
        found = set_apart(AcquisitionFacts({"slices": values}), ill, patient)
        expected = auroc(ill.astype(np.int8), np.array([float(f"{value:.3g}") for value in values]))
        assert bool(found) == (expected >= 0.9)
        assert all(one.auroc == pytest.approx(expected) for one in found)


@pytest.mark.parametrize("counts", [(5, 5), (8, 20), (30, 30)])
def test_what_does_not_differ_is_hardly_ever_told(counts):
    """Less often than the one in a hundred that its test allows, over numbers and names."""
    ill, patient = patients(*counts)
    told = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        names = [{str(name)} for name in rng.choice(["a", "b"], len(ill))]
        facts = AcquisitionFacts({"slices": rng.normal(size=len(ill))}, {"site": names})
        told += bool(set_apart(facts, ill, patient))
    assert told <= 12


def test_names_are_counted_by_patient_and_the_best_is_told():
    ill, patient = patients(10, 12, scans=2)
    names = [{".png", "odd"} if sick else {".jpg"} for sick in ill]
    names[0] = {".png"}  # of one healthy patient
    (found,) = set_apart(AcquisitionFacts(names={"kind of file": names}), ill, patient)
    assert found.auroc == 1.0
    said = acquisition_sentence([found], "file")
    assert "(12 files)" in said
    assert "in 12 of 12 for in 0 of 10" in said or "in 0 of 12 for in 10 of 10" in said


def test_unknown_numbers_are_left_out():
    ill, patient = patients(9, 9)
    values = np.where(ill, 1.0, 2.0)
    values[[0, 1, 2, 3]] = np.nan
    (found,) = set_apart(AcquisitionFacts({"slices": values}), ill, patient)
    assert (found.healthy_patients, found.abnormal_patients) == (5, 9)
    assert set_apart(AcquisitionFacts({"slices": np.full(18, np.nan)}), ill, patient) == []


def test_nothing_found_is_nothing_said():
    assert acquisition_sentence([]) == ""
    assert set_apart(AcquisitionFacts(), np.zeros(0, dtype=bool), np.zeros(0, dtype=np.str_)) == []


def test_of_scores_alone_sites_and_scanners_are_compared():
    ill, patient = patients(6, 7, scans=3)
    unknown = np.full(len(ill), np.nan)
    slices = ScoredSlices(
        case=patient,
        patient=patient,
        slice=np.tile(np.arange(3), 13),
        label=ill.astype(np.int8),
        relative_position=unknown,
        empty=np.zeros(len(ill), dtype=bool),
        body_fraction=unknown,
        site=np.where(ill, "south", "north"),
        scanner=np.where(np.arange(len(ill)) % 2 == 0, "one", "two"),
    )
    (found,) = columns_apart(slices)
    assert found.fact.startswith("site ")
