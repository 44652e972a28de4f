"""AST for those who name it.

`paper` leaves every number as the method's own authors had it.  `small` keeps losses, optimisers and proportions and
cuts widths, the size of the picture and the length, for a quarter of an hour on two cores; `tiny` is to see that it
runs.
"""

from anomae.detectors.ast.detector import StudentTeacherDetector
from anomae.detectors.method import Method, by_scale
from anomae.detectors.teacher_settings import StudentTeacherSettings

_L2 = {"lr": 2e-4, "min_lr": 2e-4, "weight_decay": 1e-5, "batch": 8}

METHOD = Method(
    StudentTeacherDetector,
    by_scale(
        StudentTeacherSettings,
        {
            "small": {
                "teacher": {"input_size": 256},
                "student_width": 256,
                "flow": {**_L2, "steps": 1000},
                "student": {**_L2, "steps": 1000},
            },
            "tiny": {
                "teacher": {"backbone": "tiny", "weights": "random", "input_size": 64},
                "flow_width": 16,
                "student_width": 32,
                "flow": {**_L2, "steps": 60},
                "student": {**_L2, "steps": 60},
            },
        },
    ),
)
