"""What holds for the package as a whole: versions agree, help is light, all is documented, nothing names a machine."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import anomae

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "src" / "anomae").rglob("*.py"))


def test_the_newest_entry_of_the_changelog_is_this_version():
    newest = re.search(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == anomae.__version__


def test_the_citation_names_this_version_and_the_paper():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {anomae.__version__}\n" in citation
    assert "2307.07534" in citation


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in ("prepare", "fit", "score", "evaluate", "score-archive")),
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]):
    """A clock would measure the machine; what was imported is what makes help slow."""
    code = f"""
import sys
import tomllib
from anomae.cli import main
sys.argv = ["anomae", *{arguments!r}]
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
heavy = {{"torch", "lightning_fabric", "SimpleITK", "pydicom", "h5py", "sklearn", "skimage", "scipy", "matplotlib"}}
assert not heavy & set(sys.modules), sorted(heavy & set(sys.modules))
"""
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT / "src").as_posix())
def test_every_module_says_what_it_is_for(path: Path):
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
    assert 20 <= len(first) <= 120, f"the first docstring line of {path.name} is {first!r}"


def test_no_tracked_file_names_a_machine_or_a_registry():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    # Put together here, so that this file is not its own finding.
    words = ["/wo" + "rk/", "/tmp/" + "venv", "/ro" + "ot/", "py" + "pi.org", "python" + "hosted", "index" + "-url"]
    found = []
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if not name or not path.is_file():
            continue
        content = path.read_bytes()
        found += [f"{name}: {word}" for word in words if word.encode() in content]
    assert not found, found


def test_what_a_wheel_needs_stands_where_pyproject_says():
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "src/anomae/py.typed"):
        assert (ROOT / name).is_file(), f"{name} is missing"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_versions_are_asked_of_core_dependencies_alone():
    """What only the tests install has no version where a user runs the program."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {re.split(r"[<>=\[ ]", entry)[0].lower() for entry in project["dependencies"]} | {"anomae"}
    asked = {
        node.value.lower()
        for path in MODULES
        for assigned in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(assigned, ast.Assign) and getattr(assigned.targets[0], "id", "") == "VERSIONED"
        for node in ast.walk(assigned.value)
        if isinstance(node, ast.Constant)
    }
    assert len(asked) >= 5
    assert asked <= core


def test_what_only_tests_install_is_not_imported():
    found = [
        f"{path.name}: {name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name.split(".")[0] in {"skimage", "sklearn", "nibabel", "pytest", "hypothesis", "importlinter"}
    ]
    assert not found
