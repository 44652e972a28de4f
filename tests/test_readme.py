"""The README is run, not believed: its commands and its Python, in the order of the page; its links are there."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(bash|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("language", ["bash", "python"])
def test_the_snippets_run(language, tmp_path):
    text = "\n".join(code for name, code in SNIPPETS if name == language)
    assert text, f"README has no {language} snippet"
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
    environment = os.environ | {
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]),
        "OMP_NUM_THREADS": "1",
    }
    finished = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=900
    )
    assert finished.returncode == 0, f"{finished.stdout[-2000:]}\n{finished.stderr[-4000:]}"
    for name in ("scores.csv", "report.json", "report.html"):
        assert list(tmp_path.rglob(name)), f"no {name} came out"
    assert list(tmp_path.rglob("maps/*.nii.gz")), "no map of a new scan came out"


def test_every_file_and_link_that_it_names_is_there():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing, missing
