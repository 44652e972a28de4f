"""The process that scores: loads each model once, takes studies from its standard input, answers on standard output.

Started by `WorkerProcess` alone.  A line of JSON in for each study, lines of JSON out: {"ready": true}, {"progress":
[done, total]}, and at last {"done": {...}}, {"failed": sentence} or {"defect": what and where}.
"""

import json
import os
import queue
import resource
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from anomae.errors import UserError
from anomae.files import read_json
from anomae.locks import FolderLock
from anomae.progress import Progress, reporting
from anomae.serving.results import OUT, UPLOAD, files_there, without_names, write_result

_PATIENCE_S = 60.0
_DICOM = "seg,sr"
_TOO_LARGE = "The study needs more memory than the service gives it; see --memory."


def main() -> None:
    """Answer until the input ends, which it does when the service does, in whatever way."""
    from anomae.training.allocator import keep_freed_memory
    from anomae.workers import leave_out_readers_warnings

    # What libraries print may not stand between the answers, and may quote patient data.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    keep_freed_memory()
    leave_out_readers_warnings()
    _let_it_be_killed_first()
    asked: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    facts = asked.get()
    try:
        models = _Models(facts["device"])
        for run in facts["runs"]:
            models.load(Path(run))
        from anomae.stages import score_scans  # noqa: F401  with all that it imports: the first study waits for none
    except UserError as error:
        _say(answers, {"failed": str(error)})
        return
    _bound_memory(int(facts["memory"]))
    _say(answers, {"ready": True})
    while True:
        _say(answers, _answer(asked.get(), models, answers))


def _answer(job: dict[str, Any], models: "_Models", answers: IO[str]) -> dict[str, Any]:
    folder = Path(job["folder"])
    try:
        with _alone(folder), reporting(_Lines(answers)):
            return {"done": _score(job, folder, models)}
    except MemoryError:
        return {"failed": _TOO_LARGE}
    except (UserError, OSError) as error:
        # A reader that was refused memory cannot know that the file is sound.
        told = _TOO_LARGE if "MemoryError" in str(error) else without_names(str(error), folder)
        return {"failed": told}
    except Exception as error:  # noqa: BLE001  told to the service, which says that it is a defect
        last = traceback.extract_tb(error.__traceback__)[-1]
        return {"defect": f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"}


def _score(job: dict[str, Any], folder: Path, models: "_Models") -> dict[str, Any]:
    """Score one study and write its result; what the job then says of itself."""
    from anomae.stages.score_scans import score_scans

    upload, out = folder / UPLOAD, folder / OUT
    summary = out / "scoring.json"
    wanted = _DICOM if job["dicom"] and _holds_dicom(upload) else None
    note = ""
    try:
        score_scans(job["run"], [upload], out, overlays=0, dicom=wanted, device=models.device, load=models.detector)
    except UserError as error:
        # Its summary is written last of all: what is missing then is DICOM results, and the summary says so.
        if not summary.exists() or read_json(summary)["failed"]:
            raise
        note = without_names(str(error), folder)
    result = write_result(folder, job["id"], job["name"])
    skipped = [str(reason) for reason in read_json(summary)["skipped"].values()]
    if skipped and not note:
        first = without_names(skipped[0], folder)
        note = f"{len(skipped)} scan(s) could not be read and were skipped; the first: {first}"
    return {
        "flag": result["flag"],
        "scans": len(result["scans"]),
        "findings": result["findings"],
        "note": note,
        "results": files_there(folder, result),
    }


def _holds_dicom(upload: Path) -> bool:
    from anomae.volumes.dicom_headers import is_dicom

    return any(is_dicom(file) for file in upload.rglob("*") if file.is_file())


class _Models:
    """The fitted detectors, each read once."""

    def __init__(self, device: str | None) -> None:
        from anomae.training.settings import DeviceSettings

        self.device = None if device is None else DeviceSettings.model_validate({"accelerator": device})
        self._loaded: dict[Path, Any] = {}

    def load(self, run: Path) -> None:
        from anomae.inference.fitted import fitted_folder

        self.detector(fitted_folder(run), self.device)

    def detector(self, folder: Path, device: Any) -> Any:
        from anomae.inference.fitted import load_fitted

        if folder not in self._loaded:
            self._loaded[folder] = load_fitted(folder, device)
        return self._loaded[folder]


class _Lines:
    """Progress as lines of JSON."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers

    @contextmanager
    def progress(self, title: str, total: int, unit: str, start: int) -> Iterator[Progress]:
        """Of scans alone; what is below is too quick to be told."""
        answers = self._answers

        class _Scans:
            done = start

            def advance(self, steps: int = 1, note: str = "") -> None:
                self.done += steps
                if title == "score":
                    _say(answers, {"progress": [self.done, total]})

        scans = _Scans()
        scans.advance(0)
        yield scans

    def say(self, sentence: str) -> None:
        """The summary has it too."""


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The study's folder to ourselves; the process of a service that was just killed may hold it for a moment."""
    until = time.monotonic() + _PATIENCE_S
    lock = None
    while lock is None:
        try:
            lock = FolderLock(folder)
        except UserError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()


def _listen(asked: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        asked.put(json.loads(line))
    os._exit(0)  # the service is gone: whatever is being scored goes on from its journal at the next start


def _say(answers: IO[str], content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _let_it_be_killed_first() -> None:
    """Where the machine runs out of memory, this process is to go and not the service (Linux)."""
    file = Path("/proc/self/oom_score_adj")
    if file.exists():
        file.write_text("500")


def _bound_memory(memory: int) -> None:
    """What is asked for beyond `memory` bytes is a MemoryError, before the process has to be ended (Linux, no GPU)."""
    import torch

    status = Path("/proc/self/statm")
    if status.exists() and not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        now = int(status.read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = now + memory
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    main()
