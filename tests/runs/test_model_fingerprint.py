"""What a fitted model is told by: its own files alone."""

from pathlib import Path

from anomae.runs.model_fingerprint import BESIDE, files_of_model, fingerprint


def test_what_systems_leave_in_a_folder_makes_no_other_model(tmp_path: Path) -> None:
    (tmp_path / "autoencoder").mkdir()
    own = [tmp_path / "autoencoder" / "weights.safetensors", tmp_path / "settings.json"]
    for path in own:
        path.write_text(path.name)
    before = fingerprint(tmp_path)
    for name in (".DS_Store", "autoencoder/._weights.safetensors", "Thumbs.db", ".sync/state", *BESIDE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert fingerprint(tmp_path) == before
    assert set(own) == {path for path in files_of_model(tmp_path) if path.name not in BESIDE}
    own[0].write_text("other")
    assert fingerprint(tmp_path) != before
    assert fingerprint(tmp_path, "openvino") != fingerprint(tmp_path)
