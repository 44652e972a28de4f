"""What runs in a worker, whichever engine started it: the model is loaded once, then shard after shard is scored."""

import os
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from anomae.archive.manifest import Entry
from anomae.archive.score_shard import Asked, ShardFacts, score_shard
from anomae.detectors.protocol import FittedDetector, engine_of
from anomae.errors import DISK_REFUSES, AnomaeError, UserError
from anomae.inference.decision import Rules
from anomae.inference.exported.detector import load_exported
from anomae.inference.exported.folder import is_exported
from anomae.inference.fitted import fitted_folder, load_fitted, load_model
from anomae.inference.inspect import Model
from anomae.runs.model_fingerprint import fingerprint
from anomae.training.settings import DeviceSettings
from anomae.workers import leave_out_readers_warnings


@dataclass(frozen=True, slots=True)
class Job:
    """The same for every shard: the run, the fingerprint that its model must have, what is asked, and where to compute.

    fingerprint: of its files, whatever computes with them.  threads: of one worker.
    """

    run: str
    fingerprint: str
    asked: Asked
    device: DeviceSettings | None
    threads: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A shard, or a piece of one whose worker was ended: the entries to score, and the folder to write.

    computed_on: what all scores of the archive are, see `anomae.training.devices.computed_on`, "" where that is still
    open.  attempts: how many workers were ended by it so far.  losses: how often it was lost for no fault of its own.
    """

    shard: int
    entries: tuple[Entry, ...]
    target: str
    computed_on: str = ""
    attempts: int = 0
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says of a piece, one of: its facts; stop, why nothing can go on; defect, of the program.

    process: "host:pid" of the worker.  loads: how many models that process loaded so far.  computed_on: kind of device
    and precision there, or the engine of an exported model.  doubts: what its model lacks, a sentence each.
    """

    facts: ShardFacts | None = None
    stop: str = ""
    defect: str = ""
    process: str = ""
    loads: int = 0
    computed_on: str = ""
    doubts: tuple[str, ...] = ()


def score_piece(job: Job, piece: Piece) -> Answer:
    """Score a piece in this process, which is a worker's own.  Raises nothing: all that goes wrong is in the answer."""
    leave_out_readers_warnings()
    process = f"{os.uname().nodename}:{os.getpid()}"
    try:
        model, rules, computed = _model(job)
        if piece.computed_on not in ("", computed):
            return Answer(stop=_unlike(process, computed, piece.computed_on), process=process)
        facts = score_shard(piece.entries, Path(piece.target), model, rules, job.asked, partial(_note, piece))
        _at(piece).unlink(missing_ok=True)
    except AnomaeError as error:
        return Answer(stop=str(error), process=process)
    except ImportError as error:
        return Answer(stop=f"{error} (in the worker {process})", process=process)
    except OSError as error:
        if error.errno in DISK_REFUSES:
            return Answer(stop=f"{error.filename or piece.target}: {error.strerror}", process=process)
        return Answer(defect=_told(error), process=process)
    except Exception as error:  # noqa: BLE001  told to whoever gave the piece, who lists the one entry that it is of
        return Answer(defect=_told(error), process=process)
    loads, doubts = _model.cache_info().misses, tuple(model.lacks(computed))
    return Answer(facts, process=process, loads=loads, computed_on=computed, doubts=doubts)


def was_at(piece: Piece) -> int | None:
    """The index of the entry that a worker was at when it was ended, of which it left a note; None without one."""
    try:
        number = int(_at(piece).read_text())
    except (OSError, ValueError):  # not on this disk yet, or cut short: the piece is halved instead
        return None
    finally:
        _at(piece).unlink(missing_ok=True)
    lines = [entry.line for entry in piece.entries]
    return lines.index(number) if number in lines else None


def _at(piece: Piece) -> Path:
    target = Path(piece.target)
    return target.with_name(f".at-{target.name}")


def _note(piece: Piece, entry: Entry) -> None:
    note = _at(piece)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(str(entry.line))


@lru_cache(maxsize=1)
def _model(job: Job) -> tuple[Model, Rules, str]:
    """The model, its rules, and what it computes on."""
    import torch

    from anomae.training.devices import computed_on

    torch.set_num_threads(job.threads)
    if fingerprint(fitted_folder(Path(job.run))) != job.fingerprint:
        raise UserError(
            f"{job.run} holds another fitted model on {os.uname().nodename} than where the command was given."
        )
    model = load_model(job.run, job.device, load=partial(_loaded, job.threads))
    engine = engine_of(model.detector)
    computed = computed_on(job.device or DeviceSettings()) if engine == "torch" else engine
    return model, model.rules(job.asked.bounds, job.asked.threshold, job.asked.smoothed), computed


def _loaded(threads: int, folder: Path, device: DeviceSettings | None) -> FittedDetector:
    """An exported model, which does not heed torch's number of threads, or a fitted detector."""
    return load_exported(folder, threads=threads) if is_exported(folder) else load_fitted(folder, device)


def _unlike(process: str, own: str, others: str) -> str:
    device, _, precision = others.partition(" ")
    known = device in ("cpu", "cuda")  # and not the engine of an exported model
    same = f"give --device {device} --precision {precision} where every machine has that, or " if known else ""
    return (
        f"The worker {process} computes on {own}, but the shards of this archive are scored on {others}, and scores of "
        f"two kinds do not go together; {same}name another folder."
    )


def _told(error: Exception) -> str:
    return f"a defect of the program ({type(error).__name__}); please report it with this file's kind"
