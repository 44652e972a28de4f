"""How far a scan looks from the scans that a model learned from: pooled features of a frozen network, and a distance.

EfficientNet-Lite0 with its ImageNet weights; the means of its levels at strides 8, 16 and 32 over the image.  The
distance is Mahalanobis' with Ledoit and Wolf's shrunk covariance, per feature (so that 1 is usual), the median over a
few slices of the scan: a lesion is in some slices, another organ or another kind of scan in all of them.  Of a single
picture it tells them apart no better than its size: see anomae.inference.suitability.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float64]

BACKBONE, STRIDES, SIDE, BATCH = "efficientnet_lite0", (8, 16, 32), 96, 16
SLICES = 8  # of a scan that are looked at
FOLDS = 5
FEWEST = 5  # held-out scans below which no largest distance is worth a limit
# Beyond the largest held-out healthy distance by this factor a scan is another kind.  Of 34 and 35 LGG patients, all
# with glioma, who were not learned from, the farthest stood at 0.80 (T1) and 1.24 (FLAIR) times it, lungs (LUNA16) at
# 3.3 and 4.1 times.  Skull-stripped FLAIR and T1 do not differ so much: none of either was told from the other by this.
MARGIN = 1.3


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the pooled features of training slices are like.

    low, high: the intensities shown as black and white.  mean, scale: (d,) of each feature.  precision: (d, d), the
    inverse of the shrunk covariance of the scaled features.  held_out: (s,) sorted, the distances of healthy scans that
    the others did not include.
    """

    low: float
    high: float
    mean: Vectors
    scale: Vectors
    precision: Vectors
    held_out: Vectors

    @property
    def limit(self) -> float | None:
        """The distance beyond which a scan is another kind; None where too few were held out."""
        return float(self.held_out[-1]) * MARGIN if len(self.held_out) >= FEWEST else None

    def distance(self, images: npt.NDArray[np.float32]) -> float | None:
        """Of a scan; images: (k, h, w), prepared, of its slices with content; None where there is none, or no torch."""
        if not len(images) or not looks_possible():
            return None
        return float(np.median(self._distances(pooled(images[spaced(len(images), SLICES)], self.low, self.high))))

    def percentile(self, distance: float) -> float:
        """The share of held-out healthy scans that are nearer, 0..100."""
        return 100 * float(np.searchsorted(self.held_out, distance, side="left")) / max(len(self.held_out), 1)

    def _distances(self, vectors: Vectors) -> Vectors:
        offset = (vectors - self.mean) / self.scale
        squared = np.einsum("ij,jk,ik->i", offset, self.precision, offset) / offset.shape[1]
        return np.asarray(np.sqrt(np.maximum(squared, 0)), dtype=np.float64)


def looks_possible() -> bool:
    """Whether the network can be asked: an exported model may be used without torch."""
    return find_spec("torch") is not None


def learn_features(
    training: Sequence[npt.NDArray[np.float32]], held_out: Sequence[npt.NDArray[np.float32]]
) -> Features | None:
    """From healthy scans; None where there are too few of them to be held out from one another.

    training, held_out: of each scan up to SLICES slices with content, (k, h, w), prepared.  Beside the held-out scans
    every training scan is measured once against those of the other folds.
    """
    if len(training) < 2 or len(training) + len(held_out) < FEWEST:
        return None
    low, high = (float(np.percentile(np.concatenate([scan.ravel() for scan in training]), q)) for q in (0.5, 99.5))
    high = max(high, low + 1e-6)
    vectors = _of_scans(training, low, high)
    whole = _fitted(vectors, low, high, np.zeros(0))
    distances = [float(np.median(whole._distances(one))) for one in _of_scans(held_out, low, high)]
    count = min(FOLDS, len(vectors))
    for fold in range(count):
        others = _fitted([one for index, one in enumerate(vectors) if index % count != fold], low, high, np.zeros(0))
        distances += [float(np.median(others._distances(one))) for one in vectors[fold::count]]
    return _fitted(vectors, low, high, np.sort(distances))


def spaced(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` indices below `count`, evenly spaced from the middle of the first share to that of the last."""
    if count <= most:
        return np.arange(count)
    return ((np.arange(most) + 0.5) * count / most).astype(np.int64)


def pooled(images: npt.NDArray[np.float32], low: float, high: float) -> Vectors:
    """Images (k, h, w) -> (k, d): the levels of the network, averaged over the image.

    low, high: what is shown as black and white.
    """
    import torch
    import torch.nn.functional as F

    backbone, network = _network()
    shown = torch.from_numpy(np.clip((images - low) / (high - low), 0, 1).astype(np.float32) * 255)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(shown), BATCH):
            block = shown[start : start + BATCH, None]
            smaller = min(block.shape[2:]) > SIDE
            block = (
                F.adaptive_avg_pool2d(block, (SIDE, SIDE))
                if smaller
                else F.interpolate(block, (SIDE, SIDE), mode="bilinear", align_corners=False)
            )
            levels = network(backbone.normalise(block[:, 0]))
            parts.append(torch.cat([level.mean(dim=(2, 3)) for level in levels], dim=1).numpy())
    return np.concatenate(parts).astype(np.float64)


def _of_scans(scans: Sequence[npt.NDArray[np.float32]], low: float, high: float) -> list[Vectors]:
    """`pooled` of each."""
    import torch

    from anomae.detectors.batch_threads import each_at_once

    _network()  # read before several threads ask for it
    return list(each_at_once(lambda scan: pooled(scan, low, high), scans, torch.device("cpu"), BATCH * SIDE**2))


@cache
def _network() -> Any:
    """The backbone and its network; read once."""
    from anomae.models.backbones.build import BACKBONES
    from anomae.models.backbones.frozen_features import folded
    from anomae.models.backbones.weights import load_backbone

    backbone = BACKBONES[BACKBONE]
    network = backbone.build(STRIDES)
    load_backbone(BACKBONE, "package", network)
    return backbone, folded(network)


def _fitted(scans: Sequence[Vectors], low: float, high: float, held_out: Vectors) -> Features:
    vectors = np.concatenate(scans)
    mean, scale = vectors.mean(axis=0), vectors.std(axis=0)
    scale = np.maximum(scale, 1e-3 * max(float(scale.max()), 1e-6))
    covariance = shrunk_covariance((vectors - mean) / scale)
    precision = np.linalg.inv(covariance).astype(np.float32).astype(np.float64)  # as it is kept
    return Features(low, high, mean, scale, precision, np.asarray(held_out, dtype=np.float64))


def shrunk_covariance(centred: Vectors) -> Vectors:
    """Of vectors (n, d) with mean 0, pulled towards a multiple of the identity so that it can be inverted.

    Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004.
    """
    count, width = centred.shape
    sample = centred.T @ centred / count
    middle = float(np.trace(sample)) / width
    apart = float(np.sum((sample - middle * np.eye(width)) ** 2))
    squared = centred**2
    noise = float(np.sum(squared.T @ squared) / count - np.sum(sample**2)) / count
    share = min(max(noise / apart, 0.0), 1.0) if apart > 0 else 1.0
    return np.asarray((1 - share) * sample + max(share, 1e-6) * max(middle, 1e-6) * np.eye(width), dtype=np.float64)
