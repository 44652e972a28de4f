"""study.html: one scan with its map, scores and findings, in one file that opens from disk and asks nobody."""

import gzip
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

import anomae
from anomae.files import write_text
from anomae.inference.study import Study
from anomae.pages.identifiers import label_of, names_of, without_identifiers
from anomae.pages.page_parts import environment, text_of, viewer_bundle, viewer_licence
from anomae.pages.shown import MOST_BYTES, Shown, nifti, shown
from anomae.pages.study_facts import no_findings_sentence, rule_sentences, study_facts, verdict

HEADER_BYTES = 352  # of a NIfTI-1 file before its voxels


def write_study_page(
    study: Study,
    path: Path,
    *,
    identify: bool = False,
    index: str = "",
    stamp: str = "",
    most_bytes: int = MOST_BYTES,
) -> None:
    """Write the page of `study` to `path`.

    A volume is shown in three planes by NiiVue; pictures and single slices by a plain canvas.
    identify: name the scan and its patient; otherwise a pseudonym stands for them, and no file name and no UID is in
    the page.  index: where the page of all scans lies, relative to this one; "" where there is none.  stamp: a text
    that `stamp_of` finds again.  most_bytes: of voxels; a larger scan is shown at reduced resolution, which is said.
    """
    held = shown(study, most_bytes)
    facts = study_facts(study, held, identify)
    said = str if identify else partial(without_identifiers, name=study.name, names=names_of(study))
    planes = held.grid is not None and held.shape[0] > 1
    parts = {"scan": held.scan.stored}
    if held.heat is not None:
        parts["map"] = held.heat.stored
    if held.labels is not None:
        parts["labels"] = held.labels
    facts |= {"planes": planes, "header_bytes": HEADER_BYTES if planes else 0}
    page = (
        environment()
        .get_template("study.html.j2")
        .render(
            facts=facts,
            identify=identify,
            label=label_of(study.name, identify),
            patient=study.patient if identify else "",
            study=study,
            verdict={key: said(text) for key, text in verdict(study.decision).items()},
            rules=[(what, said(sentence)) for what, sentence in rule_sentences(study)],
            reasons=[said(reason) for reason in study.suitability.reasons],
            notes=[said(note) for note in study.result.notes],
            no_findings=no_findings_sentence(study),
            left_out=0 if study.regions is None else study.regions.left_out,
            gradient=_gradient(facts["map"]),
            guessed=facts["modality_guessed"],
            resolution=_resolution_sentence(held),
            parts={name: Markup(text_of(_packed(voxels, held, planes))) for name, voxels in parts.items()},
            bundle=Markup(viewer_bundle()) if planes else "",
            licence=viewer_licence() if planes else "",
            index=index,
            stamp=stamp,
            version=anomae.__version__,
        )
    )
    write_text(path, page)


def stamp_of(path: Path) -> str | None:
    """The stamp of the page at `path`; None where there is no page."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", errors="replace") as page:
        found = re.search(r'<meta name="anomae-stamp" content="([^"]*)">', page.read(600))
    return found[1] if found else ""


def _packed(voxels: npt.NDArray[np.generic], held: Shown, planes: bool) -> bytes:
    """Gzipped: as NIfTI where NiiVue shows them, else as they are."""
    if planes and held.grid is not None:
        return nifti(np.ascontiguousarray(voxels), held.grid)
    return gzip.compress(np.ascontiguousarray(voxels).tobytes(), 6, mtime=0)


def _resolution_sentence(held: Shown) -> str:
    """What is said where less than the scan is shown; "" where all of it is."""
    if not held.reduced:
        return ""
    z, y, x = held.shape
    sides = " x ".join(str(side) for side in held.scan.stored.shape[:3])
    return (
        f"Shown at reduced resolution: {sides} of {z} x {y} x {x} voxels (mean of the scan, highest value of the map). "
        "Scores and findings are those of the full resolution."
    )


def _gradient(mapped: dict[str, Any] | None) -> str:
    """The colour bar as the stops of a gradient in CSS; "" without a map."""
    if mapped is None:
        return ""
    return ", ".join(
        f"rgb({r}, {g}, {b}) {100 * at / 255:.1f}%" for at, (r, g, b) in list(enumerate(mapped["colours"]))[::15]
    )
