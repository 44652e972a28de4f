"""Folders, README, docs/architecture.md and the import contract agree; files stay short; the field's words are used."""

import re
import tokenize
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "anomae"
MODULES = sorted(PACKAGE.rglob("*.py"))
TEMPLATES = sorted(PACKAGE.rglob("*.j2"))
LONGEST_FILE = 300
MOST_OF_STAGES = 1800

# The field's terms are used instead; what a pattern is for stands beside it.
PRIVATE_WORDS = {
    r"\brivals?\b": "baseline",
    r"(?<![.\w])floors?\b(?!\()": "baseline, trivial baseline or layer",
    r"\btwins?\b": "near-duplicate",
    r"\bown[ _]tasks?\b": "pretext task",
    r"\bon (?:two|both) sides\b": "in several splits",
    r"\bjudge_\w+": "check_ or evaluate_",
    r"\bstrange\b": "non-finite, or what it is",
    r"promise[sd]?\b": "operating threshold, bound",
    r"""["']part["']|--part\b""": "split",
}
# A file's header does promise a size; tables of other people have columns of their own names; the name of a seed stays,
# since another one draws other numbers, and so does that of a file of earlier versions.
ALLOWED = {
    r"promise[sd]?\b": ("volumes/",),
    r"""["']part["']|--part\b""": ("cohorts/", "phantoms/", "runs/"),
    r"\bown[ _]tasks?\b": ("detectors/mae_classifier/fitted.py", "runs/pretext.py"),
}


def rooms() -> set[str]:
    """Folders and modules of the package, without the package's own two files."""
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    return found - {"__init__", "__main__"}


def layers(lines: list[str]) -> list[set[str]]:
    """Each line's rooms; in import-linter's notation, where (a) may be absent and | or : stands between siblings."""
    return [{name.strip(" ()").removeprefix("anomae.") for name in re.split(r"[|:]", line)} for line in lines]


def contract() -> list[set[str]]:
    """Import-linter's layers, highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    kinds = [one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    assert len(kinds) == 1
    return layers(kinds[0]["layers"])


def block(page: str, language: str) -> list[str]:
    """Lines of the one block of this language in a page."""
    found = re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(found) == 1, f"{page} has {len(found)} blocks {language!r}"
    return found[0].splitlines()


def test_every_room_has_its_layer():
    named = [name for layer in contract() for name in layer]
    assert len(named) == len(set(named))
    assert set(named) == rooms()


def test_the_architecture_page_has_the_layers_of_the_contract():
    assert layers(block("docs/architecture.md", "layers")) == contract()


def test_contributing_has_the_layers_of_the_contract():
    assert layers(block("CONTRIBUTING.md", "layers")) == contract()


def test_the_picture_shows_every_room_that_is_a_folder():
    picture = "\n".join(block("docs/architecture.md", "text"))
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert {name for name in folders if f"{name}/" not in picture} == set()
    assert set(re.findall(r"\b([a-z]+)/ ", picture)) <= folders


def test_the_tree_of_the_readme_is_the_true_one():
    lines = block("README.md", "text")
    assert lines[0] == "src/anomae/"
    named = [found[1] for line in lines if (found := re.match(r"[│├└─ ]+([a-z_]+)(?:/|\.py) ", line))]
    assert len(named) == len(set(named))
    assert set(named) == rooms()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_file_is_too_long(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_the_stages_are_thin():
    lines = {
        path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in (PACKAGE / "stages").glob("*.py")
    }
    assert sum(lines.values()) < MOST_OF_STAGES, lines


def test_there_is_no_room_for_everything():
    assert rooms() & {"evaluation", "utils", "misc", "common", "helpers"} == set()


@pytest.mark.parametrize("pattern", PRIVATE_WORDS)
def test_a_private_word_is_not_used(pattern: str):
    """In code, comments, docstrings and the templates of pages alike."""
    found = []
    for path in (*MODULES, *TEMPLATES):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(ALLOWED.get(pattern, ("no such room",))):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(pattern, line, re.IGNORECASE):
                found.append(f"{name}:{number}: {line.strip()}")
    assert not found, f"say {PRIVATE_WORDS[pattern]}:\n" + "\n".join(found)


def test_nothing_is_called_a_place():
    """A path is a path, a run a run, an index an index, a position in an image a position."""
    found = []
    for path in MODULES:
        with path.open("rb") as handle:
            for token in tokenize.tokenize(handle.readline):
                if token.type == tokenize.NAME and re.fullmatch(r"_?places?", token.string, re.IGNORECASE):
                    found.append(f"{path.relative_to(PACKAGE).as_posix()}:{token.start[0]}: {token.line.strip()}")
    assert not found, "\n".join(found)


# Tests of several modules together, and of what lies outside the package.
NO_MODULE_OF_ITS_OWN = {
    "detectors/anomae/test_channels.py": "every part of the detector at several channels",
    "detectors/anomae/test_parts.py": "window, samples, sources, memory and pool of the detector, a few lines each",
    "detectors/baselines/test_pixel_baselines.py": "mean image and Gaussian of each pixel: one law for both",
    "detectors/test_baselines_with_a_teacher.py": "rd4ad, ast and patchcore look through the same frozen backbone",
    "models/test_student_teacher.py": "the two networks of AST, student.py and conditional_flow.py",
    "models/transformer/test_blocks.py": "a section of masked_autoencoder.py",
    "models/transformer/test_masks.py": "a section of masked_autoencoder.py",
    "models/transformer/test_patches.py": "a section of masked_autoencoder.py",
    "models/transformer/test_positions.py": "a section of masked_autoencoder.py",
    "models/transformer/test_transformers_reference.py": "the masked autoencoder beside that of another library",
    "reports/test_metric_specs.py": "one list of metrics: statistics, schema and pages follow it",
    "serving/test_worklist.py": "the web page, assets alone, in a real browser",
    "serving/test_worklist_messages.py": "the same page: what it says where something does not go well",
    "slices/test_identity_columns.py": "a slice's identity from the volume to the store's index",
    "stages/test_channels.py": "several channels through all stages: modalities, neighbours, colours",
    "detectors/baselines/test_channels.py": "the baselines and small networks at several channels",
    "stages/test_pages.py": "the reports' pages in a real browser, of a run through all stages",
    "stages/test_paper_positions.py": "docs/paper_positions.py, a script on top of the stages",
    "stages/test_trivial_baselines.py": "detectors without training through fit, score and evaluate",
    "volumes/test_foreign_files.py": "files that other libraries ship, through every reader",
    "volumes/test_foreign_readers.py": "readers of other packages",
    "volumes/test_hostile.py": "damaged and hostile files, through every reader",
}


def test_the_tests_mirror_the_modules():
    """tests/ROOM/test_NAME.py has a module or folder NAME in that room, or test_NAME_more.py, or stands in the list."""
    known = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in MODULES}
    known |= {name.removesuffix("/__init__") for name in known}
    alone = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = path.relative_to(ROOT / "tests")
        if name.parts[0] == "contracts" or len(name.parts) == 1 or name.as_posix() in NO_MODULE_OF_ITS_OWN:
            continue
        words = path.stem.split("_")[1:]
        if not any((name.parent / "_".join(words[:count])).as_posix() in known for count in range(1, len(words) + 1)):
            alone.append(name.as_posix())
    assert not alone, "\n".join(alone)


def test_the_list_of_exceptions_names_tests_that_are_there():
    missing = [name for name in NO_MODULE_OF_ITS_OWN if not (ROOT / "tests" / name).is_file()]
    assert not missing, missing
