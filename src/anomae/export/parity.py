"""The parity gate: an exported model is refused unless it says what torch says, at every batch size.

An engine may be right at the batch that was traced and wrong, without a word, at another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from anomae.detectors.protocol import Findings, with_neighbours
from anomae.errors import UserError
from anomae.export.altered import with_lesions
from anomae.export.held_back import HeldBack, exactly
from anomae.inference.exported.detector import ExportedDetector

if TYPE_CHECKING:
    from anomae.export.traceable import Pretext

BATCHES = (1, 2, 3, 7, 32)
FP32_TOLERANCE = 1e-5  # of the range over the held-back slices
LOWEST_RANKS = {"bf16": 0.999, "int8": 0.99}
LARGEST_AUROC_LOSS = {"bf16": 0.005, "int8": 0.01}
LARGEST_SHARE_DIFFERENCE = {"bf16": 0.02, "int8": 0.05}  # of altered slices above what normal ones reach
LEVELS = {"above 95 %": 0.95, "above all": 1.0}
FEW = 32  # slices that get a lesion of each family where the detector has no pretext task that draws some
Scores = Mapping[str, npt.NDArray[np.float64]]


class NoParity(UserError):
    """The exported model does not say what torch says; nothing of it is kept."""


def same_at_every_batch(torch_fitted: Any, exported: ExportedDetector, held_back: HeldBack) -> dict[str, Any]:
    """Compare at batch sizes 1, 2, 3, 7 and 32, each on 32 images; what the card says of it.

    The images are as many held-back slices as there are, and these again, darker, where there are fewer than 32: the
    card has the number of slices and that of images.
    exported: opened for any batch, in fp32.  Raises NoParity where any score, map or reconstruction is further from
    torch's than `FP32_TOLERANCE` of its range, and EngineFailed where the engine cannot run it.
    """
    enough = exactly(held_back, max(BATCHES))
    given = with_neighbours(torch_fitted, enough.images, lambda: enough.neighbours)
    wanted = torch_fitted.inspect(*given)
    largest: dict[str, dict[str, float]] = {}
    for batch in BATCHES:
        away = differences(wanted, exported.inspect_in(batch, *given, fixed=False))
        largest[str(batch)] = away
        refuse_different(away, f"in batches of {batch}")
    counts = {"slices": min(len(held_back.images), len(enough.images)), "images": len(enough.images)}
    return {**counts, "tolerance": FP32_TOLERANCE, "largest_difference_by_batch": largest}


def differences(wanted: Findings, found: Findings) -> dict[str, float]:
    """The largest absolute difference of everything that is said, as a share of its range in `wanted`."""
    return {name: _away(expected, values) for name, (expected, values) in _paired(wanted, found).items()}


def refuse_different(away: Mapping[str, float], when: str) -> None:
    """Raises NoParity where any of these `differences` is above the tolerance."""
    worst = max(away, key=lambda name: away[name])
    if not away[worst] <= FP32_TOLERANCE:  # so that NaN is refused too
        raise NoParity(
            f"The exported model does not say what torch says: {when} its {worst} differ(s) by {away[worst]:.2g} of "
            f"the range, and {FP32_TOLERANCE:g} is allowed. It was not kept; score with torch, or export otherwise."
        )


def ranks_alike(
    torch_fitted: Any, exported: ExportedDetector, held_back: HeldBack, pretext: "Pretext | None"
) -> dict[str, Any]:
    """How alike bf16 or int8 and torch's fp32 rank held-back slices and do the pretext task; what the card says of it.

    Raises NoParity where the rank correlation of the scores is below `LOWEST_RANKS`, the mean AUROC of the pretext
    task is lower than torch's by more than `LARGEST_AUROC_LOSS`, or the share of altered slices whose score, or whose
    highest map value, is above those of normal ones differs from torch's by more than `LARGEST_SHARE_DIFFERENCE`, each
    by what normal slices have with it: so no threshold is out of reach.
    """
    given = with_neighbours(torch_fitted, held_back.images, lambda: held_back.neighbours)
    wanted, found = torch_fitted.inspect(*given), exported.inspect(*given)
    measured: dict[str, Any] = {
        "slices": len(held_back.images),
        "rank_correlation": rank_correlation(wanted.scores, found.scores),
    }
    if wanted.maps is not None and found.maps is not None:
        measured["rank_correlation_of_maps"] = rank_correlation(wanted.maps.ravel(), found.maps.ravel())
    precision = exported.precision if exported.precision != "fp32" else str(exported.card["precision"])
    altered = _with_lesions(torch_fitted, exported, held_back)
    if pretext is not None:
        beside = given[1] if len(given) > 1 else None
        if hasattr(torch_fitted, "pretext_images"):
            theirs, ours = ({name: each[at].scores for name, each in altered.items()} for at in (0, 1))
        else:
            theirs, ours = torch_fitted.pretext(*given), pretext(exported, held_back.images, beside)
        measured["rank_correlation_with_altered"] = rank_correlation(
            np.concatenate([wanted.scores, *theirs.values()]),
            np.concatenate([found.scores, *(ours[name] for name in theirs)]),
        )
        measured["pretext_auroc_torch"] = _mean_auroc(wanted.scores, theirs)
        measured["pretext_auroc"] = _mean_auroc(found.scores, ours)
        lost = measured["pretext_auroc_torch"] - measured["pretext_auroc"]
        if not lost <= LARGEST_AUROC_LOSS[precision]:
            raise NoParity(
                f"In {precision} the mean AUROC of the pretext task is {measured['pretext_auroc']:.4f}, in torch's "
                f"fp32 {measured['pretext_auroc_torch']:.4f}: too much is lost. It was not kept; export it in fp32."
            )
    judged = measured.get("rank_correlation_with_altered", measured["rank_correlation"])
    if not judged >= LOWEST_RANKS[precision]:
        raise NoParity(
            f"In {precision} the scores rank slices otherwise than torch's fp32 (rank correlation {judged:.5f}, and "
            f"{LOWEST_RANKS[precision]:g} is wanted). It was not kept; export it in fp32."
        )
    above = _altered_above((_told(found), _told(wanted)), [each[::-1] for each in altered.values()])
    for what, level, (share, theirs_above) in ((what, *entry) for what, of in above.items() for entry in of.items()):
        if not abs(share - theirs_above) <= LARGEST_SHARE_DIFFERENCE[precision]:
            raise NoParity(
                f"In {precision} the {what} of {share:.1%} of slices with pseudo-lesions is {level} of normal slices, "
                f"and in torch's fp32 of {theirs_above:.1%}: thresholds would not mean the same. It was not kept; "
                "export it in fp32."
            )
    wanted_of = {
        "wanted_rank_correlation": LOWEST_RANKS[precision],
        "wanted_share_difference": LARGEST_SHARE_DIFFERENCE[precision],
    }
    return {**measured, "altered_above": above, **wanted_of}


@dataclass(frozen=True, slots=True)
class _Told:
    """Of n slices: scores (n,), and the highest value of each map, or None."""

    scores: npt.NDArray[np.float64]
    tops: npt.NDArray[Any] | None


def _told(found: Findings) -> _Told:
    return _Told(found.scores, None if found.maps is None else found.maps.max(axis=(1, 2)))


def _with_lesions(torch_fitted: Any, exported: ExportedDetector, held_back: HeldBack) -> dict[str, tuple[_Told, _Told]]:
    """Family of pseudo-lesions -> what torch and the exported model say of slices with one of it."""
    slices = held_back if hasattr(torch_fitted, "pretext_images") else held_back.evenly(FEW)
    given = with_neighbours(torch_fitted, slices.images, lambda: slices.neighbours)
    return {
        family: (_told(torch_fitted.inspect(*shown)), _told(exported.inspect(*shown)))
        for family, images, beside in with_lesions(torch_fitted, *given)
        for shown in [(images,) if beside is None else (images, beside)]
    }


def _altered_above(
    normal: tuple[_Told, _Told], altered: Sequence[tuple[_Told, _Told]]
) -> dict[str, dict[str, tuple[float, float]]]:
    """What -> level -> share of altered slices above that of normal ones, of two judges."""
    shares: dict[str, dict[str, tuple[float, float]]] = {}
    for what, name in (("score", "scores"), ("highest map value", "tops")):
        low = [getattr(each, name) for each in normal]
        if low[0] is None or low[1] is None:
            continue
        high = [np.concatenate([getattr(each[at], name) for each in altered]) for at in (0, 1)]
        shares[what] = {
            level: (_share_above(high[0], low[0], share), _share_above(high[1], low[1], share))
            for level, share in LEVELS.items()
        }
    return shares


def _share_above(altered: npt.NDArray[Any], normal: npt.NDArray[Any], level: float) -> float:
    return float(np.mean(altered > np.quantile(normal, level)))


def rank_correlation(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Spearman's, -1..1; 1 where both say the same of all."""
    if np.array_equal(one, other):
        return 1.0
    ranks = [rankdata(values) - (len(values) + 1) / 2 for values in (one, other)]
    lengths = np.sqrt([float(np.square(each).sum()) for each in ranks])
    return float((ranks[0] * ranks[1]).sum() / lengths.prod()) if lengths.all() else 0.0


