"""Whether a model was made for a scan."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suitability:
    """How far a scan is from those that a model learned from.

    reasons: why the model was not made for it, a sentence each; none where nothing speaks against it.
    distance: of its features from those of the training normals; None where the model keeps none.  percentile: share of
    held-out healthy scans that are nearer, 0..100; None likewise.
    """

    reasons: tuple[str, ...] = ()
    distance: float | None = None
    percentile: float | None = None

    @property
    def suited(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons
