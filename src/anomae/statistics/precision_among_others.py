"""Average precision, each abnormal slice of a patient with both classes judged among the slices of other patients.

Where patients have effects of their own, such a slice is above its own patient's normal slices oftener, and beside more
of his abnormal ones, than among as many slices of others: average precision lies above that of many patients, and its
resamples lie higher again.  Where all patients held both classes in equal parts their percentiles held the truth 0 to
72 times in 100.  Recall and false positives of the other patients alone lie below instead; an interval over both holds.
"""

import numpy as np
import numpy.typing as npt

from anomae.statistics.metrics import Counts, area_under_precision


class PrecisionAmongOthers:
    """What each abnormal slice of a patient with both classes shares its threshold with, by that patient."""

    def __init__(
        self,
        labels: npt.NDArray[np.bool_],
        level: npt.NDArray[np.int64],
        patient: npt.NDArray[np.int64],
        patients: int,
    ) -> None:
        """labels, level (0: the highest scores), patient (0..patients-1): (n,)."""
        slices = [np.bincount(patient[which], minlength=patients) for which in (labels, ~labels)]
        here = np.flatnonzero((slices[0] > 0)[patient] & (slices[1] > 0)[patient])
        here = here[np.lexsort((level[here], patient[here]))]
        who, step, abnormal = patient[here], level[here], labels[here]
        first = np.append(True, who[1:] != who[:-1])[: len(who)]
        new = first | np.append(True, step[1:] != step[:-1])[: len(who)]
        ends = np.flatnonzero(np.append(new[1:], True)[: len(who)])  # of the slices of one patient and level
        reached = []
        for which in (abnormal, ~abnormal):
            summed = np.cumsum(which)
            before: npt.NDArray[np.int64] = np.repeat(
                (summed - which)[first], np.diff(np.append(np.flatnonzero(first), len(who)))
            )
            reached.append((summed[ends][np.cumsum(new) - 1] - before)[abnormal].astype(np.float64))
        self.level, self.patient = step[abnormal], who[abnormal]
        self.own_tp, self.own_fp = reached
        self.own_abnormal, self.own_normal = (own[self.patient].astype(np.float64) for own in slices)

    def figure(self, tp: Counts, fp: Counts, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Average precision (k,) from counts (k, levels) where patients are drawn `times` (k, p); NaN as usual.

        A slice that no slice of another patient reaches has a precision of 0, the least that it can be.
        """
        drawn, every_tp, every_fp = times[:, self.patient], tp[:, self.level], fp[:, self.level]
        abnormal, normal = tp[:, -1:], fp[:, -1:]
        others_tp = (every_tp - drawn * self.own_tp) * abnormal / np.maximum(abnormal - drawn * self.own_abnormal, 1)
        others_fp = (every_fp - drawn * self.own_fp) * normal / np.maximum(normal - drawn * self.own_normal, 1)
        usual = every_tp / np.maximum(every_tp + every_fp, 1)
        among, all_of_them = np.zeros_like(usual), others_tp + others_fp
        np.divide(others_tp, all_of_them, out=among, where=all_of_them > 0)
        changed = np.einsum("ks,ks->k", drawn, among - usual)
        found = area_under_precision(tp, fp) + changed / np.maximum(abnormal[:, 0], 1)
        return np.asarray(np.clip(found, 0.0, 1.0))
