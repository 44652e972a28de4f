import re

import numpy as np
import pytest

from anomae.reports.plots import loss_plot


@pytest.mark.parametrize(("first", "last"), [(0.6, 0.02), (5e3, 2e-3), (3.0, 1.5), (1.0, 0.0)])
def test_the_numbers_beside_losses_are_plain(first, last):
    losses = np.linspace(first, last, 200)
    drawn = loss_plot([{"stage": "head", "step": step, "loss": loss} for step, loss in enumerate(losses)])
    texts = re.findall(r"<!-- (.*?) -->", drawn)
    numbers = [float(text) for text in texts if re.fullmatch(r"[-\d.e+]+", text)]
    assert "$" not in "".join(texts)
    assert len([number for number in numbers if min(last, first) <= number <= max(last, first)]) >= 2
