"""The asymmetric student-teacher's teacher (Rudolph et al., WACV 2023): a conditional affine flow over feature maps."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.initialisation import draw_convolutions
from anomae.seeds import generator as named_generator

KERNELS = (3, 3, 3, 5)
HIDDEN = 64
CLAMP = 1.9
LIMIT = 1e6


class Coupling(nn.Module):
    """A fixed permutation of the channels, then affine coupling of both halves, the first one first (as in GLOW)."""

    order: Tensor
    back: Tensor

    def __init__(self, channels: int, condition: int, kernel: int, hidden: int, index: int) -> None:
        """The permutation depends on `index` in the flow alone, and is kept with the weights."""
        super().__init__()
        self.first = channels // 2
        order = torch.from_numpy(named_generator(index, "conditional flow", "permutation").permutation(channels))
        self.register_buffer("order", order)
        self.register_buffer("back", torch.argsort(order))
        rest = channels - self.first
        self.from_second = Subnetwork(rest + condition, 2 * self.first, kernel, hidden)
        self.from_first = Subnetwork(self.first + condition, 2 * rest, kernel, hidden)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> the same shape, and log|det J| of each position, (B, H, W)."""
        x = x[:, self.order]
        one, two = x[:, : self.first], x[:, self.first :]
        log_scale, shift = self.from_second(two, condition)
        one = one * log_scale.exp() + shift
        log_scale_two, shift_two = self.from_first(one, condition)
        two = two * log_scale_two.exp() + shift_two
        return torch.cat([one, two], dim=1).clamp(-LIMIT, LIMIT), log_scale.sum(dim=1) + log_scale_two.sum(dim=1)

    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """The x of a z that was not cut off at the limit."""
        one, two = z[:, : self.first], z[:, self.first :]
        log_scale_two, shift_two = self.from_first(one, condition)
        two = (two - shift_two) * (-log_scale_two).exp()
        log_scale, shift = self.from_second(two, condition)
        one = (one - shift) * (-log_scale).exp()
        return torch.cat([one, two], dim=1)[:, self.back]


class Subnetwork(nn.Module):
    """Two convolutions that give log-scale and shift; times gamma, which starts at 0: the flow starts as identity."""

    def __init__(self, inputs: int, outputs: int, kernel: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, hidden, kernel, padding=kernel // 2, padding_mode="replicate")
        self.conv2 = nn.Conv2d(hidden, outputs, kernel, padding=kernel // 2, padding_mode="replicate")
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, half: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) and the condition (B, D, H, W) -> log-scale, softly clamped, and shift, (B, C', H, W) each."""
        inner = F.relu(self.conv1(torch.cat([half, condition], dim=1)))
        log_scale, shift = (self.conv2(inner) * self.gamma).chunk(2, dim=1)
        return CLAMP * 0.636 * torch.atan(log_scale / CLAMP), shift


class ConditionalFlow(nn.Module):
    """Four couplings with kernels 3, 3, 3 and 5, told where they are; computed in float32."""

    def __init__(self, channels: int, condition: int, generator: torch.Generator, hidden: int = HIDDEN) -> None:
        """Weights from `generator`; `condition`: channels of the encoding of positions."""
        super().__init__()
        self.couplings = nn.ModuleList(
            Coupling(channels, condition, kernel, hidden, index) for index, kernel in enumerate(KERNELS)
        )
        draw_convolutions(self, generator, rule="torch")

    def forward(self, features: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W), condition (B, D, H, W) -> z of the same shape, and log|det J| of each position (B, H, W).

        A convolution looks at its neighbours, so "of each position" is the part of the whole log-determinant that the
        position's own scales make; their sum is the log-determinant of the map as a whole.
        """
        with torch.autocast(features.device.type, enabled=False):
            z, total = features.float(), torch.zeros((), device=features.device)
            for coupling in self.couplings:
                z, log_det = coupling(z, condition.float())
                total = total + log_det
        return z, total

    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """The features (B, C, H, W) of z."""
        with torch.autocast(z.device.type, enabled=False):
            for coupling in reversed(self.couplings):
                z = coupling.inverse(z.float(), condition.float())  # type: ignore[operator]
        return z


def flow_loss(z: Tensor, log_det: Tensor) -> Tensor:
    """Negative log-likelihood under N(0, I), less its constant: mean over positions and batch, sum over channels."""
    return (0.5 * z.square().sum(dim=1) - log_det).mean()
