"""Which made-up patients a made-up data set is to have, whatever its layout."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.phantoms.phantom import Phantom, make_head
from anomae.seeds import derive_seed, generator


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: `count` patients, numbered from `first`, each scan of `shape` (z, y, x), put into `folder`.

    modality: of the layouts that leave a choice, "MR" or "CT".
    """

    folder: Path
    count: int
    seed: int
    shape: tuple[int, int, int]
    file_format: str
    first: int
    modality: str = "MR"

    def numbers(self) -> range:
        """The numbers of the patients."""
        return range(self.first, self.first + self.count)

    def patient_seed(self, number: int) -> int:
        """The seed of patient `number`: the same patient in every layout."""
        return derive_seed(self.seed, "patient", number)

    def lesion_count(self, number: int) -> int:
        """How many lesions patient `number` has where patients have any: 1 to 3."""
        return int(generator(self.patient_seed(number), "lesion count").integers(1, 4))

    def head(self, number: int, *, abnormal: bool) -> Phantom:
        """FLAIR of one patient, skull and all."""
        lesions = self.lesion_count(number) if abnormal else 0
        return make_head(self.patient_seed(number), shape=self.shape, lesions=lesions)


def eight_bits(voxels: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """0..255; white is what one voxel in 300 of the body exceeds."""
    white = max(float(np.percentile(voxels[voxels > voxels.max() // 50], 99.7)), 1.0)
    steps: npt.NDArray[np.uint8] = np.rint(np.clip(voxels * (255 / white), 0, 255)).astype(np.uint8)
    return steps
