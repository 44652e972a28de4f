"""What a killed process left half written in a run is removed, and nothing that another one may be writing."""

from pathlib import Path

from anomae.runs.run import Run


def test_what_a_kill_left_is_removed_and_what_others_may_be_writing_is_not(tmp_path: Path) -> None:
    left = (
        ".part-0.json",
        "checkpoints/.part-1.safetensors",
        "checkpoints/.tmpa1B2c3",
        "fitted/autoencoder/.part-2.json",
        "calibration/.part-3.csv",
        "members/pca/checkpoints/.part-4.safetensors",
    )
    others = ("exported/.part-5-onnx-fp32/card.json", "findings/.part-6.csv", "report/.part-7.html", ".part-8.png")
    whole = ("checkpoints/autoencoder.safetensors", "members/pca/journal.jsonl")
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
