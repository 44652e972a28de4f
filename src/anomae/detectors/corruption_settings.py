"""What the methods that learn to undo what was done to healthy images have in common: denoising autoencoder, DRAEM."""

from pydantic import Field

from anomae.detectors.settings import Percentiles, Settings
from anomae.training.settings import DeviceSettings


class CorruptionSettings(Settings):
    """What both have."""

    halvings: int = Field(default=3, gt=0, description="levels below the first; sides are multiples of 2^halvings")
    tissue: float = Field(
        default=0.08,
        ge=0,
        lt=1,
        description="share of the network's range above which is tissue, the only place where something is changed",
    )
    percentiles: Percentiles = Field(
        default=(0.1, 99.9), description="of the training pixels: the range of prepared intensities that networks see"
    )
    device: DeviceSettings = DeviceSettings()
