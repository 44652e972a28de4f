"""Optional packages: nobody is told that they are used."""

import subprocess
import sys
from pathlib import Path

import pytest

from anomae.extras import REPORTERS, require

WRITING = """
import sys
from anomae.extras import require
openvino = require("openvino", "openvino")
from openvino import opset13
numbers = opset13.parameter([1, 3], name="numbers")
network = openvino.Model([opset13.relu(numbers)], [numbers], "network")
openvino.save_model(network, "network.xml", compress_to_fp16=False)
openvino.compile_model("network.xml", "CPU")
sys.exit(any(name.split(".")[0] == "openvino_telemetry" for name in sys.modules))
"""


def test_openvino_is_used_without_a_word_to_its_makers(tmp_path: Path) -> None:
    """By itself it reports its import, and keeps a number for that in a folder at home."""
    pytest.importorskip("openvino", reason="needs the extra openvino")
    if not any((Path(folder) / "openvino_telemetry").is_dir() for folder in sys.path):
        pytest.skip("this OpenVINO reports nothing")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))}
    given = [sys.executable, "-c", WRITING]
    done = subprocess.run(given, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"network.xml", "network.bin"}


def test_what_reports_can_be_had_by_others_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REPORTERS, "json.tool", "wave")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    monkeypatch.delitem(sys.modules, "json.tool", raising=False)
    require("json.tool", "json")
    assert "wave" not in sys.modules
    import wave

    require("json.tool", "json")
    assert sys.modules["wave"] is wave
