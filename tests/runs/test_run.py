"""The folder of a run: what is damaged in run.json is said, and what a killed process left half written is removed."""

from pathlib import Path

import pytest

from anomae.errors import UserError
from anomae.files import write_json
from anomae.runs.run import Run


@pytest.mark.parametrize(
    "facts", [{}, {"store": "s"}, {"store_fingerprint": "f"}, {"store": 3, "store_fingerprint": "f"}]
)
def test_a_run_that_does_not_name_its_store_is_said_to_be_damaged(tmp_path: Path, facts: dict[str, object]) -> None:
    write_json(tmp_path / "run.json", facts)
    with pytest.raises(UserError, match=r"run\.json is not whole: it does not name its store; copy it again"):
        Run(tmp_path).open_store()


def test_what_a_kill_left_is_removed_and_what_others_may_be_writing_is_not(tmp_path: Path) -> None:
    left = (
        ".part-0.json",
        "checkpoints/.part-1.safetensors",
        "checkpoints/.tmpa1B2c3",
        "fitted/autoencoder/.part-2.json",
        "calibration/.part-3.csv",
        "findings/.part-6.json",
        "members/pca/checkpoints/.part-4.safetensors",
    )
    others = ("exported/.part-5-onnx-fp32/card.json", "report/.part-7.html", ".part-8.png")
    whole = ("checkpoints/autoencoder.safetensors", "findings/findings.json", "members/pca/journal.jsonl")
    for name in (*left, *others, *whole):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    Run(tmp_path).remove_unfinished()
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {*others, *whole}
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / ".part-9.json").touch()
    Run(tmp_path).remove_unfinished()
    assert (tmp_path / ".part-9.json").exists()
