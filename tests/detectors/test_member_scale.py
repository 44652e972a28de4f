"""What scores and maps of a member are measured by."""

import numpy as np
import pytest

from anomae.detectors.member_scale import MemberScale, measured_blocks


def test_scores_of_any_sign_are_compared_as_they_are() -> None:
    scores = np.linspace(-1, 1, 101)
    scale = MemberScale.measured(scores, [])
    assert (scale.logarithm, scale.unit) == (False, 0.0)
    assert scale.standardised(np.array([0.0]))[0] == pytest.approx(0)
    positive = MemberScale.measured(np.exp(scores), [np.ones((2, 4, 4), np.float32)])
    assert (positive.logarithm, positive.unit) == (True, 1.0)
    np.testing.assert_allclose(positive.standardised(np.exp(scores)), scale.standardised(scores), atol=1e-9)
    assert np.isfinite(positive.standardised(np.array([0.0, -1.0, 1e308]))).all()
    alike = MemberScale.measured(np.ones(5), [np.zeros((1, 4, 4), np.float32)])
    assert np.isfinite(alike.standardised(np.array([1.0, 2.0]))).all()
    assert alike.unit == 1.0


@pytest.mark.parametrize("images", [1, 31, 512, 513, 5_000])
def test_at_most_512_images_from_the_first_to_the_last_are_measured_each_once(images: int) -> None:
    blocks = measured_blocks(images)
    indices = np.concatenate(blocks)
    assert len(indices) == min(images, 512)
    assert (np.diff(indices) > 0).all()
    assert (indices[0], indices[-1]) == (0, images - 1)
    assert max(map(len, blocks)) <= 32
