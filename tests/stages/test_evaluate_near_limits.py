"""The whole report of scores near the largest and the smallest numbers there are is that of the same scores at one."""

import json

import numpy as np
import pytest

from anomae.stages.evaluate_scores import evaluate_scores

PATIENTS, DEPTH = 14, 10


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """What a power of two, by which every score is multiplied, makes of the report: a function of it."""
    rng = np.random.default_rng(0)
    label = (rng.random((PATIENTS, DEPTH)) < 0.3) & (np.arange(PATIENTS)[:, None] < 6)
    # Below 1 and above 1/2 in part, so that at 2**1024 two of them are more than any number.
    score = np.clip((rng.normal(size=label.shape) + label) / 3, -1 + 2**-53, 1 - 2**-53)

    def of(power):
        folder = tmp_path_factory.mktemp("limits")
        scores, labels = folder / "s.csv", folder / "l.csv"
        scores.write_text(
            "case,slice,score\n"
            + "".join(f"c{p},{z},{float(np.ldexp(score[p, z], power))!r}\n" for p, z in np.ndindex(*label.shape)),
            encoding="utf-8",
        )
        labels.write_text(
            "case,patient,slice,label,split,empty\n"
            + "".join(
                f"c{p},P{p},{z},{label[p, z]:d},{'validation' if p > 11 else 'test'},{z == 0:d}\n"
                for p, z in np.ndindex(*label.shape)
            ),
            encoding="utf-8",
        )
        return evaluate_scores(scores, labels, folder / "out", resamples=50)

    return of


def figures(report):
    """All of a report but where it came from and the thresholds, which are scores."""
    kept = {name: part for name, part in report.items() if name not in ("provenance", "operating_point")}
    point = report["operating_point"]
    rows = {
        level: {name: value for name, value in point[level].items() if name not in ("threshold", "sentence")}
        for level in ("slice", "patient")
    }
    return json.dumps([kept, rows], sort_keys=True, allow_nan=False)


def test_a_power_of_two_changes_no_figure(reported):
    once = reported(0)
    assert once["patient"]["mean_of_top_3"] is not None
    for power in (1024, -900):
        report = reported(power)
        assert figures(report) == figures(once)
        for level in ("slice", "patient"):
            threshold = once["operating_point"][level]["threshold"]
            assert report["operating_point"][level]["threshold"] == np.ldexp(threshold, power)
