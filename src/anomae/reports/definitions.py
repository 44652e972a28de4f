"""What every figure of report.json means, a sentence or some each; those of the metrics stand with the metrics."""

from anomae.statistics.metric_specs import METRICS


def definitions(unit: str = "patient") -> dict[str, str]:
    """By key of report.json: the interval, every metric (with the direction that is better), and all the rest.

    unit: what is resampled, for it is unlike where no patient is known.
    """
    metrics = {spec.name: f"{spec.definition} {spec.direction.capitalize()}." for spec in METRICS.values()}
    first, *others = _DEFINITIONS
    interval = _DEFINITIONS[first].replace("whole patients", f"whole {unit}s").replace("few patients", f"few {unit}s")
    return {first: interval, **metrics, **{name: _DEFINITIONS[name] for name in others}}


_DEFINITIONS = {
    "interval": (
        "value: on all test slices. low, high: 2.5th and 97.5th percentile over resamples of whole patients, drawn "
        "with replacement, all figures the same ones. null where fewer than 5 patients hold abnormal slices, or fewer "
        "than 5 normal ones (or lesions, or what is counted). An AUROC's resamples leave out the pairs of a patient's "
        "own slices and lie about the figure of different patients alone; the interval of average precision reaches "
        "over that among other patients' slices too. The value always lies inside. With the weight of 30 equal "
        "patients of a class or fewer (up to 60 where they hold both) the ends are moved away from it by t(k - 1) / "
        "1.96 * sqrt(k / (k - 1)), k the patients of the smaller class. Near 0 or 1, and for every share at a "
        "threshold, the ends are those of Clopper and Pearson for as many independent slices as the patients are "
        "worth. Figures of the pretext task leave out one patient at a time. In simulations these intervals hold the "
        "truth at least 92 times in 100."
    ),
    "score_neighbours": (
        "The score of a slice smoothed along its scan: 1/4 of the detector's score of the slice below, 1/2 of its "
        "own, 1/4 of that of the slice above, among the scored slices of the scan; a missing neighbour is replaced by "
        "the slice itself. `score` does not use neighbouring scores, unless the report was asked to judge "
        "smoothed ones (`anomae evaluate --smoothed`): then it is this, and `score_alone` is that of each slice alone."
    ),
    "trivial_baselines": (
        "AUROC of trivial baselines on the same test slices, each in a direction fixed beforehand. A value below 0.5 "
        "is shown as it is; with the direction reversed it would be one minus that."
    ),
    "gain": (
        "AUROC of the score minus that of the best trivial baseline that saw no label, with a paired interval: both "
        "are computed on the same resamples."
    ),
    "strata": (
        "The same figures on subsets of the test set. all: every labelled test slice. without_empty: slices with any "
        "content. mid: relative position 0.35 to 0.80 in the scan and, where known, more than 15 % tissue. site, "
        "scanner, source: one site, one scanner, one kind of picture file."
    ),
    "matched": (
        "AUROC over the abnormal-normal pairs within the same band only, every pair counting alike: position: the "
        "same tenth of the scan; tissue_area: the same tenth of the test slices by tissue area; site, scanner, "
        "source: the same one. A score that only separates the bands comes near 0.5."
    ),
    "bands": (
        "AUROC of the score and of the best trivial baseline within each fifth of the scan and of the test slices by "
        "tissue area."
    ),
    "operating_point": (
        "Thresholds taken from normal slices of held-out patients only, by split conformal prediction with patients "
        "as the exchangeable units. Slice: every calibration patient has the same weight, and the bound is on the "
        "probability that a slice drawn at random from a new healthy patient is flagged; its estimate on the test "
        "split is false_positive_rate, the mean over patients of the share of their normal slices flagged. Patient: "
        "from the highest score of each calibration patient; the bound is on the probability that any normal slice of "
        "a new patient is flagged. Both hold on average over calibration sets, for n calibration patients and a bound "
        "of 1 / (n + 1) or more. Scores above the threshold are flagged."
    ),
    "balanced_accuracy": "Mean of sensitivity and specificity at the operating point.",
    "patient": (
        "AUROC by patient; a patient is abnormal where any slice is. max: the highest slice score. mean_of_top_3: the "
        "mean of the three highest. slices: the number of slices, a trivial baseline. metrics: every metric of each "
        "aggregation."
    ),
    "volume": "As patient, by scan (case).",
    "pixel": (
        "Over all pixels of all test slices with a known lesion mask, background and healthy slices included, which "
        "makes pixel AUROC high. image_intensity: the image itself taken as the map, a trivial baseline."
    ),
    "best_dice": (
        "Dice at the best single threshold for all slices, chosen on the tested masks: an upper bound, not what a "
        "threshold chosen beforehand would give."
    ),
    "aupro": (
        "Area under the per-region overlap curve up to a false-positive rate of 0.3, divided by 0.3: at each "
        "threshold the share of each lesion covered, averaged over lesions so that small ones count as large ones, "
        "against the share of all pixels outside lesions flagged. A random map comes to 0.15. A lesion is a connected "
        "piece (8 neighbours) of the mask in one slice."
    ),
    "findings": (
        "A finding is a connected region of the map above a threshold, a lesion one of the mask, over the slices of a "
        "scan (26 neighbours; 8 where each image stands alone), in the prepared slices. A finding is true where at "
        "least a tenth of its voxels are lesion, so that one that floods the scan is false; a lesion is found where a "
        "true finding overlaps it. at_threshold: the regions above the threshold that new scans are judged by. froc: "
        "the regions above a fixed base, of which those with a maximum of a score or more count; sensitivity: the "
        "share of lesions found at the lowest score with at most so many false findings per scan, chosen on the tested "
        "masks. image_intensity: the same of the image itself, a trivial baseline. false_per_scan: an interval for "
        "counts (Fay and Feuer) with patients as units."
    ),
    "at_threshold": (
        "The map at the threshold above which 1 % of the healthy tissue of held-out normal slices lies, patients "
        "counting alike (an estimate without a guaranteed bound). detected: lesions with at least half of their "
        "pixels flagged; touched: with any; by thirds of the lesions by size."
    ),
    "delong": (
        "In comparisons: DeLong's test of two AUROC on the same images, the images of one patient taken together "
        "(Obuchowski's form for clusters; DeLong's own where every patient has one image). No interval and no p where "
        "fewer than 5 patients hold a class; where few do, Student's t as for the other intervals."
    ),
    "pretext": (
        "AUROC of healthy validation slices with a pseudo-lesion of one family against the same slices unaltered, by "
        "the detector's own scores; slices that the lesion does not change are left out of that family. mean: over all "
        "families; mean_trained, mean_left_out: over those the detector learned from, and the others."
    ),
    "audit": (
        "What may make the figures better than the detector is: empty slices, normal slices of patients with a "
        "lesion, patients and near-duplicates in several splits, labels that training or the choice of the checkpoint "
        "saw."
    ),
    "blank": (
        "share: empty slices among the test slices. normal_below: share of the normal slices with content that score "
        "below the mean score of the empty ones."
    ),
    "counts": (
        "Slices, patients and cases by split and label, as prepared; `scored`: what the figures are computed on."
    ),
}
