"""The README is run, not believed: its commands and its Python, in the order of the page; its links are there."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import anomae

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(bash|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


# Each command is a fork of one process: the seconds of its imports are spent once.
RUNNER = """
import shlex, sys
sys.path.insert(0, {tests!r})
from forks import forked, import_what_training_does
from anomae.cli import main
import_what_training_does()

def run(words):
    sys.argv = words
    main()

for line in {text!r}.splitlines():
    words = shlex.split(line, comments=True)
    assert not words or words[0] == "anomae", f"README runs something else: {{line}}"
    if words and (code := forked(lambda: run(words))):
        sys.exit(f"{{line}} ended with {{code}}")
"""


@pytest.mark.parametrize("language", ["bash", "python"])
def test_the_snippets_run(language, tmp_path):
    text = "\n".join(code for name, code in SNIPPETS if name == language)
    assert text, f"README has no {language} snippet"
    program = RUNNER.format(tests=str(ROOT / "tests"), text=text) if language == "bash" else text
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )
    assert finished.returncode == 0, f"{finished.stdout[-2000:]}\n{finished.stderr[-4000:]}"
    for name in ("scores.csv", "report.json", "report.html"):
        assert list(tmp_path.rglob(name)), f"no {name} came out"
    assert list(tmp_path.rglob("maps/*.nii.gz")), "no map of a new scan came out"


def test_the_command_is_installed():
    command = Path(sysconfig.get_path("scripts")) / "anomae"
    said = subprocess.run([command, "--version"], capture_output=True, encoding="utf-8", check=True, timeout=300).stdout
    assert said == f"anomae {anomae.__version__}\n"


def test_every_file_and_link_that_it_names_is_there():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing, missing
