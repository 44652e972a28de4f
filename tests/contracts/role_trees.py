"""Small data sets of marked slices in the layout of every cohort: each slice says itself whose it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from anomae.slices.contract import MARKED_SIDE, Mark, marked_lesions, marked_scan, marked_slice
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_picture, write_volume

DEPTH = 3
ALL_ILL = dict.fromkeys(range(1, 7), (1,))  # of tumour data sets: patient -> the slices with a lesion
SOME_ILL: Mapping[int, tuple[int, ...]] = {1: (), 2: (), 3: (), 4: (), 5: (0, 1, 2), 6: (0, 1, 2)}
FIXED = {1: "train", 2: "train", 3: "train", 4: "test", 5: "test", 6: "test"}


@dataclass(frozen=True)
class Tree:
    """A layout.

    write: puts it into a folder.  lesions: patient -> his slices with a lesion.  splits: patient -> split where the
    layout fixes it.  patients_known: whether it tells whose a slice is.  inside: the source below the folder.
    """

    cohort: str
    write: Callable[[Path], None]
    lesions: Mapping[int, tuple[int, ...]]
    options: Mapping[str, object] = field(default_factory=dict)
    splits: Mapping[int, str] = field(default_factory=dict)
    patients_known: bool = True
    inside: str = ""

    def truth(self) -> dict[tuple[int, int], int]:
        """(patient, number of the slice) -> label."""
        return {(one, z): int(z in slices) for one, slices in self.lesions.items() for z in range(DEPTH)}


def nifti(path: Path, voxels: np.ndarray) -> None:
    """Under any spelling of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.parent / ("written.nii.gz" if path.name.lower().endswith(".gz") else "written.nii")
    write_volume(written, voxels, Grid(voxels.shape))
    written.rename(path)


def scan_and_mask(scan: Path, mask: Path, patient: int, lesions: tuple[int, ...]) -> None:
    nifti(scan, marked_scan(patient, DEPTH, lesions).astype(np.int16))
    nifti(mask, marked_lesions(DEPTH, lesions))


def pictures(folder: Path, name: str, patient: int, lesions: tuple[int, ...], mask: str = "") -> None:
    """A picture a slice; name, mask: with {z} in them, paths below the folder."""
    for z in range(DEPTH):
        write_picture(folder / name.format(z=z), marked_slice(Mark(patient, z, z in lesions)))
        if mask:
            write_picture(folder / mask.format(z=z), 255 * marked_lesions(DEPTH, lesions)[z])


def write_brats2020(folder: Path) -> None:
    for patient, lesions in ALL_ILL.items():
        case = f"BraTS20_Training_{patient:03d}"
        scan_and_mask(folder / case / f"{case}_t1.nii.gz", folder / case / f"{case}_seg.nii.gz", patient, lesions)


def write_brats2019(folder: Path) -> None:
    """Patient 1 has two sessions."""
    for patient, lesions in ALL_ILL.items():
        for session in (1, 2) if patient == 1 else (1,):
            case = f"BraTS19_CBICA_A{patient}_{session}"
            inside = folder / "HGG" / case
            scan_and_mask(inside / f"{case}_t1.nii.gz", inside / f"{case}_seg.nii.gz", patient, lesions)


def write_brats2023(folder: Path) -> None:
    """Patients 1 and 2 have two sessions."""
    for patient, lesions in ALL_ILL.items():
        for session in (0, 1) if patient < 3 else (0,):
            case = f"BraTS-GLI-{patient:05d}-{session:03d}"
            scan_and_mask(folder / case / f"{case}-t1n.nii.gz", folder / case / f"{case}-seg.nii.gz", patient, lesions)


