"""Made-up scans as a cohort: heads generated in memory while they are read, or a made-up data set on disk."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from anomae.cohorts.array_cohort import Arrays
from anomae.cohorts.benchmark_pictures import Bmad, MedIAnomaly
from anomae.cohorts.brats import Brats2020
from anomae.cohorts.brats_names import MODALITIES, read_case_name
from anomae.cohorts.case import Case, CaseSlices, Cohort
from anomae.cohorts.channel_slices import channel_names_of, listed_modalities
from anomae.cohorts.covid_radiography import CovidRadiography
from anomae.cohorts.folder import Folder
from anomae.cohorts.kaggle_slices import slice_folder
from anomae.cohorts.lgg import Lgg
from anomae.cohorts.lgg_tiffs import tiff_folder
from anomae.cohorts.luna16 import Luna16
from anomae.cohorts.medmnist import MedMnist
from anomae.cohorts.npz_members import list_members
from anomae.cohorts.scan_slices import scan_slices
from anomae.errors import UserError
from anomae.seeds import derive_seed

EXPECTED = "`heads` or `heads:40` (so many made-up heads), or a folder that `anomae phantom` wrote"
_HEADS = re.compile(r"heads(?::(\d{1,5}))?")
_USUAL_COUNT = 24


class Phantoms(Cohort):
    """A made-up data set: `heads`, `heads:40`, or a folder in one of the layouts of anomae.phantoms.layouts."""

    name = "phantom"
    recipe = "phantom"
    preparation = {"image_size": 64, "intensity": "percentile"}  # noqa: RUF012  a ClassVar by its protocol
    modalities = MODALITIES

    def __init__(self, source: Path, modality: str | None = None, seed: int = 0, size: str = "32x96x96") -> None:
        """`source`: the word, or the folder.

        modality: t1, t1ce, t2 or flair, where the layout has several, or some of them with commas between, a channel
        each; None: flair for heads, else what is usual there.
        seed: of the heads made in memory, and size: their voxels, slices x rows x columns.
        """
        heads = _HEADS.fullmatch(str(source))
        self.inner: Cohort
        if source.exists():
            self.inner = _open_folder(source, modality)
        elif heads:
            self.inner = MadeUpHeads(int(heads[1] or _USUAL_COUNT), seed, modality or "flair", size)
        else:
            raise UserError(f"{source} does not exist; expected {EXPECTED}.")
        self.kind, self.order = self.inner.kind, self.inner.order
        self.channel_names = self.inner.channel_names

    def cases(self) -> list[Case]:
        """All cases in a fixed order."""
        return list(self.inner.cases())

    def read(self, case: Case) -> CaseSlices:
        """The slices of one case.  Raises UnreadableScan where its files are broken."""
        return self.inner.read(case)

    def notes(self) -> tuple[str, ...]:
        """What the layout's own cohort says."""
        return tuple(self.inner.notes())

    def patients_told(self) -> Mapping[str, Mapping[str, int]]:
        """As the cohort of its layout says."""
        return self.inner.patients_told()


class MadeUpHeads(Cohort):
    """Heads that are on no disk: every second patient has one to three lesions."""

    name = "phantom"

    def __init__(self, count: int, seed: int, modality: str, size: str) -> None:
        """`count` heads; see Phantoms.  Raises UserError where they cannot be made."""
        sides = [int(side) if side.isdigit() else 0 for side in size.split("x")]
        if len(sides) != 3 or not all(8 <= side <= 512 for side in sides):
            raise UserError(f"size is {size!r}; write it like 32x96x96, with sides of 8 to 512 voxels.")
        if count < 2:
            raise UserError("At least two heads are needed, one to train on and one to test on.")
        self.count, self.seed, self.chosen = count, seed, listed_modalities(modality, _known_modality)
        self.channel_names = channel_names_of(self.chosen)
        self.shape = (sides[0], sides[1], sides[2])

    def cases(self) -> list[Case]:
        """A case a head."""
        names = [f"head_{number:05d}" for number in range(1, self.count + 1)]
        return [Case(name, name, Path("heads") / name) for name in names]

    def read(self, case: Case) -> CaseSlices:
        """Make the head and cut it into axial slices; labels and lesions come from what was put into it."""
        from anomae.phantoms.phantom import make_head
        from anomae.volumes.volume import Volume

        number = int(case.case.rpartition("_")[2])
        lesions = 1 + number // 2 % 3 if number % 2 == 0 else 0
        seed = derive_seed(self.seed, "patient", number)
        heads = [make_head(seed, shape=self.shape, modality=name, lesions=lesions) for name in self.chosen]
        mask = Volume(heads[0].lesions, heads[0].grid, case.source, "array")
        scans = [scan_slices(Volume(head.voxels, head.grid, case.source, "array"), mask) for head in heads]
        return scans[0] if len(scans) == 1 else replace(scans[0], images=np.concatenate([s.images for s in scans], 1))

    def notes(self) -> tuple[str, ...]:
        """Nothing is left out."""
        return ()


def _known_modality(name: str) -> str:
    if name not in MODALITIES:
        raise UserError(f"Made-up heads have no modality {name!r}; there are {', '.join(MODALITIES)}.")
    return name


def _open_folder(source: Path, modality: str | None) -> Cohort:
    """The cohort whose layout a made-up data set has."""
    from anomae.phantoms.layouts import SLICE_CHANNELS

    files = [source] if source.is_file() else sorted(source.glob("*.npz"))
    if any("train_images" in list_members(path) for path in files):
        return MedMnist(source, healthy="0")
    if files:
        return Arrays(source)
    if slice_folder(source):
        return Brats2020(source, modality, channels=",".join(SLICE_CHANNELS))
    if any(read_case_name(path.name) for path in (*source.glob("BraTS*"), *source.glob("?GG/BraTS*"))):
        return Brats2020(source, modality)
    if (source / "candidates.csv").is_file():
        return Luna16(source)
    if (source / "patients.csv").is_file() or tiff_folder(source):
        return Lgg(source, modality or "flair")
    if (source / "test" / "Ungood").is_dir():
        return Bmad(source)
    if (source / "test" / "annotation").is_dir() or (source / "data.json").is_file():
        return MedIAnomaly(source)
    if (source / "Normal" / "images").is_dir():
        return CovidRadiography(source)
    return Folder(source)
