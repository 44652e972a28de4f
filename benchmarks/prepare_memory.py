"""Memory and speed of `prepare` on made-up scans of BraTS2020's size (240x240x155).

python -m benchmarks.prepare_memory [--scans 24] [--workers N]      --scans 369 for as many as BraTS2020 has
Four scans are made; the others are links to them, so that little disk is needed and every one is read all the same.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHAPE = (155, 240, 240)
MADE = 4  # scans that differ
LIMIT_MB = 2000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--scans", type=int, default=24)
    arguments.add_argument("--workers", type=int, default=None)
    arguments.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.make is not None:
        make_scans(chosen.make, chosen.scans)
        return
    if chosen.measure is not None:
        print(json.dumps(measured(chosen.measure, chosen.workers)))
        return
    with tempfile.TemporaryDirectory() as folder:
        # In processes of their own: the memory that making the scans took does not count, and Linux counts for a
        # child what its parent held when it was started.
        again = [sys.executable, "-m", "benchmarks.prepare_memory", "--scans", str(chosen.scans)]
        again += [] if chosen.workers is None else ["--workers", str(chosen.workers)]
        subprocess.run([*again, "--make", folder], check=True)
        measuring = subprocess.run([*again, "--measure", folder], check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(measuring.stdout)
    together = found["parent_mb"] + found["workers"] * found["child_mb"]
    print(f"{chosen.scans} scans of {'x'.join(map(str, SHAPE))} voxels, T1 and lesion mask, to 224x224:")
    print(f"  {found['scans_per_s']:.2f} scans/s with {found['workers']} worker(s)")
    print(f"  peak memory: {found['parent_mb']:.0f} MB, and {found['child_mb']:.0f} MB in the largest worker")
    print(f"  all together at most {together:.0f} MB (wanted: less than {LIMIT_MB} MB)")


def make_scans(folder: Path, count: int) -> None:
    """Balls of noisy tissue on a background of zeros, as skull-stripped scans have it."""
    import numpy as np

    from anomae.volumes.volume import Grid
    from anomae.volumes.write import write_volume

    z, y, x = np.ogrid[-1:1:155j, -1:1:240j, -1:1:240j]
    for number in range(1, min(MADE, count) + 1):
        rng = np.random.default_rng(number)
        body, lesion = z**2 + y**2 + x**2 < 0.8, z**2 + (y - 0.3) ** 2 + x**2 < 0.02
        voxels = np.where(body, rng.normal(500 + 300 * lesion, 40, SHAPE), 0).astype(np.int16)
        stem = folder / f"BraTS20_Training_{number:03d}" / f"BraTS20_Training_{number:03d}"
        stem.parent.mkdir()
        write_volume(Path(f"{stem}_t1.nii.gz"), voxels, Grid(SHAPE))
        write_volume(Path(f"{stem}_seg.nii.gz"), lesion.astype(np.uint8), Grid(SHAPE))
    for number in range(MADE + 1, count + 1):
        original, linked = (f"BraTS20_Training_{name:03d}" for name in ((number - 1) % MADE + 1, number))
        (folder / linked).mkdir()
        for path in (folder / original).iterdir():
            (folder / linked / path.name.replace(original, linked)).hardlink_to(path)


def measured(folder: Path, workers: int | None) -> dict[str, float]:
    from anomae.stages.prepare import prepare, usable_workers

    with tempfile.TemporaryDirectory() as store:
        began = time.perf_counter()
        prepared = prepare("brats2020", folder, Path(store) / "store", workers=workers)
        seconds = time.perf_counter() - began
        cases = len(list(folder.iterdir()))
        assert not prepared.prepared["skipped"]
    kilobytes = 1024 if sys.platform == "darwin" else 1  # ru_maxrss: bytes on macOS, else kB
    own, child = (
        resource.getrusage(who).ru_maxrss / kilobytes / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    count = min(usable_workers(workers), cases)
    return {"parent_mb": own, "child_mb": child if count else 0.0, "workers": count, "scans_per_s": cases / seconds}


if __name__ == "__main__":
    main()
