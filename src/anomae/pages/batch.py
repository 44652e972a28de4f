"""The pages of a scoring: which there are, which are up to date, and the table of all.

OUT/
  study.html                       of a single scan
  index.html                       of several: the table of all
  studies/<label>/study.html       and the page of each, with thumbnail.jpg; label: its name or, without identifiers,
                                   a pseudonym made from it
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from anomae.inference.decision import Rules
from anomae.inference.study import Study
from anomae.inference.tables import Judged
from anomae.pages.identifiers import label_of
from anomae.pages.index_page import index_row, write_index_page
from anomae.pages.study_page import stamp_of, write_study_page
from anomae.pages.thumbnail import write_thumbnail

STUDY, INDEX, STUDIES, THUMBNAIL = "study.html", "index.html", "studies", "thumbnail.jpg"
_VERSION = 4  # of the facts that a page holds; another one makes all anew, and so do other templates and scripts


class Pages:
    """The pages in the folder of a scoring.

    single: whether it is a scoring of one scan.  replaces_single: it was one before, and has that page.  identify: name
    scans and patients.  rules, force: by which scans are flagged, so that a page made by others is out of date.
    """

    def __init__(self, folder: Path, *, single: bool, identify: bool, rules: Rules, force: bool) -> None:
        self.folder, self.single, self.identify = folder, single, identify
        said = [rules.slice.sentence, rules.scan.sentence, rules.finding.sentence]
        facts = json.dumps([_VERSION, _looks(), single, identify, force, *said])
        self.stamp = hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
        self.replaces_single = not single and stamp_of(folder / STUDY) is not None

    def is_current(self, name: str) -> bool:
        """Whether the page of the scan `name` is there and says what would be said now."""
        return stamp_of(self._page(name)) == self.stamp

    def write(self, study: Study) -> None:
        """Write the page of a scan, and its thumbnail where there is a table."""
        page = self._page(study.name)
        if not self.single:
            write_thumbnail(study, page.with_name(THUMBNAIL))
        index = "" if self.single else "../../" + INDEX
        write_study_page(study, page, identify=self.identify, index=index, stamp=self.stamp)

    def finish(self, judged: Sequence[Judged], sentences: Sequence[str]) -> Path:
        """Write the table where there are several scans, and remove pages that are none of theirs; returns the first.

        sentences: what holds for all of them.
        """
        self._remove_others({self._page(one.scan.name) for one in judged})
        if self.single:
            return self.folder / STUDY
        rows = []
        for one in judged:
            page = self._page(one.scan.name)
            # A scan of an earlier command, which was not named this time, may have no page: it is listed all the same.
            found = page.relative_to(self.folder).as_posix() if page.exists() else ""
            rows.append(index_row(one, found, found.replace(STUDY, THUMBNAIL), identify=self.identify))
        of_slices = dict.fromkeys(why for one in judged if (why := one.decision.slices_unflagged))
        write_index_page(rows, self.folder / INDEX, sentences=[*sentences, *of_slices])
        return self.folder / INDEX

    def _page(self, name: str) -> Path:
        return self.folder / STUDY if self.single else self.folder / STUDIES / label_of(name, self.identify) / STUDY

    def _remove_others(self, wanted: set[Path]) -> None:
        """Pages under other labels, which may name somebody, and of another number of scans."""
        others = [self.folder / STUDY, *(self.folder / STUDIES).glob(f"*/{STUDY}")]
        for page in others:
            if page not in wanted and stamp_of(page) is not None:
                page.unlink()
                page.with_name(THUMBNAIL).unlink(missing_ok=True)
                if page.parent != self.folder and not any(page.parent.iterdir()):
                    page.parent.rmdir()
        if self.single:
            (self.folder / INDEX).unlink(missing_ok=True)


@cache
def _looks() -> str:
    """Of the templates, styles and scripts that pages are made of."""
    digest = hashlib.blake2b(digest_size=8)
    for folder in ("templates", "assets"):
        for part in sorted(files("anomae.pages").joinpath(folder).iterdir(), key=lambda each: each.name):
            digest.update(part.read_bytes())
    return digest.hexdigest()
