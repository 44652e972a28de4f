"""One study from the command to its page: seconds, CPU seconds and peak memory, cold and warm, and where they go.

    python benchmarks/study.py [--brats FOLDER] [--only NAME] [--profile] [--folder F]

Two models are fitted on made-up scans, a head in T1 (prepared as a brain at 128 pixels) and a chest in CT, with the
detector `anomae` as `anomae fit` takes it, all of its heads, but for the length of the training and the number of
samples, on which the time of scoring does not depend.  Then `anomae score RUN SCAN --out
OUT --force` runs in a process of its own ("cold", imports and all; --force, so that findings are drawn whatever the
model was made for), on a made-up head of 240x240x155, a made-up CT of 512x512x300, and a real BraTS case where --brats
says where one lies.  "warm" is what a program that has loaded the model pays for the second such scan: file to flag,
no page.
Peak memory is that of the process ("all") and what of it the system cannot take back ("own"; Linux only).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from machine import show_machine
from memory import memory_mb

SHORT = {"pool": 200, "head.training.steps": 20}
PREPARED = {"head": {"preparation": "brain", "image_size": 128}, "chest": {}}
SCANS = {"head": "head_t1.nii.gz", "chest": "chest_ct.nii.gz"}
HEAD, CHEST = (155, 240, 240), (300, 512, 512)  # z, y, x
WARM = """
import json, resource, sys, time
from pathlib import Path
from anomae.inference.fitted import fitted_folder, load_model
from anomae.inference.inspect import inspect_volume
from anomae.volumes.read import read_volume
began = time.monotonic()
model = load_model(fitted_folder(Path(sys.argv[1])), None)
loaded = time.monotonic() - began
times = []
for _ in range(2):
    began, spent = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    study = inspect_volume(read_volume(Path(sys.argv[2])), model, force=True)
    now = resource.getrusage(resource.RUSAGE_SELF)
    times.append((time.monotonic() - began, now.ru_utime - spent.ru_utime))
print(json.dumps([loaded, times]))
"""
PROFILED = """
import cProfile, pstats, runpy, sys
profile = cProfile.Profile()
sys.argv = ["anomae", *sys.argv[1:]]
try:
    profile.runcall(runpy.run_module, "anomae", run_name="__main__", alter_sys=True)
except SystemExit:
    pass
pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats(70)
"""


def write_heads(folder: Path) -> None:
    """Small heads to learn from, and one of full size."""
    from anomae.phantoms.phantom import make_head
    from anomae.volumes.write import write_volume

    for number in range(12):
        head = make_head(number, shape=(24, 96, 96), modality="t1", lesions=0, skull=False)
        write_volume(folder / "heads" / "healthy" / f"patient{number}_t1.nii.gz", head.voxels, head.grid)
    head = make_head(100, shape=HEAD, modality="t1", lesions=2, skull=False)
    write_volume(folder / SCANS["head"], head.voxels, head.grid)


def write_chests(folder: Path) -> None:
    """Small chests to learn from, and one of full size."""
    from anomae.phantoms.phantom import make_chest
    from anomae.volumes.write import write_volume

    for number in range(12):
        chest = make_chest(number, shape=(24, 128, 128), lesions=0)
        write_volume(folder / "chests" / "healthy" / f"patient{number}_ct.nii.gz", chest.voxels, chest.grid)
    chest = make_chest(100, shape=CHEST, lesions=3)
    write_volume(folder / SCANS["chest"], chest.voxels, chest.grid)


def fit_models(folder: Path, names: list[str]) -> None:
    """RUNs by name.  The settings of the fit are those that `anomae fit` takes; SHORT says which are less."""
    short = [part for key, value in SHORT.items() for part in ("--set", f"{key}={value}")]
    for name in names:
        scans = f"{name}s"
        if not (folder / name / "fitted" / "fitted.json").exists():
            prepared = [part for key, value in PREPARED[name].items() for part in ("--set", f"{key}={value}")]
            anomae("prepare", "folder", folder / scans, folder / f"{name}-store", "--workers", "0", *prepared)
            anomae("fit", folder / f"{name}-store", folder / name, *short)


def anomae(*words: object) -> None:
    """Run one command; its output is shown where it fails."""
    told([sys.executable, "-m", "anomae", *map(str, words)])


def told(words: list[str], environment: Mapping[str, str] | None = None) -> str:
    """What a program prints; ends with all that it said where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def cold(run: Path, scan: Path, out: Path) -> dict[str, float]:
    """Score in a new process: wall and CPU seconds, peak memory in MiB."""
    began = time.monotonic()
    words = [sys.executable, "-m", "anomae", "score", str(run), str(scan), "--out", str(out), "--force"]
    with (out.parent / f"{out.name}.log").open("w") as log:
        child = subprocess.Popen(words, stdout=log, stderr=log)
        peak = {"all": 0.0, "own": 0.0}
        while True:
            done, status, used = os.wait4(child.pid, os.WNOHANG)
            if done:
                break
            now = memory_mb(child.pid)
            peak = {kind: max(peak[kind], now[kind]) for kind in peak}
            time.sleep(0.02)
    if status:
        raise SystemExit((out.parent / f"{out.name}.log").read_text())
    return {"wall": time.monotonic() - began, "cpu": used.ru_utime, "system": used.ru_stime, **peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--brats", type=Path, default=None, help="folder with a real BraTS case, *-t1n.nii.gz")
    parser.add_argument("--only", choices=("", "head", "chest", "brats"), default="")
    parser.add_argument("--profile", action="store_true", help="print where the time goes instead")
    parser.add_argument("--repeats", type=int, default=3, help="cold runs, and warm programs, in turn")
    parser.add_argument("--folder", type=Path, default=None, help="where scans and models lie; kept and used again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.folder or Path(made)
        models = [name for name in SCANS if arguments.only in ("", name) or (name, arguments.only) == ("head", "brats")]
        for name in models:
            if not (folder / SCANS[name]).exists():
                {"head": write_heads, "chest": write_chests}[name](folder)
        fit_models(folder, models)
        scans = {name: (folder / name, folder / SCANS[name]) for name in models}
        if arguments.brats:
            scans["brats"] = (folder / "head", next(arguments.brats.glob("*-t1n.nii.gz")))
        show_machine()
        print(f"medians (lowest to highest) of {arguments.repeats}")
        for name, (run, scan) in scans.items():
            if arguments.only in ("", name):
                if arguments.profile:
                    out = Path(made) / f"{name}-profile"
                    words = ["score", str(run), str(scan), "--out", str(out), "--force"]
                    print(told([sys.executable, "-c", PROFILED, *words]))
                else:
                    show(name, run, scan, Path(made), arguments.repeats)


def show(name: str, run: Path, scan: Path, folder: Path, repeats: int) -> None:
    """Print a line for the cold runs, and one for the warm ones, taken in turn."""
    colds: dict[str, list[float]] = {}
    warms: dict[str, list[float]] = {"wall": [], "cpu": [], "loaded": []}
    for repeat in range(repeats):
        for key, value in cold(run, scan, folder / f"{name}-{repeat}").items():
            colds.setdefault(key, []).append(value)
        # As the command line and the service have it.  Threads that wait by spinning cost 18 s of processor time for 2
        # where other work shares the cores (docs/performance.md).
        waiting = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
        words = [sys.executable, "-c", WARM, str(run), str(scan)]
        loaded, times = json.loads(told(words, {**os.environ, **waiting}).splitlines()[-1])
        for key, value in (("wall", times[1][0]), ("cpu", times[1][1]), ("loaded", loaded)):
            warms[key].append(value)
    print(
        f"{name}, cold, to the page: wall {_spread(colds['wall'])} s, user {_spread(colds['cpu'])} s, "
        f"system {_spread(colds['system'])} s, peak {median(colds['all']):.0f} MiB, own {median(colds['own']):.0f} MiB"
    )
    print(
        f"{name}, warm, to the flag: wall {_spread(warms['wall'])} s, user {_spread(warms['cpu'])} s; "
        f"model loaded in {_spread(warms['loaded'])} s",
        flush=True,
    )


def _spread(values: list[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main()
