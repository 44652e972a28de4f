"""Which images that are sent once more are known: the same to the byte, and what earlier versions noted of them."""

from pathlib import Path

import pydicom

from anomae.files import append_json_line
from anomae.pacs import receive as module
from anomae.pacs.receive import Shelf
from anomae.pacs.remember import content_of, study_name
from anomae.pacs.score_study import HowToScore

from .archives import MadeUpStudy
from .test_pull import rows
from .test_receive import receiving, sent, states, until


def test_other_pixels_of_the_same_size_are_a_part_of_their_own(
    studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    out, first, changed = tmp_path / "out", study_name(studies[2].uid), []
    for file in studies[2].files:
        image = pydicom.dcmread(file)
        image.PixelData = image.PixelData[::-1]
        image.save_as(tmp_path / file.name)
        changed.append(tmp_path / file.name)
    with receiving(how, out) as door:
        for files in (studies[2].files, changed, studies[2].files, changed):  # the last two are known
            sent(door, files)
            until(lambda: states(out) != [] and not any((out / "incoming").iterdir()))
    assert [*rows(out)] == [first, f"{first}-2"]
    assert [row["state"] for row in rows(out).values()] == ["scored", "scored"]


def test_what_an_earlier_version_knew_by_sizes_is_known(
    studies: list[MadeUpStudy], how: HowToScore, tmp_path: Path
) -> None:
    out, name, other = tmp_path / "out", study_name(studies[0].uid), study_name(studies[1].uid)
    with receiving(how, out, quiet_s=600) as door:
        sent(door, [*studies[0].files, *studies[1].files])
    images = Shelf(out / "incoming").images(name)
    sizes = [(one, file.stat().st_size) for one, file in images.items()]
    journal = [{"study": name, "content": content_of(sizes), "state": state} for state in ("begun", "failed")]
    for line in journal:
        append_json_line(out / "journal.jsonl", line)
    with receiving(how, out):
        until(lambda: not any((out / "incoming").iterdir()))
    assert [(study, row["state"]) for study, row in rows(out).items()] == [(name, "failed"), (other, "scored")]


def test_the_header_of_a_file_tells_no_image_from_another(studies: list[MadeUpStudy], tmp_path: Path) -> None:
    image = pydicom.dcmread(studies[0].files[4])
    for name in ("1.0", "2.0.1"):
        image.file_meta.ImplementationVersionName = name
        image.save_as(tmp_path / name)
    image.PixelData = image.PixelData[::-1]
    image.save_as(tmp_path / "other")
    assert len({(tmp_path / name).stat().st_size for name in ("1.0", "2.0.1")}) == 2
    assert module._digest(tmp_path / "1.0") == module._digest(tmp_path / "2.0.1") != module._digest(tmp_path / "other")
