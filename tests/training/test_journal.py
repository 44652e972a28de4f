"""The journal of a training that the disk damaged: the other lines stay, and it goes on."""

from pathlib import Path

import torch

from anomae.files import read_json_lines
from anomae.training.journal import Journal


def test_a_damaged_line_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "autoencoder", 6, 0)
    for step in range(1, 7):
        journal.take({"loss": torch.tensor(1.0 / step)}, step)
    whole = read_json_lines(path)
    assert [line["step"] for line in whole] == [1, 2, 3, 4, 5, 6]
    lines = path.read_bytes().split(b"\n")
    lines[2] = b'{"stage": "auto' + b"\xff\x00"
    path.write_bytes(b"\n".join(lines))

    again = Journal(path, "autoencoder", 6, 5)  # it was stopped after step 5, so step 6 is done anew
    assert again.earlier_s == whole[4]["seconds"]
    assert read_json_lines(path) == [whole[0], whole[1], whole[3], whole[4]]
    again.take({"loss": torch.tensor(1.0)}, 6)
    assert [line["step"] for line in read_json_lines(path)] == [1, 2, 4, 5, 6]
