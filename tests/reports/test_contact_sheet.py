"""Rows of pictures with outlines around what was changed."""

import numpy as np

from anomae.reports.contact_sheet import ABNORMAL, GAP, NORMAL, SMALLEST_SIDE, TITLE_WIDTH, SheetRow, contact_sheet


def test_the_outline_lies_around_what_was_changed_in_the_colour_of_the_row() -> None:
    pictures = np.full((2, 32, 32), 0.5, np.float32)
    changed = np.zeros((2, 32, 32), bool)
    changed[1, 10:14, 10:14] = True
    rows = [SheetRow("untouched", pictures), SheetRow("lesion", pictures, changed)]
    rows.append(SheetRow("vessel", pictures, changed, normal=True))
    page = np.asarray(contact_sheet(rows)).astype(int)
    side = SMALLEST_SIDE + GAP
    assert page.shape == (3 * side, TITLE_WIDTH + 2 * side, 3)
    larger = SMALLEST_SIDE // 32
    for at, colour in ((1, ABNORMAL), (2, NORMAL)):
        second = page[at * side :, TITLE_WIDTH + side :]
        assert (second[9 * larger, 11 * larger] == colour).all()
        assert (second[11 * larger, 11 * larger] == 127).all()
    assert not (page[:side] == ABNORMAL).all(-1).any()
