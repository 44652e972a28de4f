"""Made-up BraTS under the names of the years beside 2020: the same heads in other folders and files."""

from collections.abc import Iterator

from anomae.phantoms.order import Order
from anomae.phantoms.phantom import imagine_head, scan_head
from anomae.volumes.write import write_volume

_MODALITIES = ("t1", "t1ce", "t2", "flair")
_NAMES_OF_2023 = {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f"}


def write_brats2019(order: Order) -> Iterator[None]:
    """HGG/BraTS19_SITEA_P001_1/BraTS19_SITEA_P001_1_t1.nii.gz and so on; every fourth patient is in LGG/."""
    for number in order.numbers():
        case = f"BraTS19_SITE{'ABC'[number % 3]}_P{number:03d}_1"
        _write_case(order, number, f"{'LGG' if number % 4 == 0 else 'HGG'}/{case}")
        yield


def write_brats2021(order: Order) -> Iterator[None]:
    """BraTS2021_00001/BraTS2021_00001_t1.nii.gz and so on."""
    for number in order.numbers():
        _write_case(order, number, f"BraTS2021_{number:05d}")
        yield


def write_brats2023(order: Order) -> Iterator[None]:
    """BraTS-GLI-00001-000/BraTS-GLI-00001-000-t1n.nii.gz and so on; every second patient has a session -001 as well."""
    for number in order.numbers():
        for session in range(1 + number % 2):
            _write_case(order, number, f"BraTS-GLI-{number:05d}-{session:03d}", session)
        yield


def _write_case(order: Order, number: int, folder: str, session: int = 0) -> None:
    """One case in `folder`, whose last name its files begin with; another session has another number of lesions."""
    lesions = 1 + (order.lesion_count(number) - 1 + session) % 3
    head = imagine_head(order.patient_seed(number), shape=order.shape, lesions=lesions, skull=False)
    name = folder.rpartition("/")[2]
    since_2023 = "-" in name
    for modality in _MODALITIES:
        ending = f"-{_NAMES_OF_2023[modality]}" if since_2023 else f"_{modality}"
        path = order.folder / folder / f"{name}{ending}.{order.file_format}"
        write_volume(path, scan_head(head, modality).voxels, head.grid)
    write_volume(
        order.folder / folder / f"{name}{'-' if since_2023 else '_'}seg.{order.file_format}", head.parts, head.grid
    )
