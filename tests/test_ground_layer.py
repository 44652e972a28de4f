"""The ground layer: files whole or not at all, arrays that grow, seeds that are their own."""

import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomae.arrays import GrowingArray, map_array
from anomae.errors import MissingExtra, UserError
from anomae.extras import require
from anomae.files import (
    append_json_line,
    keep_json_lines,
    read_json,
    read_json_lines,
    read_json_lines_in_order,
    write_csv,
    write_json,
    written_whole,
)
from anomae.nested import flat_settings
from anomae.seeds import content_seed, derive_seed, generator
from anomae.suggestions import nearest_sentence


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"a": [1, None, "é"]})
    assert read_json(path) == {"a": [1, None, "é"]}
    with pytest.raises(KeyError), written_whole(path) as temporary:
        temporary.write_text({"half": "half"}["whole"])
    assert read_json(path) == {"a": [1, None, "é"]}
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))


def test_names_of_files_that_are_no_utf8_are_written_and_come_back_from_json(tmp_path: Path) -> None:
    facts = {"file": "caf\udce9, é"}
    write_json(tmp_path / "a.json", facts)
    append_json_line(tmp_path / "a.jsonl", facts)
    assert read_json(tmp_path / "a.json") == facts
    assert read_json_lines(tmp_path / "a.jsonl") == [facts]
    write_csv(tmp_path / "a.csv", ("file",), [(facts["file"],)])
    assert "caf\\udce9, é" in (tmp_path / "a.csv").read_text(encoding="utf-8")


def test_what_is_no_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing"):
        read_json(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match="not readable as JSON"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="not readable as JSON"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_text("[" * 100_000 + '\n{"step": 1}\n')
    assert read_json_lines(tmp_path / "a.jsonl") == [{"step": 1}]
    for other in ("[]", "null", "5", '"x"', "NaN"):
        (tmp_path / "a.json").write_text(other)
        with pytest.raises(UserError, match="holds no JSON object"):
            read_json(tmp_path / "a.json")


def test_a_journal_survives_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert read_json_lines(path) == []
    append_json_line(path, {"step": 1})
    with path.open("a") as lines:
        lines.write('{"step": 2')
    assert read_json_lines(path) == [{"step": 1}]
    append_json_line(path, {"step": 3})
    assert read_json_lines(path) == [{"step": 1}, {"step": 3}]


DAMAGE = st.binary(min_size=1, max_size=30).filter(lambda noise: b"\n" not in noise)


@given(count=st.integers(1, 6), damaged=st.dictionaries(st.integers(0, 5), DAMAGE, max_size=3), tail=DAMAGE)
def test_a_damaged_line_hides_no_other(
    tmp_path_factory: pytest.TempPathFactory, count: int, damaged: dict[int, bytes], tail: bytes
) -> None:
    """Whatever the disk made of some lines, the others are read; and so is what is appended afterwards."""
    path = tmp_path_factory.mktemp("journal") / "a.jsonl"
    lines = [{"step": step, "of": "é"} for step in range(count)]
    for line in lines:
        append_json_line(path, line)
    stored = path.read_bytes().split(b"\n")
    for index, noise in damaged.items():
        if index < count:
            stored[index] = b"\xff" + noise  # no UTF-8, so never JSON
    path.write_bytes(b"\n".join(stored) + b"\xff" + tail)  # the last one is cut short
    sound = [line for step, line in enumerate(lines) if step not in damaged]
    assert read_json_lines(path) == sound
    first = min((index for index in damaged if index < count), default=count)
    assert read_json_lines_in_order(path) == (lines[:first], first + 1 if first < count else 0)
    append_json_line(path, {"step": 99})
    assert read_json_lines(path) == [*sound, {"step": 99}]
    keep_json_lines(path, first)
    assert read_json_lines_in_order(path) == (lines[:first], 0)


@pytest.mark.parametrize("line", ["{", "[]", "3", "null", '"a"', "", "\0\0\0"])
def test_only_objects_are_lines_of_a_journal(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"a": 1}}\n{line}\n{{"a": 2}}\n')
    assert read_json_lines(tmp_path / "a.jsonl") == [{"a": 1}, {"a": 2}]
    assert read_json_lines_in_order(tmp_path / "a.jsonl") == ([{"a": 1}], 2)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_have_the_rights_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    program = (
        f"import os; os.umask({umask}); from pathlib import Path; from anomae.files import write_text\n"
        "os.umask = None; write_text(Path('a.txt'), 'x')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask


def test_a_file_that_a_library_put_there_gets_the_same_rights(tmp_path: Path) -> None:
    write_json(tmp_path / "plain.json", 1)
    with written_whole(tmp_path / "a.bin") as temporary:
        temporary.unlink()
        temporary.touch(0o600)
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "plain.json").stat().st_mode


def test_nested_tables_have_a_dotted_key_for_every_leaf() -> None:
    assert dict(flat_settings({"a": {"b": 1, "c": {"d": None}}, "e": [1], "f": {}})) == {
        "a.b": 1,
        "a.c.d": None,
        "e": [1],
    }


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("patchcor", ["patchcore", "pca"], "Did you mean patchcore?"),
        ("image_sise", ["a.image_size", "b"], "Did you mean a.image_size?"),
        ("x.lr", ["a.lr", "x.b.lr"], "Did you mean x.b.lr or a.lr?"),
        ("zzz", ["a", "b"], "There are: a, b."),
        ("zzz", [], "There are: none."),
    ],
)
def test_near_misses_are_named(name: str, known: list[str], said: str) -> None:
    assert nearest_sentence(name, known) == said


