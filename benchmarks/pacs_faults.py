"""An archive, and the commands beside it, killed with SIGKILL at random moments while studies keep arriving.

python benchmarks/pacs_faults.py [--kills 30] [--seed 0]

A real Orthanc, `anomae watch --push`, `anomae receive --send` and `anomae pull --push` (again and again) run as
processes of their own on loopback.  Made-up studies come by C-STORE and by STOW into the archive, and by C-STORE into
`receive`; whoever sends sends again what was not acknowledged, as scanners do.  One of the four is killed at a time and
started again.  In the end everything that was sent must be in the archive, every study scored once, and each result
there once, as QIDO tells, and valid to dciodvfy.  Prints what came out as JSON; exit code 1 where anything of this does
not hold.  Figures stand in docs/reliability.md.
"""

import argparse
import csv
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from collections import Counter
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from anomae.cli import main as command_line
from anomae.errors import UserError
from anomae.pacs.connection import Credentials
from anomae.pacs.dicomweb import Archive
from anomae.pacs.node import Node
from anomae.pacs.remember import study_name
from anomae.pacs.send import Sender
from anomae.phantoms.dicom_scans import write_dicom_scan
from anomae.phantoms.phantom import make_head
from anomae.runs.healthy_file import write_healthy_scores
from anomae.slices.settings import PrepareSettings
from anomae.stages.fit import fit
from anomae.stages.prepare import prepare
from anomae.statistics.healthy_scores import HealthyScores
from machine import show_machine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "pacs"))
from archives import Orthanc, free_port  # the archive that the tests use

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
IMAGES = 8
ENDED_S = 300.0  # how long everything may take to come to an end after the last kill


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--victims", default="archive,watch,receive,pull", help="of these, in turn")
    parser.add_argument("--pause", type=float, default=10.0, help="most seconds that a victim works before")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two studies")
    asked = parser.parse_args()
    show_machine(sys.stderr)  # standard output is JSON alone
    STARTER.set_forkserver_preload(LOADED)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # it says each association that is refused
    if shutil.which("Orthanc") is None or not PLUGIN.exists():
        parser.error("Orthanc with DICOMweb is not on this machine (Debian: apt-get install orthanc orthanc-dicomweb)")
    with tempfile.TemporaryDirectory() as made:
        figures = faults(Path(made), asked)
    print(json.dumps(figures, indent=2))
    return 0 if figures["right"] else 1


# Each start is a process of its own, forked from one that has loaded the libraries: that takes the most of a start.
STARTER = get_context("forkserver")
LOADED = ["anomae.cli", "anomae.cli.pacs_commands", "anomae.pacs.pull", "anomae.pacs.receive", "anomae.pacs.watch"]
LOADED += ["anomae.stages.score_scans", "dicomweb_client.api", "highdicom", "pynetdicom", "scipy.ndimage", "torch"]


def _run(arguments: list[str], log: Path) -> None:
    """The command `anomae`, in this process."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["anomae", *arguments]
    command_line()


@dataclass
class Command:
    """A command of anomae in a process of its own, started anew whenever it has ended."""

    arguments: list[str]
    ready: str  # in what it prints, once it works
    log: Path
    process: Any = None
    starts: int = 0
    codes: Counter = field(default_factory=Counter)

    def start(self) -> None:
        """Start it; what it prints is kept."""
        self.starts += 1
        self._from = self.log.stat().st_size if self.log.exists() else 0
        self.log.touch()
        self.process = STARTER.Process(target=_run, args=(self.arguments, self.log))
        self.process.start()

    def works(self) -> bool:
        """Whether this start of it has come so far."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return self.ready.encode() in log.read()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.join()

    def see_to(self) -> None:
        """Start it again where it has ended by itself."""
        if self.process.exitcode is not None:
            self.codes[self.process.exitcode] += 1
            self.start()


