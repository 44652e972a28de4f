"""index.html: all scans of a batch in one sortable table, flagged ones first, each with its picture and its page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

import anomae
from anomae.files import write_text
from anomae.inference.tables import Judged
from anomae.pages.identifiers import label_of, names_in_paths, without_identifiers
from anomae.pages.page_parts import environment


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One scan in the table.

    label: what it is called.  page, thumbnail: paths relative to the index, "" where there is none.  flag: None where
    none is raised.  score: of its highest slice.  highest: the number of that slice, None of a picture.  slices: how
    many were scored.  flagged: how many of them are flagged; None where none is raised.  findings: how many there are;
    None where there is no rule for them.  largest_mm3: volume of the largest finding; None where there is none, or no
    grid.  reason: why there is no flag, or what is to be known of the one there is.  patient: "" where unknown or not
    to be named.
    """

    label: str
    page: str
    thumbnail: str
    flag: bool | None
    score: float
    highest: int | None
    slices: int
    flagged: int | None
    findings: int | None
    largest_mm3: float | None
    reason: str
    patient: str = ""


def index_row(judged: Judged, page: str, thumbnail: str, *, identify: bool = False) -> IndexRow:
    """The row of a scan and what is decided about it.  page, thumbnail: relative to the index."""
    scan, decision = judged.scan, judged.decision
    volumes = [each["volume_mm3"] for each in judged.findings if each["volume_mm3"] is not None]
    names = {scan.patient} | names_in_paths([Path(scan.file), Path(scan.path)])
    found = len(judged.findings) + judged.left_out if scan.finding_threshold is not None else None
    return IndexRow(
        label=label_of(scan.name, identify),
        page=page,
        thumbnail=thumbnail,
        flag=decision.scan_flag,
        score=float(f"{decision.scan_score:.7g}"),
        highest=None if scan.grid is None and len(scan.slices) == 1 else scan.slices[int(np.argmax(decision.scores))],
        slices=len(scan.slices),
        flagged=None if decision.flags is None else int(decision.flags.sum()),
        findings=found,
        largest_mm3=float(f"{max(volumes):.5g}") if volumes else None,
        reason=judged.own_reason if identify else without_identifiers(judged.own_reason, scan.name, names),
        patient=scan.patient if identify and scan.patient != scan.name else "",
    )


def write_index_page(
    rows: Sequence[IndexRow], path: Path, *, title: str = "Scored scans", sentences: Sequence[str] = ()
) -> None:
    """Write the page of all `rows` to `path`, some 150 bytes a row; pictures are loaded only where they are seen.

    sentences: what holds for all of them, such as by which rule they are flagged.
    """
    names = [field.name for field in fields(IndexRow)]
    lines = [list(asdict(row).values()) for row in rows]
    kinds = [row.flag for row in rows]
    counts: dict[str, Any] = {
        "scans": len(rows),
        "flagged": kinds.count(True),
        "not_flagged": kinds.count(False),
        "not_raised": kinds.count(None),
    }
    page = (
        environment()
        .get_template("index.html.j2")
        .render(
            title=title,
            content={"names": names, "rows": lines},
            counts=counts,
            sentences=sentences,
            has_patients=any(row.patient for row in rows),
            version=anomae.__version__,
        )
    )
    write_text(path, page)
