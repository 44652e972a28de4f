"""Strata hold the slices they name, and bands keep unlike slices apart."""

import numpy as np

from anomae.statistics.scored import ScoredSlices
from anomae.statistics.strata import matching_bands, strata


def slices(**columns) -> ScoredSlices:
    usual = {
        "case": np.full(10, "c"),
        "patient": np.full(10, "p"),
        "slice": np.arange(10),
        "label": np.tile([0, 1], 5).astype(np.int8),
        "relative_position": np.linspace(0, 1, 10),
        "empty": np.arange(10) == 9,
        "body_fraction": np.linspace(0.5, 0.0, 10),
        "site": np.array(["a"] * 4 + ["b"] * 5 + [""]),
    }
    return ScoredSlices(**{**usual, **columns})


def test_the_slices_that_each_stratum_names():
    found = strata(slices())
    assert list(found) == ["all", "without_empty", "mid", "site: b", "site: a"]
    assert found["without_empty"].tolist() == list(range(9))
    assert found["mid"].tolist() == [
        4,
        5,
        6,
    ]  # 0.35..0.80 of the scan are slices 4 to 7, of which 7 has too little tissue
    assert found["site: b"].tolist() == [4, 5, 6, 7, 8]


def test_what_says_nothing_new_is_left_out():
    plain = slices(relative_position=np.full(10, np.nan), empty=np.zeros(10, dtype=np.bool_), site=np.full(10, "a"))
    assert list(strata(plain)) == ["all"]


def test_mid_needs_no_tissue_area():
    assert strata(slices(body_fraction=np.full(10, np.nan)))["mid"].tolist() == [4, 5, 6, 7]


def test_mid_is_told_from_the_scan_before_the_prepared_image():
    filled = np.full(10, 0.2)
    filled[[4, 6]] = 0.1, np.nan
    assert strata(slices(filled=filled, body_fraction=np.zeros(10)))["mid"].tolist() == [5, 7]
    assert strata(slices(filled=filled))["mid"].tolist() == [5, 6, 7]
    assert slices(filled=filled).take(np.array([4])).filled.tolist() == [0.1]


def test_bands():
    found = matching_bands(slices())
    assert found["position"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert found["site"].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2, -1]
    area = found["tissue_area"]
    assert (np.diff(area) <= 0).all()
    assert len(np.unique(area)) == 10


def test_no_bands_where_nothing_is_known():
    unknown = np.full(10, np.nan)
    assert matching_bands(slices(relative_position=unknown, body_fraction=unknown, site=np.full(10, ""))) == {}
    assert "tissue_area" not in matching_bands(slices(body_fraction=np.full(10, 0.5)))


def test_scanners_and_sources_are_strata_and_bands():
    scanner = np.array(["x"] * 5 + ["y"] * 5)
    found = slices(site=np.full(10, "a"), scanner=scanner, source=np.full(10, "png 9x9"))
    assert list(found.groups()) == ["scanner"]
    assert [name for name in strata(found) if ":" in name] == ["scanner: x", "scanner: y"]
    assert matching_bands(found)["scanner"].tolist() == [0] * 5 + [1] * 5
    assert found.take(np.array([1, 7])).scanner.tolist() == ["x", "y"]
