"""A frozen teacher and what its detectors share, as they are exported."""

import torch
from torch import Tensor, nn

from anomae.detectors.teacher import Teacher
from anomae.export.backbones import GreyBackbone
from anomae.export.traceable import Resize, interpolation
from anomae.models.anomaly_maps import gaussian_matrix


class ExportedTeacher(nn.Module):
    """Prepared images (B, c, h, w) -> the teacher's levels, (B, c * C, H / stride, W / stride) each."""

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        low = torch.tensor([window[0] for window in teacher.windows])[:, None, None]
        scale = torch.tensor([255.0 / (high - low) for low, high in teacher.windows])[:, None, None]
        self.low: Tensor
        self.scale: Tensor
        self.register_buffer("low", low)
        self.register_buffer("scale", scale)
        same = tuple(teacher.image_size) == teacher.size
        bilinear = interpolation("bilinear", antialias=True)
        self.show = None if same else Resize(teacher.image_size, teacher.size, bilinear)
        self.network = GreyBackbone(teacher.network, teacher.backbone)
        self.channels = teacher.channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """Levels at the teacher's strides."""
        grey = ((images - self.low) * self.scale).clamp(0.0, 255.0)
        shown = grey if self.show is None else self.show(grey)
        each = [self.network(shown[:, channel]) for channel in range(self.channels)]
        return [torch.cat(levels, dim=1) for levels in zip(*each, strict=True)]


class Smooth(nn.Module):
    """`anomae.models.anomaly_maps.gaussian_smooth` of maps of one size."""

    rows: Tensor
    columns: Tensor

    def __init__(self, size: tuple[int, int], sigma: float) -> None:
        super().__init__()
        rows, columns = (gaussian_matrix(side, sigma) if sigma else torch.eye(side) for side in size)
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns.T.contiguous())

    def forward(self, maps: Tensor) -> Tensor:
        """(B, H, W) -> the same shape."""
        return self.rows @ maps @ self.columns
