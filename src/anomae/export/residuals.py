"""What is left of an image once its reconstruction is taken away, as it is exported: median filter, values by patch."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.export.traceable import Resize


def median_filtered(images: Tensor, side: int) -> Tensor:
    """`anomae.models.gan.residual_scores.median_filtered` by shifted copies, since ONNX has no windows of this kind."""
    if side == 1:
        return images
    height, width = images.shape[2:]
    padded = F.pad(images, (side // 2,) * 4, mode="reflect")
    shifted = [padded[:, :, y : y + height, x : x + width] for y in range(side) for x in range(side)]
    return torch.stack(shifted, dim=-1).topk(side * side // 2 + 1, dim=-1).values[..., -1]


class ByPatch(nn.Module):
    """Signed residuals (B, c, h, w) -> what a source of `anomae` says of them, (B, k * c, gh, gw).

    `residual`: signed mean, absolute mean, largest absolute value, smoothed signed mean.  signed, which is `denoised`:
    the maximum and minus the minimum in place of the largest absolute value.
    """

    def __init__(self, size: tuple[int, int], grid: tuple[int, int], smoothed_over: int, *, signed: bool) -> None:
        """size: (h, w).  smoothed_over: patches."""
        super().__init__()
        self.mean = Resize(size, grid, F.adaptive_avg_pool2d)
        self.cells = [  # as adaptive pooling has them: a patch may be smaller than a pixel
            [(at * side // count, -(-(at + 1) * side // count)) for at in range(count)]
            for side, count in zip(size, grid, strict=True)
        ]
        self.smoothed_over, self.signed = smoothed_over, signed

    def forward(self, residual: Tensor) -> Tensor:
        """As the class says."""
        mean, size = self.mean(residual), residual.abs()
        around = F.avg_pool2d(mean, self.smoothed_over, 1, self.smoothed_over // 2, count_include_pad=False)
        extremes = [residual, -residual] if self.signed else [size]
        return torch.cat([mean, self.mean(size), *(self._highest(values) for values in extremes), around], dim=1)

    def _highest(self, values: Tensor) -> Tensor:
        rows, columns = self.cells
        highest = torch.stack([values[:, :, start:end].amax(dim=2) for start, end in rows], dim=2)
        return torch.stack([highest[..., start:end].amax(dim=3) for start, end in columns], dim=3)
