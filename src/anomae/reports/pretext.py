"""The report's section on the pretext task, and the sentence that goes to the top."""

from anomae.reports.schema_pretext import Pretext, PretextFamily
from anomae.reports.schema_values import Share
from anomae.runs.pretext import PretextFigures

_LITTLE = 0.6  # an AUROC that says little of a detector, whatever its interval


def pretext_section(figures: PretextFigures | None) -> Pretext | None:
    """The section; None where the detector has no pretext task."""
    if figures is None:
        return None
    mean, trained, left_out = figures.mean(), figures.mean(trained=True), figures.mean(trained=False)
    if mean is None:
        return None
    return Pretext(
        slices=figures.slices,
        families={
            name: PretextFamily.of(auroc.interval(), trained=name in figures.trained)
            for name, auroc in figures.families.items()
        },
        mean=Share.of(mean.interval()),
        mean_trained=Share.of_known(trained.interval() if trained else None),
        mean_left_out=Share.of_known(left_out.interval() if left_out else None),
    )


def pretext_sentence(section: Pretext | None) -> str:
    """What the section says; empty where there is none."""
    if section is None:
        return ""
    means = [
        (section.mean_trained, "pseudo-lesions of the kind it was trained on"),
        (section.mean_left_out, "families left out of training"),
    ]
    said = " and ".join(f"{mean.interval} for {words}" for mean, words in means if mean)
    own = section.mean_trained
    few = any(mean is not None and mean.low is None for mean, _ in means)
    weak = ""
    if own is not None and own.low is not None and own.low <= 0.5:
        weak = ", not distinguishable from chance: "
        weak += "it has not learned its pretext task" if own.value <= _LITTLE else "of so few patients this says little"
    return (
        f"Pretext task: on {section.slices} healthy slices of the validation split the detector tells altered slices "
        f"from unaltered ones with AUROC {said}"
        f"{weak}{' (too few patients: no interval)' if few else ''}. No real lesion "
        "is used; what it cannot do here, it cannot be expected to do on lesions."
    )
