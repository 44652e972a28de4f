"""The folder of a run: what it holds, and the facts of run.json.

RUN/
  run.json           store, recipe, profile, seed, all settings, versions, what chose the checkpoint
  journal.jsonl      a line every few steps: stage, step, loss, learning rate, seconds
  checkpoints/       the state of each training, to go on from
  members/NAME/      of an ensemble: journal, checkpoints, cache and samples of each member
  cache/             reconstructions of the training images
  samples/           training samples of the classifier, for the report
  fitted/            the fitted detector, all that scoring needs; its fitted.json is written last.  Beside it what flags
                     need: healthy_scores.json (see runs/healthy_file), reference.json (see runs/reference_file)
  findings/          scores.csv, maps.npy, reconstructions.npy, findings.json (last)
  calibration/       the same of normal validation slices: scores.csv, tissue_levels.npy, map_tops.npy, pretext.csv,
                     pretext.json, findings.json (last)
  report/            report.json, report.html
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomae.errors import UserError
from anomae.files import read_json, read_json_lines, remove_unfinished
from anomae.slices.store import FORMAT, SliceStore


@dataclass(frozen=True, slots=True)
class Run:
    """A run on disk."""

    folder: Path

    @property
    def fitted(self) -> Path:
        """The folder of the fitted detector."""
        return self.folder / "fitted"

    @property
    def findings(self) -> Path:
        """The folder of scores and maps of the store's test split."""
        return self.folder / "findings"

    @property
    def calibration(self) -> Path:
        """The folder of scores of the store's normal validation slices, from which thresholds are taken."""
        return self.folder / "calibration"

    @property
    def is_fitted(self) -> bool:
        """Whether the fit ended."""
        return (self.fitted / "fitted.json").exists()

    def remove_unfinished(self) -> None:
        """Remove what a fit or scoring that was killed left half written; whoever calls holds the lock of the run.

        Not in report/ and exported/, which others may be writing; cache/ is removed at the end of a fit.
        """
        weights = [self.folder / name for name in ("checkpoints", "fitted", "members")]
        remove_unfinished(self.findings, self.calibration, *weights)
        left = [path for folder in weights for path in folder.rglob(".tmp??????")]  # as safetensors names its own
        if not (self.folder / "run.json").exists():
            left += self.folder.glob(".part-*.json")
        for path in left:
            path.unlink(missing_ok=True)

    def steps(self) -> list[dict[str, Any]]:
        """Lines of the journal; those of an ensemble's members too, their stages named "MEMBER: STAGE"."""
        lines = read_json_lines(self.folder / "journal.jsonl")
        for journal in sorted((self.folder / "members").glob("*/journal.jsonl")):
            of_member = [line for line in read_json_lines(journal) if "stage" in line]
            lines += [{**line, "stage": f"{journal.parent.name}: {line['stage']}"} for line in of_member]
        return lines

    def facts(self) -> dict[str, Any]:
        """run.json.  Raises UserError where this is no run."""
        if not (self.folder / "run.json").exists():
            raise UserError(f"{self.folder} is not a run (no run.json); make one with `anomae fit STORE RUN`.")
        facts: dict[str, Any] = read_json(self.folder / "run.json")
        return facts

    def open_store(self, store: Path | str | None = None) -> SliceStore:
        """The store that the run learned from, at its recorded path or at `store`.

        Raises UserError where it is gone, of an older version, or holds other slices than those that were learned from.
        """
        facts = self.facts()
        if not isinstance(facts.get("store"), str) or "store_fingerprint" not in facts:
            raise UserError(f"{self.folder / 'run.json'} is not whole: it does not name its store; copy it again.")
        folder = Path(store or facts["store"])
        if not folder.is_dir():
            raise UserError(f"The store of this run, {folder}, is not there; name its new folder with --store.")
        if _format_of(folder) != FORMAT:
            raise UserError(
                f"{self.folder} was fitted on {folder}, a store of an older version; prepare, fit and score anew."
            )
        opened = SliceStore(folder)
        if opened.prepared.get("fingerprint") != facts["store_fingerprint"]:
            raise UserError(f"{folder} holds other slices than this run was fitted on; fit a new run on it.")
        return opened


def _format_of(store: Path) -> Any:
    """The format of a finished store; FORMAT where it is not finished, which SliceStore says better."""
    path = store / "prepare.json"
    return read_json(path).get("format") if path.exists() else FORMAT
