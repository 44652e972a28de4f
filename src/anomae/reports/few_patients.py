"""What is said where an interval rests on few patients, or where resamples gave no figure."""

from anomae.statistics.holders import ENOUGH_PATIENTS, stretch, why_no_interval
from anomae.statistics.intervals import Estimate


def few_patients_notes(figure: Estimate) -> list[str]:
    """Sentences for the top of a report, of the AUROC of all its slices; none where there are patients enough."""
    why, wider = why_no_interval(figure.groups), stretch(figure.groups)
    if why:
        return [f"{why[0].upper()}{why[1:]}, and no verdict of better or worse."]
    notes = []
    if wider > 1:
        held = " and ".join(f"{group.patients} with {group.words}" for group in figure.groups)
        least = min(figure.groups, key=lambda group: group.effective / group.enough)
        those = ", those with both for half" if least.enough > ENOUGH_PATIENTS else ""
        notes.append(
            f"Few patients (or cases): {held}, counting as much as {least.effective:.0f} patients of equal size "
            f"({least.enough:.0f} or fewer count as few{those}). The intervals are widened for it, here by {wider:.2f}."
        )
    if figure.left_out:
        notes.append(
            f"{figure.left_out} of {len(figure.resampled)} resamples of the patients held slices of one class only "
            "and are left out of the intervals."
        )
    return notes
