"""How RD4AD is exported: one network from prepared images to scores and maps."""

import torch
from torch import Tensor, nn

from anomae.detectors.inference import USE_BATCH
from anomae.detectors.rd4ad.detector import STRIDES, FittedReverseDistillation
from anomae.export.teacher import ExportedTeacher, Smooth
from anomae.export.traceable import Resize, Traceable, TraceableNetwork, interpolation
from anomae.models.anomaly_maps import cosine_distance


def traceable(fitted: FittedReverseDistillation) -> Traceable:
    """The networks of a fitted RD4AD."""
    teacher, chosen = fitted.teacher, fitted.settings.score
    example = torch.rand(2, teacher.channels, *teacher.image_size)
    return Traceable(
        networks={"whole": TraceableNetwork(_Whole(fitted), {"images": example}, ("score_max", "score_mean", "map"))},
        runner={
            "kind": "chain",
            "chain": [["whole", ["images"]]],
            "outputs": {"score": f"score_{chosen}", **{name: name for name in ("score_max", "score_mean", "map")}},
        },
        batch=min(USE_BATCH["cpu"], teacher.batch(torch.device("cpu"))),
    )


class _Whole(nn.Module):
    def __init__(self, fitted: FittedReverseDistillation) -> None:
        super().__init__()
        teacher = fitted.teacher
        self.teacher, self.network = ExportedTeacher(teacher), fitted.network.cpu().eval()
        corners = interpolation("bilinear", align_corners=True)
        sides = [(teacher.size[0] // stride, teacher.size[1] // stride) for stride in STRIDES]
        self.enlarge = nn.ModuleList(Resize(side, teacher.size, corners) for side in sides)
        self.smooth = Smooth(teacher.size, fitted.settings.sigma)
        self.bring = Resize(teacher.size, teacher.image_size, corners)
        self.product = fitted.settings.combine == "product"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        levels = self.teacher(images)
        heat: Tensor | None = None
        for taught, decoded, enlarge in zip(levels, self.network(levels), self.enlarge, strict=True):
            large = enlarge(cosine_distance(taught, decoded).clamp(min=0))
            heat = large if heat is None else heat * large if self.product else heat + large
        smooth = self.smooth(heat)
        return smooth.amax(dim=(1, 2)), smooth.mean(dim=(1, 2)), self.bring(smooth)
