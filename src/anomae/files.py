"""Files written whole or not at all, and the small formats that every room uses: JSON, JSON lines, CSV."""

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anomae.errors import UserError

# A byte of a file name that is no UTF-8 is to Python the letter \udcXX, which no file holds.  Escaped so it is still
# that letter where JSON is read back.
_NO_UTF8 = "backslashreplace"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, same suffixes; renamed to `path` if the block ends well, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", suffix="".join(path.suffixes[-2:]) or None, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all; bytes of file names that are none as Python shows them."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=_NO_UTF8)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, whole or not at all.  NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file.  Raises UserError where it is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not readable as JSON ({error}).") from error


def append_json_line(path: Path, content: Mapping[str, Any]) -> None:
    """Append one line of JSON to a journal and hand it to the disk before returning.

    A last line cut short by a crash is removed first: what follows it could never be read again.
    """
    line = json.dumps(content, allow_nan=False, ensure_ascii=False) + "\n"
    with path.open("a+b") as lines:
        end = lines.seek(0, os.SEEK_END)
        if end:
            lines.seek(end - 1)
            if lines.read(1) != b"\n":
                lines.seek(0)
                lines.truncate(lines.read().rfind(b"\n") + 1)
        lines.write(line.encode("utf-8", _NO_UTF8))
        lines.flush()
        os.fsync(lines.fileno())


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a journal; a last line cut short by a crash is left out.  A missing file has no lines."""
    if not path.exists():
        return []
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with a header, whole or not at all."""
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8", errors=_NO_UTF8) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
