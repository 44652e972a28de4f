"""The asymmetric student-teacher's student (Rudolph et al., WACV 2023): a plain convolutional network."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.initialisation import draw_convolutions

BLOCKS = 4


class StudentBlock(nn.Module):
    """Twice convolution, batch norm, leaky ReLU; plus the input, after the last activation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, H, W) -> the same shape."""
        inner = F.leaky_relu(self.bn1(self.conv1(x)))
        return x + F.leaky_relu(self.bn2(self.conv2(inner)))


class Student(nn.Module):
    """Predicts the teacher's output from the features that the teacher is given, and from their positions."""

    def __init__(self, channels: int, condition: int, width: int, generator: torch.Generator) -> None:
        """Weights from `generator`; `condition`: channels of the encoding of positions."""
        super().__init__()
        self.first = nn.Conv2d(channels + condition, width, 3, padding=1)
        self.blocks = nn.Sequential(*(StudentBlock(width) for _ in range(BLOCKS)))
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        draw_convolutions(self, generator, rule="torch")

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(B, C, H, W), condition (B, D, H, W) -> the teacher's z as predicted, (B, C, H, W)."""
        x = F.leaky_relu(self.first(torch.cat([condition, features], dim=1)))
        return self.last(self.blocks(x))  # type: ignore[no-any-return]
