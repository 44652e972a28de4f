"""What is said of scans and their masks: a sentence for each thing to look at, and counts that add up."""

import numpy as np

from anomae.cohorts.case import ABNORMAL, HEALTHY, UNKNOWN, Case
from anomae.cohorts.ignored_regions import IGNORED
from anomae.cohorts.lesion_masks import BLURRED, SEVERAL
from anomae.cohorts.mask_pairing import RoleSettings, pair
from anomae.cohorts.pairing_facts import are_of_organs, never_ignored, noted_masks, pairing_facts, pairing_notes
from anomae.volumes.write import write_picture


def test_notes_of_masks_are_counted_by_case_and_others_are_not():
    notes = [(BLURRED, "something of the scanner"), (BLURRED, SEVERAL), ()]
    assert noted_masks(notes) == {BLURRED: 2, SEVERAL: 1}
    assert noted_masks([]) == {}


def test_values_to_ignore_that_no_mask_holds_are_said():
    assert never_ignored({"ignore_values": [2, 3]}, {BLURRED: 2}) == [
        "ignore names values of masks (2, 3), but no mask holds them"
    ]
    assert never_ignored({"ignore_values": [2]}, {IGNORED: 1}) == []
    assert never_ignored({}, {}) == []


def test_masks_are_those_of_organs_where_most_of_the_healthy_have_one(tmp_path):
    masks = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(masks):
        write_picture(path, np.full((8, 8), 255 * (number < 3), np.uint8))
    assert are_of_organs(masks)
    assert not are_of_organs(masks[2:])
    assert not are_of_organs(masks[:1])
    assert not are_of_organs([])
    masks[0].write_bytes(b"broken")
    assert not are_of_organs(masks[:1] + masks[3:])


def tree(tmp_path):
    names = ("ill/a.png", "ill/a_seg.png", "ill/b.png", "ill/z_seg.png", "ill/c.nii", "ill/c.nii.gz", "well/d.png")
    found = pair([tmp_path / name for name in names], tmp_path, RoleSettings())
    cases = [
        Case(
            scan.relative_to(tmp_path).as_posix(),
            scan.stem,
            scan,
            masks[0] if masks else None,
            label=UNKNOWN,
            called=HEALTHY if "well" in scan.parts else ABNORMAL,
        )
        for scan, masks in found.lesions.items()
    ]
    return found, cases


def test_the_facts_name_the_pairs_and_count_the_rest(tmp_path):
    found, cases = tree(tmp_path)
    facts = pairing_facts(found, cases, tmp_path)
    assert facts["pairs"] == {"ill/a.png": "ill/a_seg.png"}
    counts = {name: count for name, count in facts.items() if name != "pairs" and count}
    assert counts == {
        "scans": 4,
        "with_lesion_mask": 1,
        "abnormal_without_mask": 2,
        "masks_of_no_scan": 1,
        "given_twice": 1,
    }


def test_a_sentence_for_each_thing_to_look_at(tmp_path):
    found, cases = tree(tmp_path)
    notes = pairing_notes(found, cases, organs=False)
    assert [note.split()[0] for note in notes] == ["1", "2", "1", "1"]
    for words in (
        "1 of 4 scans were paired",
        "2 abnormal scans have no",
        "1 lesion masks lie beside no",
        "given twice",
    ):
        assert sum(words in note for note in notes) == 1
    assert "those of an organ" in pairing_notes(found, cases, organs=True)[1]
    assert pairing_notes(pair([], tmp_path, RoleSettings()), [], organs=False) == []
