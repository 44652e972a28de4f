"""A frozen backbone made ready for use: batch norms folded into convolutions, levels brought to one grid of patches."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """A copy of a network in eval mode whose convolutions have taken in the batch norms that follow them."""
    copied = copy.deepcopy(network).eval()
    for module in list(copied.modules()):
        if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[1], nn.BatchNorm2d):
            convolution = module[0]
            assert isinstance(convolution, nn.Conv2d)
            module[0] = fuse_conv_bn_eval(convolution, module[1])
            module[1] = nn.Identity()
        if isinstance(module, nn.ReLU6):  # where the convolution's outcome lies, which nothing else reads
            module.inplace = True
    return copied.requires_grad_(False)


def on_grid(levels: list[Tensor], grid: tuple[int, int]) -> Tensor:
    """Levels (B, C, H, W) of any sizes -> (B, sum of C, gh, gw) float32: means where finer, bilinear where coarser."""
    brought = [
        F.adaptive_avg_pool2d(level.float(), grid)
        if level.shape[2] > grid[0]
        else F.interpolate(level.float(), grid, mode="bilinear", align_corners=False)
        for level in levels
    ]
    return torch.cat(brought, dim=1)
