"""index.html: all scans of a batch in one sortable table, flagged ones first, each with its picture and its page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import anomae
from anomae.files import write_text
from anomae.inference.study import Study
from anomae.pages.page_parts import environment
from anomae.pages.study_facts import label_of, without_identifiers


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One scan in the table.

    label: what it is called.  page, thumbnail: paths relative to the index.  flag: None where none is raised.  score:
    of its highest slice.  highest: the number of that slice.  slices: how many were scored.  flagged: how many of them
    are flagged; None where none is raised.  findings: how many there are; None where there is no rule for them.
    largest_mm3: volume of the largest finding; None where there is none, or no grid.  reason: why there is no flag.
    patient: "" where unknown or not to be named.
    """

    label: str
    page: str
    thumbnail: str
    flag: bool | None
    score: float
    highest: int
    slices: int
    flagged: int | None
    findings: int | None
    largest_mm3: float | None
    reason: str
    patient: str = ""


def index_row(study: Study, page: str, thumbnail: str, *, identify: bool = False) -> IndexRow:
    """The row of `study`.  page, thumbnail: relative to the index."""
    decision, regions = study.decision, study.regions
    volumes = [] if regions is None else [f.volume_mm3 for f in regions.findings if f.volume_mm3 is not None]
    reason = "" if decision.scan_flag is not None else decision.unflagged
    return IndexRow(
        label=label_of(study, identify),
        page=page,
        thumbnail=thumbnail,
        flag=decision.scan_flag,
        score=float(f"{decision.scan_score:.7g}"),
        highest=int(study.result.slices[int(study.result.scores.argmax())]),
        slices=len(study.result.scores),
        flagged=None if decision.flags is None else int(decision.flags.sum()),
        findings=None if regions is None else len(regions.findings) + regions.left_out,
        largest_mm3=float(f"{max(volumes):.5g}") if volumes else None,
        reason=reason if identify else without_identifiers(reason, study),
        patient=study.patient if identify else "",
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
