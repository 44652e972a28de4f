"""The paper's lists as an evidence report, no pixel looked at: made-up lists of their shape, and the real ones."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "paper_positions.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("paper_positions", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def made_up_lists(folder: Path) -> Path:
    """Lists named and shaped as the paper's: lesions about slice 80; the normals of training leave holes there."""
    rng = np.random.default_rng(0)
    lists: dict[str, list[str]] = {
        f"{kind}_{split}_samples": []
        for kind, split in (
            ("normal", "training"),
            ("normal", "val"),
            ("abnormal", "val"),
            ("normal", "test"),
            ("abnormal", "test"),
        )
    }
    for volume in range(1, 81):
        split = "training" if volume <= 30 else "val" if volume <= 50 else "test"
        first, last = np.sort(rng.normal(80, 22, 2)).round()
        for number in range(155):
            abnormal = first <= number <= last
            if not (split == "training" and (abnormal or rng.random() < 0.3)):
                lists[f"{'abnormal' if abnormal else 'normal'}_{split}_samples"].append(
                    f"volume_{volume}_slice_{number}.npy"
                )
    (folder / "brats").mkdir(parents=True)
    for name, lines in lists.items():
        (folder / "brats" / f"{name}.txt").write_text("\n".join(rng.permutation(lines)) + "\n")
    return folder


def test_position_alone_on_lists_of_the_papers_shape(script, tmp_path):
    report = script.report(made_up_lists(tmp_path), tmp_path / "out", resamples=100)
    position = report["scores"]["score"]["auroc"]["value"]
    assert position > 0.7
    assert report["best_trivial_baseline"] in ("position_rarity", "position_centre")
    assert "not distinguishable from zero" in report["verdict"]
    assert report["audit"]["position_matched_auroc"]["value"] < position - 0.1
    # The baseline of the report counts training normals at the same slice, as the score does.
    rarity = report["scores"]["score_rarity"]["auroc"]["value"]
    assert report["trivial_baselines"]["position_rarity"]["value"] == pytest.approx(rarity, abs=0.03)
    assert report["operating_point"]["calibration"]["patients"] == 20
    assert report["warnings"] == []


@pytest.mark.real_data
def test_the_papers_own_lists(script, development_images, tmp_path):
    report = script.report(development_images / "paper_splits", tmp_path, resamples=100)
    assert report["counts"]["scored"]["slices"] == 22_940
    assert report["scores"]["score"]["auroc"]["value"] == pytest.approx(0.8915, abs=5e-5)
    assert report["scores"]["score_rarity"]["auroc"]["value"] == pytest.approx(0.8897, abs=5e-5)
    assert report["trivial_baselines"]["position_rarity"]["value"] == pytest.approx(0.8897, abs=5e-5)
    assert report["audit"]["position_matched_auroc"]["value"] < 0.62
