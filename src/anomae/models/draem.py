"""The two networks of DRAEM (Zavrtanik et al., ICCV 2021) and its losses."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomae.models.reconstruction_errors import structural_similarity
from anomae.models.unet import UNet

PRIOR = 0.05  # probability of being anomalous that a pixel starts with (Lin et al. 2017, section 4.1)


class ReconstructAndSegment(nn.Module):
    """One network gives the healthy image back, another sees both and says where they were made to differ."""

    def __init__(
        self,
        channels: int,
        width: int,
        segmentation_width: int,
        halvings: int,
        generator: torch.Generator | None,
    ) -> None:
        """`channels`: of the images.

        Widths: channels of the first level of the reconstructive network, which has no skips, and of the other.
        Narrow and briefly trained on healthy heads, the first learned with group norm alone, the other faster with that
        of the batch, which the original has in both.
        """
        super().__init__()
        self.reconstructive = UNet((channels, channels), width, halvings, generator, skips=False)
        self.segmentation = UNet((2 * channels, 1), segmentation_width, halvings, generator, norm="batch")
        # Few pixels are anomalous: begun at even chances, a short training does little else than to find that out.
        nn.init.constant_(self.segmentation.last.bias, -math.log(1 / PRIOR - 1))  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> reconstructions (B, C, H, W), and logits (B, H, W) of a pixel being anomalous."""
        reconstructions = self.reconstructive(images)  # (B, C, H, W)
        logits = self.segmentation(torch.cat([images, reconstructions], dim=1))  # (B, 1, H, W)
        return reconstructions, logits[:, 0]


def draem_loss(healthy: Tensor, masks: Tensor, reconstructions: Tensor, logits: Tensor, gamma: float) -> Tensor:
    """L2 + (1 - SSIM) of the reconstructions, and the focal loss of the logits, all of weight 1.

    healthy, reconstructions: (B, C, H, W).  masks, logits: (B, H, W).
    """
    squared = (healthy - reconstructions).float().square().mean()
    unlike = 1.0 - structural_similarity(healthy, reconstructions, 1.0).mean()
    return squared + unlike.float() + focal_loss(logits, masks, gamma)


def focal_loss(logits: Tensor, masks: Tensor, gamma: float) -> Tensor:
    """Mean over the pixels of -(1 - p)^gamma log p, p the probability of what is true (Lin et al. 2017, no alpha)."""
    entropy = F.binary_cross_entropy_with_logits(logits.float(), masks.float(), reduction="none")
    return ((1.0 - torch.exp(-entropy)) ** gamma * entropy).mean()
