"""The memory of patches for those who name it.

`paper` leaves every number as the method's own authors had it.  `small` cuts the size of the picture and the memory,
for a few minutes on two cores; `tiny` is to see that it runs.
"""

from anomae.detectors.method import Method, by_scale
from anomae.detectors.patchcore.detector import PatchMemoryDetector
from anomae.detectors.teacher_settings import PatchMemorySettings

METHOD = Method(
    PatchMemoryDetector,
    by_scale(
        PatchMemorySettings,
        {
            "small": {"teacher": {"input_size": 128}, "memory": 2000, "candidates": 10_000},
            "tiny": {
                "teacher": {"backbone": "tiny", "weights": "random", "input_size": 64},
                "memory": 200,
                "candidates": 2000,
            },
        },
    ),
)
