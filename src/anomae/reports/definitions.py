"""What every figure of report.json means, a sentence each."""

DEFINITIONS = {
    "interval": "value: on all test slices. low, high: 2.5th and 97.5th percentile over resamples of whole patients, "
    "drawn with replacement; null where there are too few patients. The same resamples serve every figure.",
    "auroc": "Area under the ROC curve: the chance that an abnormal slice scores above a normal one, a tie counting "
    "one half. 0.5 is chance.",
    "score_neighbours": "A score of a slice in its scan, not of an image alone: 1/4 of the detector's score of the "
    "slice below, 1/2 of its own, 1/4 of that of the slice above, among the scored slices of the scan; where one is "
    "missing the slice itself stands for it. `score` does not depend on neighbours.",
    "average_precision": "Precision averaged over the steps of recall. A random score reaches the share of abnormal "
    "slices, so it compares only between scores on the same slices.",
    "fpr_at_95_tpr": "Share of normal slices flagged at the highest threshold that finds 95 % or more of the abnormal.",
    "sensitivity_at_90_specificity": "Highest share of abnormal slices found with at most 10 % of the normal flagged; "
    "the threshold is chosen on the tested labels.",
    "sensitivity_at_95_specificity": "Highest share of abnormal slices found with at most 5 % of the normal flagged; "
    "the threshold is chosen on the tested labels.",
    "sensitivity_at_99_specificity": "Highest share of abnormal slices found with at most 1 % of the normal flagged; "
    "the threshold is chosen on the tested labels.",
    "trivial_baselines": "AUROC of trivial baselines on the same test slices, each in a direction fixed "
    "beforehand; below 0.5 it is shown as it is, and turned round it would be one minus that.",
    "gain": "AUROC of the score minus that of the best trivial baseline that saw no label, with a paired interval: "
    "both are judged on the same resamples.",
    "strata": "The same figures on strata of the test set. all: every labelled test slice. without_empty: slices with "
    "any content. mid: relative position 0.35 to 0.80 in the scan and, where known, more than 15 % tissue. site, "
    "scanner, source: one place of origin, one machine, one kind of picture file.",
    "matched": "AUROC over those abnormal-normal pairs only that lie in the same band, every pair counting alike: "
    "position: the same tenth of the scan; tissue_area: the same tenth of the test slices by tissue area; site, "
    "scanner, source: the same one. A score that only tells the bands apart comes near 0.5.",
    "bands": "AUROC of the score and of the best trivial baseline within each fifth of the scan and of the test slices "
    "by tissue area.",
    "operating_point": "Thresholds taken from normal slices of held-out patients only, by split conformal prediction "
    "with patients as the exchangeable units. Slice: every calibration patient weighs alike, and the bound is on the "
    "chance that a slice drawn at random from a new healthy patient is flagged; it is seen on the test split as "
    "false_positive_rate, the mean over patients of the share of their normal slices flagged. Patient: from the "
    "highest score of each calibration patient; the bound is on the chance that any normal slice of a new patient "
    "is flagged. Both hold on average over calibration sets, for n calibration patients and a bound of 1 / (n + 1) or "
    "more. "
    "What scores above the threshold is flagged.",
    "balanced_accuracy": "Mean of sensitivity and specificity at the operating point.",
    "patient": "AUROC of whole patients, abnormal where any slice is. max: the highest slice score. mean_of_top_3: the "
    "mean of the three highest. slices: the number of slices, a trivial baseline. metrics: all figures of each "
    "aggregation.",
    "volume": "As patient, for each scan (case).",
    "pixel": "Over all pixels of all test slices with a known lesion mask, background and healthy slices included, "
    "which makes pixel AUROC look high. image_intensity: the image itself taken as the map, a trivial baseline.",
    "best_dice": "Dice at the best single threshold for all slices, found on the tested masks themselves: an upper "
    "bound, not what a threshold chosen beforehand would give.",
    "aupro": "Area under the per-region overlap curve up to a false-positive rate of 0.3, divided by 0.3: at each "
    "threshold the share of each lesion covered, averaged over lesions so that small ones count as large ones, against "
    "the share of all pixels outside lesions flagged. A random map comes to 0.15. A lesion is a connected piece (8 "
    "neighbours) of the mask in one slice.",
    "at_threshold": "The map at the threshold above which 1 % of the healthy tissue of held-out normal slices lies, "
    "patients counting alike (an estimate, no bound is promised). found: lesions with at least half of their pixels "
    "flagged; touched: with any; by thirds of the lesions by size.",
    "delong": "In comparisons: DeLong's test of two AUROC on the same images. It takes images as independent, which "
    "slices of one patient are not: the paired bootstrap by patient comes first.",
    "audit": "What to know before believing the figures: empty slices, normal slices of patients with a lesion, "
    "patients and near-duplicates in several splits, labels that training or the choice of the checkpoint saw.",
    "blank": "share: empty slices among the test slices. normal_below: share of the normal slices with content that "
    "score below the mean score of the empty ones.",
    "counts": "Slices, patients and cases by split and label, as prepared; `scored` is what the figures rest on.",
}
