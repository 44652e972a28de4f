"""Findings against lesions are what a slow, written-out count says, and keep the laws of a FROC curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from anomae.statistics.froc import RATES, TRUE_SHARE, FindingCounts, froc, match, stacked
from anomae.statistics.intervals import PatientBootstrap


def pieces_of(mask) -> list[set[tuple[int, int, int]]]:
    """The connected voxels, 26 neighbours, found by walking from voxel to voxel."""
    left, pieces = {tuple(map(int, voxel)) for voxel in np.argwhere(mask)}, []
    steps = [(z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    while left:
        waiting, piece = [left.pop()], set()
        while waiting:
            one = waiting.pop()
            piece.add(one)
            beside = {tuple(a + b for a, b in zip(one, step, strict=True)) for step in steps} & left
            left -= beside
            waiting += beside
        pieces.append(piece)
    return pieces


def by_definition(scans, base: float, rates) -> tuple[list[float], list[tuple[float, float]]]:
    """Sensitivity at each rate, and every point of the curve; scans: (map, mask)."""
    tops, lesions = set(), 0
    findings = []
    for heat, mask in scans:
        lesions += len(pieces_of(mask))
        for piece in pieces_of(heat > base):
            findings.append((heat, mask, piece, max(float(heat[voxel]) for voxel in piece)))
            tops.add(findings[-1][3])
    points = []
    for least in sorted(tops, reverse=True):
        false, found = 0, 0
        for heat, mask in scans:
            own = [one for one in findings if one[0] is heat and one[3] >= least]
            true = [one[2] for one in own if sum(mask[voxel] for voxel in one[2]) >= max(1, TRUE_SHARE * len(one[2]))]
            false += len(own) - len(true)
            found += sum(any(lesion & piece for piece in true) for lesion in pieces_of(mask))
        points.append((false / len(scans), found / lesions))
    return [max([up for across, up in points if across <= rate], default=0.0) for rate in rates], points


def made_up(seed: int, scans: int = 4):
    rng = np.random.default_rng(seed)
    made = []
    for number in range(scans):
        mask = np.zeros((5, 9, 8), dtype=np.bool_)
        for _ in range(number % 3):
            z, y, x = rng.integers(0, 4), rng.integers(0, 7), rng.integers(0, 6)
            mask[z : z + 2, y : y + 2, x : x + 2] = True
        heat = (rng.normal(size=mask.shape) + 2.0 * mask * rng.random(mask.shape)).round(1).astype(np.float32)
        made.append((heat, mask))
    return made


def counted(scans, base: float, patient=None) -> FindingCounts:
    counts = FindingCounts()
    for number, (heat, mask) in enumerate(scans):
        counts.add(match(heat, mask, base), number if patient is None else patient[number])
    return counts


def curve(scans, base: float, resamples: int = 0):
    return froc(counted(scans, base), PatientBootstrap(np.arange(len(scans)), resamples))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("base", [0.8, 1.2, 1.8])
def test_the_curve_is_the_count_written_out(seed, base):
    scans = made_up(seed)
    expected, points = by_definition(scans, base, RATES.values())
    found = curve(scans, base)
    assert [each.value for each in found.sensitivity.values()] == pytest.approx(expected)
    assert list(zip(found.false_per_scan, found.recall, strict=True)) == [pytest.approx(point) for point in points]


@given(st.integers(0, 10_000), st.floats(-1, 2.5))
@examples(max_examples=40)
def test_more_findings_never_find_fewer_lesions(seed, base):
    found = curve(made_up(seed), base)
    assert (np.diff(found.score) < 0).all()
    assert (np.diff(found.false_per_scan) >= 0).all()
    assert (np.diff(found.recall) >= 0).all()
    values = [each.value for each in found.sensitivity.values()]
    assert values == sorted(values)
    assert 0 <= values[0] <= values[-1] <= 1


@given(st.integers(0, 10_000))
@examples(max_examples=20)
def test_the_order_of_scans_and_an_increasing_change_of_the_map_change_nothing(seed):
    scans = made_up(seed)
    found = curve(scans, 1.0)
    for other in (curve(scans[::-1], 1.0), curve([(np.exp2(heat), mask) for heat, mask in scans], 2.0)):
        assert np.array_equal(other.recall, found.recall)
        assert np.array_equal(other.false_per_scan, found.false_per_scan)


def test_a_perfect_map_finds_everything_and_an_empty_one_nothing():
    masks = [mask for _, mask in made_up(1, 6)]
    perfect = curve([(mask.astype(np.float16), mask) for mask in masks], 0.5, 50)
    assert {each.value for each in perfect.sensitivity.values()} == {1.0}
    assert perfect.false_per_scan[-1] == 0
    empty = curve([(np.zeros(mask.shape), mask) for mask in masks], 0.5, 50)
    assert {each.value for each in empty.sensitivity.values()} == {0.0}
    assert len(empty.score) == 0


def test_a_finding_that_floods_the_scan_finds_nothing_and_one_on_the_core_finds_the_lesion():
    mask = np.zeros((4, 10, 10), dtype=np.bool_)
    mask[1:3, 2:5, 2:5] = True  # 18 of 400 voxels
    flood = match(np.ones(mask.shape), mask, 0.5)
    assert flood.true.tolist() == [False]
    assert flood.found_at.tolist() == [-np.inf]
    core = np.zeros(mask.shape)
    core[1, 3, 3] = 1
    assert match(core, mask, 0.5).found_at.tolist() == [1.0]
    # A tenth is enough and a voxel less is not: two voxels of 20, and of 21.
    for length, true in ((20, True), (21, False)):
        line, two = np.zeros((1, 1, 30)), np.zeros((1, 1, 30), dtype=np.bool_)
        line[..., :length], two[..., :2] = 1, True
        assert match(line, two, 0.5).true.tolist() == [true]


def test_voxels_that_touch_at_a_corner_in_two_slices_are_one_lesion():
    mask = np.zeros((3, 4, 4), dtype=np.bool_)
    mask[0, 1, 1] = mask[1, 2, 2] = mask[2, 0, 0] = True
    assert sorted(match(np.zeros(mask.shape), mask, 0.5).voxels.tolist()) == [1, 2]


def test_slices_touch_only_where_their_numbers_do():
    assert stacked(np.array([7, 3, 4, 12, 5])).tolist() == [4, 0, 1, 6, 2]
    assert stacked(np.zeros(0, dtype=np.int64)).tolist() == []


def test_without_a_lesion_there_is_no_curve():
    assert curve([(np.ones((1, 3, 3)), np.zeros((1, 3, 3), dtype=np.bool_))], 0.5) is None


def test_intervals_come_from_patients_and_are_none_where_few_have_a_lesion():
    scans = [made_up(number, 3)[2] for number in range(12)]
    found = curve(scans, 1.0, 400)
    interval = found.sensitivity["1"].interval()
    assert interval.low < interval.value < interval.high
    few = [*made_up(3, 3)[2:], *[(heat, np.zeros_like(mask)) for heat, mask in scans]]
    interval = curve(few, 1.0, 400).sensitivity["1"].interval()
    assert interval.low is None
    assert "lesions" in interval.why


def test_resamples_of_the_thinned_curve_are_those_of_repeated_scans():
    """A resample that draws each patient once is the curve itself; one that draws one alone is that one's curve."""
    scans = [made_up(number, 3)[2] for number in range(5)]

    class Drawn(PatientBootstrap):
        def draws(self, rows):
            yield np.vstack([np.ones(5), 5 * np.eye(5)])

    estimates = froc(counted(scans, 1.0), Drawn(np.arange(5), 6)).sensitivity
    for name, estimate in estimates.items():
        alone = [curve([scan], 1.0).sensitivity[name].value for scan in scans]
        assert estimate.resampled.tolist() == pytest.approx([estimate.value, *alone])
