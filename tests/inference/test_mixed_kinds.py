"""Training scans of several kinds are told with counts; one kind, or what nothing tells, is not."""

from pathlib import Path

import numpy as np
import pytest

from anomae.files import write_json
from anomae.inference.mixed_kinds import mixed_sentence
from anomae.slices.index import COLUMNS
from anomae.slices.store import SliceStore

HEAD = {"modality": "MR", "body_part": "HEAD"}
CHEST = {"modality": "DX", "body_part": "CHEST"}


def said(folder: Path, *cases: dict[str, str], split: str = "train", cohort: str = "folder") -> str:
    """Of a store whose cases these are, one slice each; split: of the last one."""
    np.save(folder / "slices.npy", np.zeros((len(cases), 1, 8, 8), np.float16))
    lines = [",".join(COLUMNS)]
    for number in range(len(cases)):
        own = {name: str(number) for name in ("row", "case", "patient")} | {"slice": "0", "label": "0", "empty": "0"}
        own["split"] = split if number == len(cases) - 1 else "train"
        lines.append(",".join(own.get(name, "") for name in COLUMNS))
    (folder / "index.csv").write_text("\n".join([*lines, ""]))
    write_json(folder / "cases.json", {str(number): case for number, case in enumerate(cases)})
    write_json(folder / "prepare.json", {"format": 2, "cohort": cohort, "options": {}, "settings": {}})
    return mixed_sentence(SliceStore(folder))


def test_kinds_are_counted_and_what_to_do_is_said(tmp_path: Path) -> None:
    sentence = said(tmp_path, CHEST, HEAD, HEAD, {})
    assert sentence.startswith("the 4 training scans are of several kinds (modality: 2 MR, 1 DX; body part: 2 ")
    assert "--set image_pattern" in sentence
    assert "--table" not in sentence  # in class folders it leaves out nothing


@pytest.mark.parametrize("told", ["header", "file"])
def test_sequences_are_told_by_headers_and_names(tmp_path: Path, told: str) -> None:
    names = ("t1", "flair", "flair")
    cases = [
        {"sequence": sequence} if told == "header" else {"source": f"/a/x_{name}.nii.gz"}
        for name, sequence in zip(names, ("T1", "FLAIR", "FLAIR"), strict=True)
    ]
    assert "(sequence: 2 FLAIR, 1 T1)" in said(tmp_path, *cases)


def test_one_kind_other_splits_and_other_cohorts_are_left_in_peace(tmp_path: Path) -> None:
    brain = {**HEAD, "body_part": "BRAIN"}
    assert said(tmp_path, HEAD, brain, {}, {"source": "/a/x.nii.gz"}) == ""
    assert said(tmp_path, HEAD, CHEST, split="test") == ""
    assert said(tmp_path, HEAD, CHEST, cohort="lgg") == ""
