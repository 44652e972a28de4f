"""AUPRO and the lesion figures equal the published definitions written out over scikit-image's components."""

import numpy as np
import pytest
from skimage.measure import label

from anomae.statistics.intervals import PatientBootstrap
from anomae.statistics.lesions import FPR_LIMIT, LesionCounts, aupro_estimate, figures_at_threshold
from anomae.statistics.pixels import count_pixels, float16_levels, pixel_levels


def made_up(seed: int = 0, count: int = 10):
    rng = np.random.default_rng(seed)
    lesions = np.zeros((count, 20, 22), dtype=np.bool_)
    for index in range(0, count, 2):
        for _ in range(3):
            y, x, side = rng.integers(0, 14), rng.integers(0, 16), rng.integers(1, 6)
            lesions[index, y : y + side, x : x + side] = True
    lesions[0, 18, 20] = lesions[0, 19, 21] = True  # touching at a corner: one lesion of two pixels
    maps = (rng.normal(size=lesions.shape) + 1.5 * lesions).astype(np.float16)
    return maps, lesions, np.arange(count) // 2


def counted(maps, lesions, patient, threshold=None, size=4, tissue=None):
    patients = int(patient.max()) + 1
    counts = LesionCounts(patients, pixel_levels([(maps, lesions)], patients), threshold)
    for k in range(0, len(maps), size):
        split = slice(k, k + size)
        counts.add(maps[split], lesions[split], None if tissue is None else tissue[split], patient[split])
    return counts


def pixels_of(maps, lesions, patient):
    return count_pixels([(maps, lesions)], patient, pixel_levels([(maps, lesions)], int(patient.max()) + 1))


def by_definition(maps, lesions) -> float:
    """anomalib's AUPRO: per-region true-positive rate, averaged, over the false-positive rate of all other pixels."""
    values = maps.astype(np.float64)
    regions = [(k, label(lesions[k], connectivity=2)) for k in range(len(maps))]
    pieces = [values[k][r == n] for k, r in regions for n in range(1, r.max() + 1)]
    rates, shares = [0.0], [0.0]
    for threshold in np.unique(values)[::-1]:
        rates.append(float(np.mean(values[~lesions] >= threshold)))
        shares.append(float(np.mean([np.mean(piece >= threshold) for piece in pieces])))
    grid = np.union1d(np.linspace(0, FPR_LIMIT, 40_001), [rate for rate in rates if rate <= FPR_LIMIT])
    # Straight between thresholds; where several have one rate, the curve goes straight up.
    total = 0.0
    for left, right in zip(range(len(rates) - 1), range(1, len(rates)), strict=True):
        inside = grid[(grid >= rates[left]) & (grid <= rates[right])]
        if rates[right] > rates[left]:
            ups = np.interp(inside, [rates[left], rates[right]], [shares[left], shares[right]])
            total += np.trapezoid(ups, inside)
    return total / FPR_LIMIT


@pytest.mark.parametrize("seed", range(3))
def test_aupro_is_the_published_definition(seed):
    maps, lesions, patient = made_up(seed)
    pixels = pixels_of(maps, lesions, patient)
    found = aupro_estimate(pixels, counted(maps, lesions, patient), PatientBootstrap(patient, 200))
    assert found.value == pytest.approx(by_definition(maps, lesions), abs=2e-3)
    interval = found.interval()
    assert interval.low < interval.value < interval.high


def test_aupro_by_hand():
    # One lesion of 2 pixels, 10 others.  Falling: lesion pixel, normal, lesion pixel, normals.
    maps = np.array([[[9, 7, 8, 1, 1, 1, 1, 1, 1, 1, 1, 1]]], dtype=np.float16)
    lesions = np.zeros(maps.shape, dtype=np.bool_)
    lesions[0, 0, [0, 1]] = True
    patient = np.zeros(1, dtype=np.int64)
    found = aupro_estimate(
        pixels_of(maps, lesions, patient), counted(maps, lesions, patient), PatientBootstrap(patient, 10)
    )
    # The curve: up to 1/2 at rate 0, flat to rate 0.1, up to 1, flat on.
    assert found.value == pytest.approx((0.1 * 0.5 + 0.2 * 1) / 0.3)
    assert found.interval().low is None


def test_a_perfect_map_and_a_flat_one():
    maps, lesions, patient = made_up()
    for one, value in ((lesions.astype(np.float16), 1.0), (np.zeros_like(maps), FPR_LIMIT / 2)):
        counts = counted(one, lesions, patient)
        pixels = pixels_of(one, lesions, patient)
        found = aupro_estimate(pixels, counts, PatientBootstrap(patient, 50))
        assert found.value == pytest.approx(value)
        np.testing.assert_allclose(found.resampled[np.isfinite(found.resampled)], value)


def test_figures_at_a_threshold_equal_the_obvious_way():
    maps, lesions, patient = made_up()
    tissue = np.random.default_rng(7).random(maps.shape) < 0.6
    level = int(float16_levels(np.array([0.75]))[0])
    counts = counted(maps, lesions, patient, level, tissue=tissue)
    found = figures_at_threshold(counts)
    flagged = maps > np.float16(0.75)
    dice = 2 * (flagged & lesions).sum() / (flagged.sum() + lesions.sum())
    assert found.dice.value == pytest.approx(dice)
    assert found.dice.low <= dice <= found.dice.high
    assert found.healthy_tissue_flagged.value == pytest.approx(flagged[tissue & ~lesions].mean())
    shares, sizes = [], []
    for k in range(len(maps)):
        regions = label(lesions[k], connectivity=2)
        for n in range(1, regions.max() + 1):
            shares.append(flagged[k][regions == n].mean())
            sizes.append(int((regions == n).sum()))
    rows = found.lesions
    assert rows["all"].lesions == len(sizes) == sum(rows[name].lesions for name in ("small", "middle", "large"))
    assert rows["all"].detected.value == pytest.approx(np.mean(np.array(shares) >= 0.5))
    assert rows["all"].touched.value == pytest.approx(np.mean(np.array(shares) > 0))
    assert rows["small"].largest_px < rows["large"].smallest_px
    limit = rows["small"].largest_px
    small = [share for share, size in zip(shares, sizes, strict=True) if size <= limit]
    assert rows["small"].detected.value == pytest.approx(np.mean(np.array(small) >= 0.5))


def test_the_batches_do_not_matter():
    maps, lesions, patient = made_up()
    one, other = (counted(maps, lesions, patient, 40_000, size) for size in (1, 10))
    np.testing.assert_allclose(one.overlap, other.overlap)
    np.testing.assert_allclose(one.coarse, other.coarse)
    np.testing.assert_array_equal(one.flags, other.flags)
    assert one.lesions == other.lesions