def _mean_auroc(unaltered: npt.NDArray[np.float64], altered: Scores) -> float:
    return float(np.mean([_auroc(unaltered, scores) for scores in altered.values()]))


def _auroc(healthy: npt.NDArray[np.float64], abnormal: npt.NDArray[np.float64]) -> float:
    ranks, count = rankdata(np.concatenate([healthy, abnormal])), len(abnormal)
    return float((ranks[len(healthy) :].sum() - count * (count + 1) / 2) / (count * len(healthy)))


def _paired(wanted: Findings, found: Findings) -> dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Everything that either says, by name; an empty array where one is silent."""
    pairs: dict[str, tuple[Any, Any]] = {"scores": (wanted.scores, found.scores)}
    pairs |= {"maps": (wanted.maps, found.maps), "reconstructions": (wanted.reconstructions, found.reconstructions)}
    for name in {**wanted.other_scores, **found.other_scores}:
        pairs[f"score_{name}"] = (wanted.other_scores.get(name), found.other_scores.get(name))
    empty = np.zeros(0)
    return {
        name: (empty if one is None else one, empty if other is None else other)
        for name, (one, other) in pairs.items()
        if one is not None or other is not None
    }


def _away(wanted: npt.NDArray[Any], found: npt.NDArray[Any]) -> float:
    if wanted.shape != found.shape:
        return float("inf")
    largest, span = float(np.abs(wanted - found).max()), float(np.ptp(wanted))
    return largest / span if span > 0 else largest
