"""The DICOM results of many scans in one folder: what is there already and still holds is not written again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from anomae import __version__
from anomae.dicom_results.uids import UUID_ROOT, checked_root
from anomae.dicom_results.write import checked_kinds, write_dicom
from anomae.errors import MissingExtra, NotWritten, UserError
from anomae.extras import require
from anomae.files import read_json, write_json
from anomae.inference.decision import Rules
from anomae.inference.study import Study
from anomae.progress import say


class DicomFolder:
    """<name>-<kind>.dcm of each scan, and <name>.json: by which rules they were written, and what could not be.

    folder: theirs.  refused: name of a scan -> why it has no DICOM results.  notes: the same of single kinds.
    """

    def __init__(self, folder: Path, kinds: str, uid_root: str | None, rules: Rules, force: bool) -> None:
        """Kinds, uid_root: as given on the command line.

        rules, force: by which scans are flagged; results by others are written anew.  Raises UserError for wrong kinds
        or roots, and MissingExtra where highdicom is not installed: before anything is scored.
        """
        require("highdicom", "dicom")
        self.folder = folder
        self.kinds: Sequence[str] = checked_kinds(kinds)
        self.uid_root = checked_root(UUID_ROOT if uid_root is None else uid_root)
        self.refused: dict[str, str] = {}
        self.notes: dict[str, list[str]] = {}
        self._asked = {
            "kinds": sorted(self.kinds),
            "uid_root": self.uid_root,
            "rules": _in_json(rules),
            "force": force,
            "version": __version__,
        }

    def is_complete(self, name: str) -> bool:
        """Whether the results of this scan are there, written by the same rules; its notes then count again."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return False
        try:
            earlier: Mapping[str, Any] = read_json(path)
            files = [self.folder / str(file) for file in earlier["files"]]
            asked, refused, notes = earlier["asked"], str(earlier["refused"]), [str(one) for one in earlier["notes"]]
        except (UserError, KeyError, TypeError):  # cut short or changed by hand: to be written anew
            return False
        if asked != self._asked or not all(file.is_file() for file in files):
            return False
        self._remember(name, refused, notes)
        return True

    def write(self, study: Study) -> None:
        """Write the results of a scan; where it can have none, `refused` says why and its other outputs stay.

        Raises NotWritten and OSError where they could not be written.
        """
        (self.folder / f"{study.name}.json").unlink(missing_ok=True)
        files: list[str] = []
        refused, notes = "", list[str]()
        try:
            results = write_dicom(study, self.kinds, self.folder, study.name, uid_root=self.uid_root)
        except (MissingExtra, NotWritten):
            raise
        except UserError as error:
            refused = str(error)
        else:
            files, notes = [path.name for path in results.files], list(results.notes)
        facts = {"asked": self._asked, "files": files, "refused": refused, "notes": notes}
        write_json(self.folder / f"{study.name}.json", facts)
        self._remember(study.name, refused, notes)

    def facts(self) -> dict[str, Any]:
        """What the summary says of them."""
        return {"folder": str(self.folder), "kinds": list(self.kinds), "refused": self.refused, "notes": self.notes}

    def say_what_is_missing(self, scans: int) -> None:
        """Say what was not written and why; scans: how many were scored.

        Raises UserError where not one of them has DICOM results.
        """
        for name, sentences in self.notes.items():
            for sentence in sentences:
                say(f"{name}: {sentence}")
        if not self.refused:
            return
        first = next(iter(self.refused.values()))
        text = f"{len(self.refused)} of {scans} scan(s) have no DICOM results; the first: {first}"
        if len(self.refused) >= scans:
            raise UserError(f"Scores are written, but {text}")
        say(text)

    def _remember(self, name: str, refused: str, notes: list[str]) -> None:
        if refused:
            self.refused[name] = refused
        if notes:
            self.notes[name] = notes


def remove_outdated(folder: Path, anew: Collection[str], rules: Rules, force: bool) -> int:
    """Remove results that a scoring without DICOM left behind; returns how many DICOM files there were.

    Of the scans `anew`, by name, which were scored again; and of those whose results were written by other rules than
    `rules` and `force`.  Only files that a list of ours names are removed.
    """
    removed = 0
    for facts in sorted(folder.glob("*.json")):
        try:
            earlier = read_json(facts)
            files = [folder / Path(str(file)).name for file in earlier["files"]]
            asked = earlier["asked"]["rules"], earlier["asked"]["force"]
        except (UserError, KeyError, TypeError):  # no list of ours, or one that was changed by hand
            continue
        if facts.stem in anew or asked != (_in_json(rules), force):
            there = [file for file in files if file.is_file()]
            for file in (*there, facts):
                file.unlink()
            removed += len(there)
    return removed


def _in_json(rules: Rules) -> dict[str, Any]:
    """As they come back from a file."""
    return {name: asdict(getattr(rules, name)) for name in ("slice", "scan", "finding")}
