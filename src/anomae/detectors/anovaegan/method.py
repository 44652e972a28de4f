"""AnoVAEGAN and its settings by scale.

`paper` leaves every number as the code that the paper most likely ran had it.  `small` keeps losses, optimisers and
proportions and cuts width and length, for a quarter of an hour on two cores at 64 px; `tiny` is to see that it runs.
"""

from anomae.detectors.anovaegan.detector import AnoVaeGan
from anomae.detectors.anovaegan.settings import AnoVaeGanSettings
from anomae.detectors.method import Method, by_scale

METHOD = Method(
    AnoVaeGan,
    by_scale(
        AnoVaeGanSettings,
        {
            "small": {"width": 16, "training": {"steps": 800, "batch": 16}},
            "tiny": {"width": 8, "latent": 32, "critic_steps": 2, "training": {"steps": 150, "batch": 16}},
        },
    ),
)
