"""The cells of a CSV file as spreadsheets write them: UTF-8 or UTF-16, and commas, semicolons or tabs between them."""

import codecs
import csv
import io
import re
from pathlib import Path

from anomae.errors import UserError

_MARKS = ",;\t"
_SAID_MARK = re.compile(r"^\"?sep=(.)\"?\r?\n", re.IGNORECASE)  # Excel's first line


def read_table_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Number of the line (of its last, where a cell goes over several) and its cells without spaces around them.

    Lines without any content are left out, the first, of the columns' names, apart.  Raises UserError, with the cure,
    where the file is no text or no table.
    """
    stored = path.read_bytes()
    utf16 = stored.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = stored.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8; save it as CSV in UTF-8.") from error
    said = _SAID_MARK.match(text)
    text = text[said.end() :] if said else text
    head = text.partition("\n")[0]
    mark = said[1] if said and said[1] in _MARKS else max(_MARKS, key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        table = [(rows.line_num + bool(said), [cell.strip() for cell in row]) for row in rows]
    except csv.Error as error:
        raise UserError(f"{path} is no table ({error}); save it as CSV.") from error
    return [(number, row) for index, (number, row) in enumerate(table) if index == 0 or any(row)]
