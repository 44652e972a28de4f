"""Made-up data sets of whole scans: BraTS2020, its slice files, LUNA16, LGG, DICOM; written patient by patient."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from anomae.files import write_csv, written_whole
from anomae.phantoms.candidates import CANDIDATE_COLUMNS, NODULE_COLUMNS, list_candidates
from anomae.phantoms.dicom_scans import write_dicom_scan
from anomae.phantoms.order import Order, eight_bits
from anomae.phantoms.phantom import Head, imagine_head, make_chest, make_head, scan_head
from anomae.seeds import derive_seed, generator
from anomae.volumes.volume import Grid
from anomae.volumes.write import write_volume

# The order in which the channels of the slice files are written; the files themselves do not tell it.
SLICE_CHANNELS = ("t1", "t1ce", "t2", "flair")
# Of this case the segmentation of BraTS2020 has another name.
ODD_CASE, ODD_SEGMENTATION = 355, "W39_1998.09.19_Segm"
# Of eight patients: parts about as 42 : 10 : 25, as in the LGG data, and one (counted from 0) without a T1.
_LGG_PARTS = ("train", "validation", "report", "train", "train", "report", "train", "report")
_LGG_WITHOUT_T1 = 4
# The direction of a grid whose x and y axes run against the patient's.
_TURNED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
_NAMES_OF_YEARS = ("BraTS_2017_subject_ID", "BraTS_2018_subject_ID", "TCGA_TCIA_subject_ID", "BraTS_2019_subject_ID")


def write_brats(order: Order) -> Iterator[None]:
    """BraTS20_Training_001/BraTS20_Training_001_t1.nii.gz and so on, with name_mapping.csv, which tells the site."""
    names = []
    for number in order.numbers():
        case = f"BraTS20_Training_{number:03d}"
        head = _stripped_head(order, number)
        grid = _brats_grid(head.grid)
        for modality in SLICE_CHANNELS:
            path = order.folder / case / f"{case}_{modality}.{order.file_format}"
            write_volume(path, scan_head(head, modality).voxels, grid)
        segmentation = ODD_SEGMENTATION if number == ODD_CASE else f"{case}_seg"
        write_volume(order.folder / case / f"{segmentation}.{order.file_format}", head.parts, grid)
        grade, site = ("LGG" if number % 4 == 0 else "HGG"), "ABC"[number % 3]
        names.append((grade, "NA", "NA", "NA", f"BraTS19_SITE{site}_P{number:03d}_1", case))
        yield
    write_csv(order.folder / "name_mapping.csv", ("Grade", *_NAMES_OF_YEARS, "BraTS_2020_subject_ID"), names)


def write_brats_slices(order: Order) -> Iterator[None]:
    """volume_1_slice_0.h5 and so on: image (h, w, 4) float64, mask (h, w, 3) uint8: core, swelling, rim."""
    import h5py

    for number in order.numbers():
        head = _stripped_head(order, number)
        channels = np.stack([_standardised(scan_head(head, modality).voxels) for modality in SLICE_CHANNELS], axis=-1)
        masks = np.stack([head.parts == part for part in (1, 2, 4)], axis=-1).astype(np.uint8)
        for index, (image, mask) in enumerate(zip(channels, masks, strict=True)):
            with (
                written_whole(order.folder / f"volume_{number}_slice_{index}.h5") as whole,
                h5py.File(whole, "w", track_order=False) as file,
            ):
                file.create_dataset("image", data=image, compression="gzip", compression_opts=1, track_times=False)
                file.create_dataset("mask", data=mask, compression="gzip", compression_opts=1, track_times=False)
        yield


def write_luna(order: Order) -> Iterator[None]:
    """subset0..9/<seriesuid>.mhd and .raw, candidates.csv and annotations.csv in world mm (LPS)."""
    candidates: list[tuple[str | float, ...]] = []
    nodules: list[tuple[str | float, ...]] = []
    for subset in range(10):
        (order.folder / f"subset{subset}").mkdir(parents=True, exist_ok=True)
    for number in order.numbers():
        seed = order.patient_seed(number)
        rng = generator(seed, "luna16")
        chest = make_chest(seed, shape=order.shape, lesions=int(rng.integers(1, 5)))
        name = f"2.25.{derive_seed(seed, 'series')}"
        # Some scans of LUNA16 lie turned in their files; the world coordinates are the patient's all the same.
        voxels, grid = _half_turn(chest.voxels, chest.grid) if number % 3 == 0 else (chest.voxels, chest.grid)
        write_volume(order.folder / f"subset{(number - order.first) % 10}" / f"{name}.mhd", voxels, grid)
        found, true = list_candidates(chest, rng)
        candidates += [(name, *line) for line in found]
        nodules += [(name, *line) for line in true]
        yield
    write_csv(order.folder / "candidates.csv", CANDIDATE_COLUMNS, candidates)
    write_csv(order.folder / "annotations.csv", NODULE_COLUMNS, nodules)


def write_lgg(order: Order) -> Iterator[None]:
    """<patient>/<patient>_flair.nii.gz, _t1 and _seg, 8 bits, and patients.csv, which fixes the parts."""
    lines = []
    for number in order.numbers():
        name = f"PHANTOM_{'ABCD'[number % 4]}_{number:04d}"
        index = (number - order.first) % len(_LGG_PARTS)
        modalities = ("flair",) if index == _LGG_WITHOUT_T1 else ("flair", "t1")
        head = imagine_head(
            order.patient_seed(number), shape=order.shape, modalities=modalities, lesions=order.lesion_count(number)
        )
        grid = Grid(head.grid.shape, head.grid.spacing_mm, (0.0, 0.0, 0.0), _TURNED)
        for modality in modalities:
            voxels = eight_bits(scan_head(head, modality).voxels)
            write_volume(order.folder / name / f"{name}_{modality}.{order.file_format}", voxels, grid)
        lesions = (head.parts > 0).astype(np.uint8)
        write_volume(order.folder / name / f"{name}_seg.{order.file_format}", lesions, grid)
        lesion_slices = int(lesions.any((1, 2)).sum())
        lines.append((name, _LGG_PARTS[index], len(lesions), lesion_slices, int("t1" in modalities)))
        yield
    write_csv(order.folder / "patients.csv", ("patient", "part", "slices", "tumour_slices", "has_t1"), lines)


def write_dicom(order: Order) -> Iterator[None]:
    """<patient>/slice_0001.dcm and so on, one series a patient, and lesions.csv: the truth, in world mm (LPS)."""
    lines = []
    for number in order.numbers():
        seed, name, count = order.patient_seed(number), f"patient_{number:03d}", order.lesion_count(number)
        head = order.modality == "MR"
        made = (
            make_head(seed, shape=order.shape, lesions=count)
            if head
            else make_chest(seed, shape=order.shape, lesions=count)
        )
        write_dicom_scan(
            order.folder / name,
            made,
            modality=order.modality,
            patient=f"PHANTOM{number:03d}",
            body_part="HEAD" if head else "CHEST",
        )
        for centre, radius in zip(made.centres, made.radii_mm, strict=True):
            x, y, z, _ = made.grid.affine_lps() @ [*centre[::-1], 1.0]
            lines.append((name, *(f"{mm:.3f}" for mm in (x, y, z, radius))))
        yield
    write_csv(order.folder / "lesions.csv", ("patient", "x_mm", "y_mm", "z_mm", "radius_mm"), lines)


def _stripped_head(order: Order, number: int) -> Head:
    lesions = order.lesion_count(number)
    return imagine_head(order.patient_seed(number), shape=order.shape, lesions=lesions, skull=False)


def _brats_grid(grid: Grid) -> Grid:
    """Where BraTS2020 says that its scans lie."""
    return Grid(grid.shape, grid.spacing_mm, (0.0, -(grid.shape[1] - 1) * grid.spacing_mm[1], 0.0))


def _half_turn(voxels: npt.NDArray[Any], grid: Grid) -> tuple[npt.NDArray[Any], Grid]:
    """The same scan with its x and y axes stored the other way round; no voxel moves in the world."""
    corner = grid.affine_lps() @ (grid.shape[2] - 1, grid.shape[1] - 1, 0, 1)
    turned = Grid(grid.shape, grid.spacing_mm, (float(corner[0]), float(corner[1]), float(corner[2])), _TURNED)
    return np.ascontiguousarray(voxels[:, ::-1, ::-1]), turned


def _standardised(voxels: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Mean 0 and deviation 1 over the whole volume, background and all, as the slice files have it."""
    return np.asarray((voxels - voxels.mean()) / max(float(voxels.std()), 1e-6))