def test_csv_has_a_header(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("x", "y"), [(1, "a,b"), (2, "")])
    assert (tmp_path / "a.csv").read_text() == 'x,y\n1,"a,b"\n2,\n'


@given(blocks=st.lists(st.integers(0, 4), max_size=6), cut=st.integers(0, 3))
def test_an_array_grows_and_goes_on_from_the_rows_that_are_vouched_for(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[int], cut: int
) -> None:
    path = tmp_path_factory.mktemp("grow") / "a.npy"
    rows = np.arange(sum(blocks) * 6, dtype=np.float32).reshape(-1, 2, 3)
    growing = GrowingArray(path, (2, 3), np.float32)
    start = 0
    for count in blocks:
        growing.append(rows[start : start + count])
        start += count
    if start > cut > 0:
        growing._file.close()  # as if a crash had left the last `cut` rows without a line in the journal
        growing = GrowingArray(path, (2, 3), np.float32, rows=start - cut)
        growing.append(rows[start - cut :])
    growing.close()
    growing.close()
    assert np.array_equal(np.load(path), rows)


def test_rows_that_do_not_fit_and_files_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    growing = GrowingArray(tmp_path / "a.npy", (2,), np.float16)
    with pytest.raises(ValueError, match="do not fit"):
        growing.append(np.zeros((1, 3)))
    growing.append(np.zeros((4, 2)))
    growing.close()
    with pytest.raises(UserError, match="shorter than its journal says"):
        GrowingArray(tmp_path / "a.npy", (2,), np.float16, rows=9)
    with pytest.raises(UserError, match=r"gone\.npy is missing, .* start again"):
        GrowingArray(tmp_path / "gone.npy", (2,), np.float16, rows=4)
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"not a whole \.npy array"):
        map_array(tmp_path / "o.npy")
    with pytest.raises(UserError, match="missing"):
        map_array(tmp_path / "none.npy")


def test_a_key_of_a_header_that_became_bytes_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2), np.float32))
    header = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(header.replace(b" 'fortran_order'", b"b'fortran_order'", 1))
    with pytest.raises(UserError, match=r"not a whole \.npy array"):
        map_array(tmp_path / "a.npy")


@given(at=st.integers(0, 127), byte=st.integers(0, 255))
def test_a_byte_of_a_header_that_is_another_is_harmless_or_told(tmp_path_factory, at: int, byte: int) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    np.save(path, np.zeros((6, 1, 16, 16), np.float16))
    content = bytearray(path.read_bytes())
    bracket = content.index(b"), }")  # without it, what numpy reads as Python has no end
    for place, letter in ((at, byte), (bracket, ord("("))):
        path.write_bytes(content[:place] + bytes([letter]) + content[place + 1 :])
        with suppress(UserError):
            map_array(path)


def test_seeds_are_named_and_stable() -> None:
    assert derive_seed(0, "masks") == derive_seed(0, "masks")
    assert len({derive_seed(0, "a"), derive_seed(1, "a"), derive_seed(0, "b"), derive_seed(0, "a", 1)}) == 4
    assert derive_seed(0, "ab", "c") != derive_seed(0, "a", "bc")
    assert derive_seed(0, "masks") == 7_212_007_065_471_847_205  # the same on every machine
    assert np.array_equal(generator(3, "x").integers(9, size=5), generator(3, "x").integers(9, size=5))


def test_content_seeds_depend_on_content_alone() -> None:
    image = np.random.default_rng(0).random((4, 4), dtype=np.float32)
    assert content_seed(1, image) == content_seed(1, np.asfortranarray(image.copy()))
    assert content_seed(1, image) != content_seed(2, image)
    assert content_seed(1, image) != content_seed(1, image + np.float32(1e-3))
    assert content_seed(1, np.zeros(3, np.float32)) == content_seed(1, -np.zeros(3, np.float32))


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'anomae\[benchmark\]'"):
        require("no_such_package_of_anyone", "benchmark")
    assert require("json", "any").__name__ == "json"


def test_what_a_full_disk_does_not_take_names_the_file(tmp_path):
    """The system says "No space left on device" and no more."""
    program = (
        "import errno, resource, signal, sys\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from anomae.arrays import GrowingArray\n"
        "from anomae.files import append_json_line, write_json\n"
        "from anomae.training.checkpoint import write_tensors\n"
        "import torch\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "growing = GrowingArray(Path('a.npy'), (2048,), np.uint8)\n"
        "for name, write in (('a.npy', lambda: growing.append(np.ones((9, 2048), np.uint8))),\n"
        "                    ('b.jsonl', lambda: append_json_line(Path('b.jsonl'), {'x': 'y' * 9000})),\n"
        "                    ('c.json', lambda: write_json(Path('c.json'), 'y' * 9000)),\n"
        "                    ('d.safetensors', lambda: write_tensors(Path('d.safetensors'),\n"
        "                                                            {'x': torch.zeros(9000)}))):\n"
        "    try:\n"
        "        write()\n"
        "    except OSError as error:\n"
        "        print(name, error.filename, error.errno == errno.EFBIG)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    said = [f"{name} {name} True" for name in ("a.npy", "b.jsonl", "c.json", "d.safetensors")]
    assert done.stdout.splitlines()[:4] == said, done.stderr
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.npy", "b.jsonl"}
