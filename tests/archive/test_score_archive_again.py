"""An archive that a later command goes on with: what failed is tried again, and all scores are of one precision."""

import shutil

import nibabel
import numpy as np
import pytest

from anomae.archive import worker
from anomae.archive.score_archive import score_archive
from anomae.errors import UserError
from anomae.files import read_json
from anomae.runs.healthy_file import read_healthy_scores
from anomae.training.settings import DeviceSettings

from .test_score_archive import table


def test_what_is_tried_again_comes_to_lie_among_the_rest_as_if_it_had_never_failed(
    run, manifest, scans, here, tmp_path
):
    late = [tmp_path / f"late{number}.nii.gz" for number in range(2)]
    listed = manifest(tmp_path / "list.csv", [scans[0], late[0], scans[1], late[1], scans[2]])
    out, options = tmp_path / "out", {"run": run, "workers": 1, "shard": 3}
    score_archive(listed, out, **options)
    maps = {path: path.read_bytes() for path in out.rglob("maps/*")}
    late[0].write_bytes(scans[3].read_bytes())
    score_archive(listed, out, **options, retry=True)
    assert [row["file"] for row in table(out, "failed")] == [str(late[1])]
    facts = read_json(out / "archive.json")
    assert (facts["files"], facts["scans"], facts["this_command"]["files"], facts["this_command"]["slices"]) == (
        5,
        4,
        2,
        4,
    )
    late[1].write_bytes(scans[4].read_bytes())
    score_archive(listed, out, **options, retry=True)
    assert {path: path.read_bytes() for path in maps} == maps
    fresh = score_archive(listed, tmp_path / "fresh", **options)
    for name in ("slices", "scans", "findings", "failed"):
        assert table(out, name) == table(fresh, name)
    for path in fresh.rglob("maps/*"):
        np.testing.assert_array_equal(
            nibabel.load(path).get_fdata(), nibabel.load(out / path.relative_to(fresh)).get_fdata()
        )
    whole = [
        {
            name: value
            for name, value in read_json(folder / "archive.json").items()
            if name in ("bytes", "flagged", "scans")
        }
        for folder in (out, fresh)
    ]
    assert whole[0]["bytes"]["maps"] == whole[1]["bytes"]["maps"] > 0
    assert whole[0]["flagged"] == whole[1]["flagged"]
    assert not (out / "parts").exists()


def test_scores_of_two_precisions_do_not_come_together(run, manifest, scans, here, tmp_path, monkeypatch):
    listed, out = manifest(tmp_path / "list.csv", scans[:2]), tmp_path / "out"
    options = {"run": run, "workers": 1, "shard": 1, "maps": "none"}

    def on(native: bool, files: int, **further):
        monkeypatch.setattr("anomae.training.devices.bf16_is_faster", lambda: native)
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        worker._model.cache_clear()
        manifest(listed, scans[:files])
        score_archive(listed, out, **options, **further)
        return read_json(out / "archive.json")

    first = on(False, 1)
    assert first["computed_on"] == "cpu fp32"
    with pytest.raises(UserError, match=r"computes on cpu bf16, .* on cpu fp32, .* --device cpu --precision fp32"):
        on(True, 2)
    assert len(table(out, "scans")) == 1
    facts = on(True, 2, device=DeviceSettings(precision="fp32"))
    assert (facts["computed_on"], facts["scans"], facts["notes"]) == ("cpu fp32", 2, first["notes"])
    assert on(True, 2)["notes"] == first["notes"]  # no worker was started

    journal = out / "journal.jsonl"
    kept = [line for line in journal.read_text().splitlines(keepends=True) if '"computed_on"' not in line]
    journal.write_text("".join(kept))  # as earlier versions wrote it
    with pytest.raises(UserError, match="differ in: device"):
        on(True, 3, device=DeviceSettings(precision="fp32"))
    earlier = "shard(s) were scored by an earlier version, which did not note on what; remove them"
    facts = on(True, 2)  # no worker was started
    assert facts["computed_on"] == ""
    assert facts["notes"][-1].startswith(f"2 {earlier}")
    facts = on(True, 3)
    assert (facts["computed_on"], facts["scans"]) == ("cpu bf16", 3)
    assert facts["notes"][-1].startswith(f"2 {earlier}")
    assert on(True, 3)["notes"] == facts["notes"]
    for number in range(2):
        shutil.rmtree(out / "shards" / f"{number:08d}")
        facts = on(True, 3)
        assert [note[:1] for note in facts["notes"] if earlier in note] == ["1"][number:]
    made_on = read_healthy_scores(run / "fitted").computed_on
    assert any("Thresholds were computed on" in note for note in facts["notes"]) is (made_on != "cpu bf16")
    worker._model.cache_clear()