def slice_file(path: Path, picture: np.ndarray, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["image"] = np.repeat(picture[..., None], 4, axis=-1).astype(np.float64)
        file["mask"] = mask


def write_brats_slices(folder: Path) -> None:
    for patient, lesions in ALL_ILL.items():
        for z in range(DEPTH):
            mask = np.stack([marked_lesions(DEPTH, lesions)[z]] * 3, axis=-1)
            path = folder / f"volume_{patient}_slice_{z}.h5"
            slice_file(path, marked_slice(Mark(patient, z, z in lesions)), mask)


def write_luna16(folder: Path) -> None:
    """A scan a subset, of two by two slices each; three of these are candidates, slice 1 a nodule."""
    lines = ["seriesuid,coordX,coordY,coordZ,class"]
    for patient, lesions in ALL_ILL.items():
        tiles = [*marked_scan(patient, DEPTH, lesions), np.zeros((16, 16), np.uint8)]
        plane = np.block([[tiles[0], tiles[1]], [tiles[2], tiles[3]]]).astype(np.int16)
        path = folder / f"subset{patient - 1}" / f"1.2.{patient}.mhd"
        write_volume(path, np.stack([plane] * 3), Grid((3, 32, 32)))
        for z in range(DEPTH):
            lines.append(f"1.2.{patient},{7.5 + 16 * (z % 2)},{7.5 + 16 * (z // 2)},1.0,{int(z in lesions)}")
    (folder / "candidates.csv").write_text("\n".join([*lines, ""]))


def write_lgg(folder: Path) -> None:
    parts = {"train": "train", "test": "report"}
    lines = ["patient,part"]
    for patient, lesions in ALL_ILL.items():
        name = f"TCGA_CS_{patient:04d}_19960101"
        scan_and_mask(folder / name / f"{name}_flair.nii.gz", folder / name / f"{name}_seg.nii.gz", patient, lesions)
        lines.append(f"{name},{parts[FIXED[patient]]}")
    (folder / "patients.csv").write_text("\n".join([*lines, ""]))


def write_lgg_tiffs(folder: Path, date: str = "19960101", patients: Mapping[int, tuple[int, ...]] = ALL_ILL) -> None:
    for patient, lesions in patients.items():
        name = f"TCGA_CS_{patient:04d}_{date}"
        for z in range(DEPTH):
            picture = marked_slice(Mark(patient, z, z in lesions))
            colours = np.stack([picture // 2, picture, picture // 3], axis=-1)
            write_picture(folder / name / f"{name}_{z + 1}.tif", colours)
            write_picture(folder / name / f"{name}_{z + 1}_mask.tif", 255 * marked_lesions(DEPTH, lesions)[z])


def write_folder(folder: Path) -> None:
    for patient, lesions in SOME_ILL.items():
        scan = marked_scan(patient, DEPTH, lesions).astype(np.int16)
        nifti(folder / ("abnormal" if lesions else "healthy") / f"p{patient}" / "flair.nii.gz", scan)


def write_masked_folder(folder: Path) -> None:
    """The ill ones have healthy slices, which their masks tell."""
    for patient in SOME_ILL:
        inside, lesions = folder / ("abnormal" if patient > 4 else "healthy") / f"p{patient}", MASKED_ILL[patient]
        nifti(inside / "flair.nii.gz", marked_scan(patient, DEPTH, lesions).astype(np.int16))
        if lesions:
            nifti(inside / "flair_seg.nii.gz", marked_lesions(DEPTH, lesions))


MASKED_ILL = {1: (), 2: (), 3: (), 4: (), 5: (1,), 6: (1, 2)}


def write_pictures(folder: Path) -> None:
    for patient, lesions in SOME_ILL.items():
        inside = folder / ("yes" if lesions else "no")
        pictures(inside, f"p{patient}/{{z}}.png", patient, lesions)


def write_mvtec(folder: Path) -> None:
    for patient, lesions in SOME_ILL.items():
        name = f"p{patient}_{{z}}"
        if lesions:
            pictures(folder, f"test/spot/{name}.png", patient, lesions, f"ground_truth/spot/{name}_mask.png")
        else:
            pictures(folder, f"{FIXED[patient]}/good/{name}.png", patient, ())


def arrays_of(lesions: Mapping[int, tuple[int, ...]]) -> dict[str, np.ndarray]:
    slices = [Mark(one, z, z in ill) for one, ill in lesions.items() for z in range(DEPTH)]
    return {
        "images": np.stack([marked_slice(mark) for mark in slices]),
        "labels": np.array([mark.lesion for mark in slices], np.int8),
        "groups": np.array([f"p{mark.patient}" for mark in slices]),
        "lesions": np.stack([marked_lesions(DEPTH, lesions[mark.patient])[mark.number] for mark in slices]),
    }


def write_arrays_file(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "x.npz", **arrays_of(MASKED_ILL))


def write_medmnist(folder: Path) -> None:
    """Splits by patient."""
    every, content = arrays_of(SOME_ILL), {}
    for word, patients in (("train", (1, 2)), ("val", (3, 5)), ("test", (4, 6))):
        rows = np.isin(every["groups"], [f"p{patient}" for patient in patients])
        content |= {f"{word}_images": every["images"][rows], f"{word}_labels": every["labels"][rows, None]}
    folder.mkdir(exist_ok=True)
    np.savez(folder / "x.npz", **content)


def write_bmad(folder: Path) -> None:
    for patient, lesions in SOME_ILL.items():
        name = f"{patient:05d}_{{z}}.png"
        if FIXED[patient] == "train":
            pictures(folder, f"train/good/{name}", patient, ())
        else:
            inside = f"test/{'Ungood' if lesions else 'good'}"
            pictures(folder, f"{inside}/img/{name}", patient, lesions, f"{inside}/label/{name}")


def write_medianomaly(folder: Path) -> None:
    for patient, lesions in SOME_ILL.items():
        name = f"BraTS2021_{patient:05d}_flair_{{z}}.png"
        if FIXED[patient] == "train":
            pictures(folder, f"train/{name}", patient, ())
        elif lesions:
            mask = f"test/annotation/{name.replace('flair', 'seg')}"
            pictures(folder, f"test/tumor/{name}", patient, lesions, mask)
        else:
            pictures(folder, f"test/normal/{name}", patient, ())


def write_listed(folder: Path) -> None:
    lists = {"train": {"0": [], "1": []}, "test": {"0": [], "1": []}}
    for patient, lesions in SOME_ILL.items():
        pictures(folder, f"images/p{patient}_{{z}}.png", patient, lesions)
        lists[FIXED[patient]][str(int(bool(lesions)))] += [f"p{patient}_{z}.png" for z in range(DEPTH)]
    (folder / "data.json").write_text(str(lists).replace("'", '"'))


def write_covid(folder: Path) -> None:
    for patient, lesions in SOME_ILL.items():
        name = "COVID" if lesions else "Normal"
        pictures(folder, f"{name}/images/{name}-{patient}{{z}}.png", patient, lesions)
        for z in range(DEPTH):
            write_picture(folder / name / "masks" / f"{name}-{patient}{z}.png", np.full((MARKED_SIDE,) * 2, 255))


PATTERN = {"patient_pattern": r"p(\d)_"}
TREES = {
    "brats2020": Tree("brats2020", write_brats2020, ALL_ILL),
    "brats2019": Tree("brats", write_brats2019, ALL_ILL),
    "brats2023": Tree("brats", write_brats2023, ALL_ILL),
    "brats-slices": Tree("brats2020", write_brats_slices, ALL_ILL, {"channel": 0}),
    "luna16": Tree("luna16", write_luna16, ALL_ILL, {"patch_side": 16}),
    "luna16-subsets": Tree(
        "luna16", write_luna16, ALL_ILL, {"patch_side": 16, "subsets": "train=0-2,validation=9,test=3-5"}, FIXED
    ),
    "lgg": Tree("lgg", write_lgg, ALL_ILL, {}, FIXED),
    "lgg-tiffs": Tree("lgg", write_lgg_tiffs, ALL_ILL),
    "folder": Tree("folder", write_folder, SOME_ILL),
    "masked-folder": Tree("folder", write_masked_folder, MASKED_ILL),
    "pictures": Tree("folder", write_pictures, SOME_ILL),
    "mvtec": Tree("folder", write_mvtec, SOME_ILL, PATTERN, FIXED),
    "arrays": Tree("arrays", write_arrays_file, MASKED_ILL),
    "medmnist": Tree("medmnist", write_medmnist, SOME_ILL, {"healthy": "0"}, patients_known=False),
    "bmad": Tree("bmad", write_bmad, SOME_ILL, {}, FIXED),
    "medianomaly": Tree("medianomaly", write_medianomaly, SOME_ILL, {}, FIXED),
    "medianomaly-json": Tree("medianomaly", write_listed, SOME_ILL, PATTERN, FIXED),
    "covid": Tree("covid-radiography", write_covid, SOME_ILL, {"patient_pattern": r"-(\d)\d"}),
    "phantom": Tree("phantom", write_masked_folder, MASKED_ILL),
    "phantom-brats": Tree("phantom", write_brats2023, ALL_ILL),
    "phantom-tiffs": Tree("phantom", write_lgg_tiffs, ALL_ILL),
    "phantom-bmad": Tree("phantom", write_bmad, SOME_ILL, {}, FIXED),
    "phantom-listed": Tree("phantom", write_listed, SOME_ILL, {}, FIXED, patients_known=False),
}
