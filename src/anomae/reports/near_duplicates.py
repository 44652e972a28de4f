"""Test images that look like one of the training split, equal to the pixel or nearly."""

import numpy as np
import numpy.typing as npt

from anomae.cohorts.near_duplicates import SIMILAR, nearest_across, picture_digest, picture_fingerprint
from anomae.reports.schema import NearDuplicates
from anomae.slices.store import SliceStore, grey

MOST_TESTED, MOST_TRAINING = 1000, 2000  # a fingerprint takes some milliseconds
BLOCK = 256
# Slices of different heads correlate by up to 0.89 (TCGA-LGG, FLAIR and T1: every test slice with its nearest training
# slice), for all necks look alike; a picture set needs the lower level that its clusters were found with.
SIMILAR_SLICES = 0.95


def duplicates_across(store: SliceStore, rows: npt.NDArray[np.int64], *, scans: bool) -> NearDuplicates | None:
    """How many of the tested rows (n,) have a near-duplicate in the training split; None where none is.

    equal: of all.  near: of `compared` tested images (at most 1,000, evenly chosen) against `training` ones (at most
    2,000): fingerprints correlate by 0.70 or more, the level found for pictures of brain MRI, or by 0.95 where
    the images are slices of `scans`; empty images never do.
    """
    training = store.rows("train")
    if not len(rows) or not len(training):
        return None
    full, taught = rows[~store.index.empty[rows]], training[~store.index.empty[training]]
    known = set(_digests(store, taught))
    equal = sum(digest in known for digest in _digests(store, full))
    some, others = _evenly(full, MOST_TESTED), _evenly(taught, MOST_TRAINING)
    best = nearest_across(_fingerprints(store, some), _fingerprints(store, others))
    similar = SIMILAR_SLICES if scans else SIMILAR
    near = int(np.count_nonzero(best >= similar))
    return NearDuplicates(
        tested=len(full),
        equal=equal,
        compared=len(some),
        training=len(others),
        near=near,
        similar_from=similar,
        sampled=len(some) < len(full) or len(others) < len(taught),
    )


def _evenly(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _digests(store: SliceStore, rows: npt.NDArray[np.int64]) -> list[str]:
    return [picture_digest(image) for images in store.select(rows).batches(BLOCK) for image in grey(images)]


def _fingerprints(store: SliceStore, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    prints = [picture_fingerprint(image) for images in store.select(rows).batches(BLOCK) for image in grey(images)]
    return np.asarray(prints, dtype=np.float32).reshape(len(rows), -1)
