"""How AST is exported: one network from prepared images to scores and maps."""

import torch
from torch import Tensor, nn

from anomae.detectors.ast.detector import FittedStudentTeacher, with_positions
from anomae.detectors.inference import USE_BATCH
from anomae.export.teacher import ExportedTeacher
from anomae.export.traceable import Resize, Traceable, TraceableNetwork, interpolation


def traceable(fitted: FittedStudentTeacher) -> Traceable:
    """The networks of a fitted AST."""
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
    def __init__(self, fitted: FittedStudentTeacher) -> None:
        super().__init__()
        teacher = fitted.teacher
        self.teacher, self.networks = ExportedTeacher(teacher), fitted.networks.cpu().eval()
        with torch.no_grad():
            features = self.teacher(torch.zeros(1, teacher.channels, *teacher.image_size))[0]
        self.positions: Tensor
        self.register_buffer("positions", with_positions(features)[1].contiguous())
        side = (features.shape[2], features.shape[3])
        self.bring = Resize(side, teacher.image_size, interpolation("bicubic"))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.teacher(images)[0]
        inputs = (features, self.positions.expand(features.shape[0], -1, -1, -1))
        taught, _ = self.networks["flow"](*inputs)
        wrong = (taught - self.networks["student"](*inputs)).square().mean(dim=1)
        return wrong.amax(dim=(1, 2)), wrong.mean(dim=(1, 2)), self.bring(wrong).clamp(min=0)