@dataclass
class Scanner:
    """Sends made-up studies, one after another, each until it was taken.  by: cstore, stow or receive."""

    archive: Orthanc
    receiver: Node
    folder: Path
    every_s: float
    studies: dict[str, tuple[str, list[Path]]] = field(default_factory=dict)  # uid -> by, files
    again: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Until it is told to stop; then what is begun is ended."""
        while not self.stop.is_set():
            number = len(self.studies)
            by = ("cstore", "receive", "stow")[number % 3]
            files = made_up_study(self.folder / f"{number}", number)
            uid = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
            self.studies[uid] = (by, files)
            while not self._sent(by, files):
                self.again += 1
                time.sleep(0.2)
            self.stop.wait(self.every_s)

    def _sent(self, by: str, files: list[Path]) -> bool:
        try:
            if by == "stow":
                Archive(self.archive.url, Credentials("", "reader", "reads")).store(files)
            else:
                node = Node("127.0.0.1", self.archive.dicom, self.archive.title) if by == "cstore" else self.receiver
                Sender(node, "SCANNER")(files)
        except UserError:
            return False
        return True


def faults(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    rng, killed = random.Random(asked.seed), Counter()
    run = fitted_run(folder)
    (folder / "orthanc").mkdir()
    (folder / "password").write_text("reads\n")
    archive = Orthanc(folder / "orthanc", PLUGIN)
    settings = json.loads((archive.folder / "settings.json").read_text())
    (archive.folder / "settings.json").write_text(json.dumps({**settings, "StableAge": 2}))
    receiver = Node("127.0.0.1", free_port(), "ANOMAE")
    common = ["--overlays", "0", "--force", "--device", "cpu"]
    signed = [*common, "--push", "--user", "reader", "--password-file", str(folder / "password")]
    commands = {
        "watch": Command(
            ["watch", archive.url, str(run), "--out", str(folder / "watch"), "--every", "0.5", *signed],
            "Watching",
            folder / "watch.log",
        ),
        "receive": Command(
            [
                *("receive", str(run), "--out", str(folder / "receive"), "--aet", receiver.title),
                *("--port", str(receiver.port), "--quiet", "3"),
                *("--send", f"127.0.0.1:{archive.dicom}/{archive.title}", *common),
            ],
            "listens on",
            folder / "receive.log",
        ),
        "pull": Command(
            ["pull", archive.url, str(run), "--out", str(folder / "pull"), "--query", "ModalitiesInStudy=MR", *signed],
            "",
            folder / "pull.log",
        ),
    }
    victims = asked.victims.split(",")
    archive.start()
    began = time.monotonic()
    used = {name: one for name, one in commands.items() if name in victims}
    for command in used.values():
        command.start()
    scanner = Scanner(archive, receiver, folder, asked.every)
    sending = threading.Thread(target=scanner.work)
    sending.start()
    try:
        for number in range(asked.kills):
            victim = victims[number % len(victims)]
            watched = used.get(victim)
            _wait_for(watched.works if watched is not None else lambda: True, 60, used)
            time.sleep(rng.uniform(0, asked.pause))
            for command in used.values():
                command.see_to()
            if victim == "archive":
                archive.kill()
                time.sleep(rng.uniform(0, 2))
                archive.start()
            else:
                used[victim].kill()
                used[victim].start()
            killed[victim] += 1
        scanner.stop.set()
        sending.join(120)
        stopped = time.monotonic()
        _wait_for(lambda: at_rest(folder, scanner, used), ENDED_S, used)
        return {
            "kills": dict(killed),
            "seed": asked.seed,
            "seconds": round(time.monotonic() - began),
            "seconds_to_rest_after_the_last": round(time.monotonic() - stopped),
            "starts": {name: one.starts for name, one in used.items()},
            "sent_again": scanner.again,
            **what_came(folder, archive, scanner, list(used)),
        }
    finally:
        scanner.stop.set()
        for command in used.values():
            command.kill()
        archive.stop()


def _wait_for(done: Any, seconds: float, used: dict[str, Command]) -> None:
    """Wait so long at most; commands that ended by themselves are started again."""
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        for command in used.values():
            command.see_to()
        time.sleep(0.3)


def rows(out: Path) -> dict[str, dict[str, str]]:
    if not (out / "studies.csv").exists():
        return {}
    with (out / "studies.csv").open(newline="") as file:
        return {row["study"]: row for row in csv.DictReader(file)}


def parts(table: dict[str, dict[str, str]], study: str) -> list[str]:
    """What a study is called, and what came to `receive` once it had been scored."""
    return [name for name in table if name.partition("-")[0] == study]


def expected(scanner: Scanner, name: str) -> dict[str, list[Path]]:
    """The studies that a command must have scored, by their names."""
    sent = scanner.studies.items()
    return {study_name(uid): files for uid, (by, files) in sent if (by == "receive") == (name == "receive")}


def at_rest(folder: Path, scanner: Scanner, used: dict[str, Command]) -> bool:
    """Whether everything that is expected has been sent."""
    for name in used:
        table = rows(folder / name)
        for study in expected(scanner, name):
            if {table[part]["state"] for part in parts(table, study)} != {"sent"}:
                return False
        if name == "receive" and any((folder / name / "incoming").glob("*")):
            return False
    return True


def what_came(folder: Path, archive: Orthanc, scanner: Scanner, names: list[str]) -> dict[str, Any]:
    """What is wrong, and counts."""
    wrong: list[str] = []
    contents: dict[str, set[str]] = {}
    for name in names:
        journal = [json.loads(line) for line in (folder / name / "journal.jsonl").read_text().splitlines()]
        scored = Counter((one["study"], one["content"]) for one in journal if one.get("state") == "scored")
        wrong += [f"{name}: {study} scored {count} times" for (study, _), count in scored.items() if count > 1]
        for study, content in scored:
            contents.setdefault(study.partition("-")[0], set()).add(content)
        table = rows(folder / name)
        for study, files in expected(scanner, name).items():
            state = table.get(study, {}).get("state", "unknown")
            if state != "sent":
                steps = [one["state"] for one in journal if one.get("study") == study]
                wrong.append(f"{name}: {study} is {state}: {table.get(study, {}).get('reason')}: {steps}")
                continue
            scored_images: set[str] = set()
            for part in parts(table, study):
                with (folder / name / "studies" / part / "scores.csv").open(newline="") as file:
                    scored_images |= {row["sop_instance_uid"] for row in csv.DictReader(file)}
            if len(scored_images) != len(files):
                wrong.append(f"{name}: {study} has scores of {len(scored_images)} of {len(files)} images")
    counts, extra = Counter(), 0
    for uid, (by, files) in scanner.studies.items():
        study = study_name(uid)
        found = archive.get(f"/dicom-web/studies/{uid}/instances?limit=1000") if in_archive(archive, uid) else []
        uids = [entry["00080018"]["Value"][0] for entry in found]
        if len(set(uids)) != len(uids):
            wrong.append(f"{study}: an instance stands twice in the archive")
        if by != "receive":
            lost = {str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in files} - set(uids)
            wrong += [f"{study}: {len(lost)} image(s) are not in the archive"] if lost else []
        due: set[str] = set()
        for name in names:
            if study in expected(scanner, name):
                for part in parts(rows(folder / name), study):
                    results = (folder / name / "studies" / part / "dicom").glob(
                        "[!.]*.dcm"
                    )  # a kill may leave one half
                    due |= {str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in results}
        wrong += [f"{study}: a result is not in the archive"] if due - set(uids) else []
        kinds = Counter(entry["00080060"]["Value"][0] for entry in found)
        reports = kinds["SR"]
        counts += Counter({"images": kinds["MR"], "SR": reports, "SEG": kinds["SEG"]})
        # A report each of the contents that a study had while it came; of the last one at least.
        extra += max(reports - 1, 0)
        if not 1 <= reports <= len(contents.get(study, ())):
            wrong.append(f"{study}: {reports} reports of {len(contents.get(study, ()))} scored content(s)")
    invalid = not_valid(folder, archive)
    return {
        "studies": dict(Counter(by for by, _ in scanner.studies.values())),
        "in_the_archive": dict(counts),
        "reports_of_studies_that_were_scored_before_they_were_whole": extra,
        "not_valid": invalid,
        "wrong": wrong,
        "right": not wrong and not invalid,
    }


def in_archive(archive: Orthanc, uid: str) -> bool:
    try:
        return bool(archive.get(f"/dicom-web/studies?StudyInstanceUID={uid}"))
    except urllib.error.HTTPError:
        return False


def not_valid(folder: Path, archive: Orthanc) -> list[str]:
    """What dciodvfy says of the results in the archive; a line where it is not on this machine."""
    if shutil.which("dciodvfy") is None:
        return ["dciodvfy is not on this machine (Debian: apt-get install dicom3tools)"]
    path, told = folder / "result.dcm", []
    for instance in (*archive.of_modality("SR"), *archive.of_modality("SEG")):
        path.write_bytes(archive.file(instance))
        said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True).stderr
        told += [line for line in said.splitlines() if line.startswith("Error")]
    return told


def made_up_study(folder: Path, number: int) -> list[Path]:
    """A head; two of three with a ball as bright as nothing else."""
    head = make_head(1000 + number, shape=(IMAGES, 40, 40), lesions=0)
    if number % 3:
        voxels = head.voxels.copy()
        voxels[3:6, 12:22, 14:24] = 4 * int(voxels.max())
        head = replace(head, voxels=voxels)
    write_dicom_scan(folder, head, modality="MR", patient=f"MADE^UP^{number}", body_part="HEAD")
    return sorted(folder.glob("*.dcm"))


def fitted_run(folder: Path) -> Path:
    """A mean image of eight heads; its healthy scores are made up, 40 patients', so that it flags and finds."""
    settings = PrepareSettings(image_size=(32, 32))
    store = prepare(
        "phantom", "heads:8", folder / "store", workers=0, seed=1, settings=settings, options={"size": "10x40x40"}
    )
    fit(store.folder, folder / "run", detector="mean-image", overrides={"device.accelerator": "cpu"})
    rng = np.random.default_rng(0)
    scores, tops = rng.uniform(0, 0.05, 400), rng.uniform(0, 0.3, 400)
    healthy = HealthyScores(scores, tops, np.repeat(np.arange(40), 10), "patient", "400 made-up slices")
    write_healthy_scores(folder / "run" / "fitted", healthy)
    return folder / "run"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
