"""One study from the command to its page: seconds, CPU seconds and peak memory, cold and warm, and where they go.

    python benchmarks/study.py [--brats FOLDER] [--only NAME] [--profile] [--folder F]

Two models are fitted on made-up scans, a head in T1 and a chest in CT, with the detector `anomae` as `anomae fit` takes
it, but for the length of the training, on which the time of scoring does not depend.  Then `anomae score RUN SCAN --out
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
from pathlib import Path

from memory import memory_mb

SHORT = {"pool": 200, "head.training.steps": 20, "hidden.training.steps": 10, "heads": 1}
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


def write_scans(folder: Path) -> None:
    """Training scans of both kinds, small, and one of full size each."""
    from anomae.phantoms.phantom import make_chest, make_head
    from anomae.volumes.write import write_volume

    for number in range(12):
        head = make_head(number, shape=(24, 96, 96), modality="t1", lesions=0, skull=False)
        write_volume(folder / "heads" / "healthy" / f"patient{number}_t1.nii.gz", head.voxels, head.grid)
        chest = make_chest(number, shape=(24, 128, 128), lesions=0)
        write_volume(folder / "chests" / "healthy" / f"patient{number}_ct.nii.gz", chest.voxels, chest.grid)
    head = make_head(100, shape=HEAD, modality="t1", lesions=2, skull=False)
    write_volume(folder / "head_t1.nii.gz", head.voxels, head.grid)
    chest = make_chest(100, shape=CHEST, lesions=3)
    write_volume(folder / "chest_ct.nii.gz", chest.voxels, chest.grid)


def fit_models(folder: Path) -> None:
    """RUNs head and chest.  The settings of the fit are those that `anomae fit` takes; SHORT says which are less."""
    short = [part for key, value in SHORT.items() for part in ("--set", f"{key}={value}")]
    for name, scans in (("head", "heads"), ("chest", "chests")):
        if not (folder / name / "fitted" / "fitted.json").exists():
            anomae("prepare", "folder", folder / scans, folder / f"{name}-store", "--workers", "0")
            anomae("fit", folder / f"{name}-store", folder / name, *short)


def anomae(*words: object) -> None:
    """Run one command; its output is shown where it fails."""
    told([sys.executable, "-m", "anomae", *map(str, words)])


def told(words: list[str]) -> str:
    """What a program prints; ends with all that it said where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
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
    parser.add_argument("--only", default="", help="head, chest or brats")
    parser.add_argument("--profile", action="store_true", help="print where the time goes instead")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="where scans and models lie; kept and used again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.folder or Path(made)
        if not (folder / "chest_ct.nii.gz").exists():
            write_scans(folder)
        fit_models(folder)
        scans = {name: (folder / name, folder / file) for name, file in SCANS.items()}
        if arguments.brats:
            scans["brats"] = (folder / "head", next(arguments.brats.glob("*-t1n.nii.gz")))
        print(f"{'':<28}{'wall s':>8}{'user s':>8}{'sys s':>7}{'all MiB':>9}{'own MiB':>9}")
        for name, (run, scan) in scans.items():
            if arguments.only in ("", name):
                if arguments.profile:
                    out = Path(made) / f"{name}-profile"
                    words = ["score", str(run), str(scan), "--out", str(out), "--force"]
                    print(told([sys.executable, "-c", PROFILED, *words]))
                else:
                    show(name, run, scan, Path(made), arguments.repeats)


def show(name: str, run: Path, scan: Path, folder: Path, repeats: int) -> None:
    """Print a line for each cold run, and one for a warm one."""
    for repeat in range(repeats):
        now = cold(run, scan, folder / f"{name}-{repeat}")
        line = f"{now['wall']:>8.1f}{now['cpu']:>8.1f}{now['system']:>7.1f}{now['all']:>9.0f}{now['own']:>9.0f}"
        print(f"{name + ', cold, to the page':<28}{line}", flush=True)
    loaded, times = json.loads(told([sys.executable, "-c", WARM, str(run), str(scan)]).splitlines()[-1])
    wall, spent = times[1]
    print(f"{name + ', warm, to the flag':<28}{wall:>8.1f}{spent:>8.1f}   (model loaded in {loaded:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
