"""UIDs of DICOM results: derived from what they are about, so that the same result has the same UID again."""

import hashlib
import re
from dataclasses import dataclass

import numpy as np

from anomae import __version__
from anomae.dicom_results.source import Source
from anomae.errors import UserError
from anomae.inference.study import Study

UUID_ROOT = "2.25"
_ROOT = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_LONGEST, _LONGEST_ROOT = 64, 44  # characters; what is left behind a root holds 60 bits at least


@dataclass(frozen=True, slots=True)
class Uids:
    """UIDs below `root`, each by its name.

    digest: of all that the results depend on: source instances, model, scores, thresholds, findings, version.
    """

    root: str
    digest: str

    def of(self, *names: str | int) -> str:
        """The UID of what is named, such as ("seg", "instance")."""
        return derived_uid(self.root, self.digest, *names)


def uids_of(study: Study, source: Source, root: str = UUID_ROOT) -> Uids:
    """The UIDs of the results of a study.  Raises UserError where `root` is no root of UIDs."""
    checked_root(root)
    digest = hashlib.blake2b(digest_size=16)
    rules = study.decision.rules
    facts = (
        __version__,
        source.study_uid,
        source.series_uid,
        [(one.instance, one.frame) for one in source.slices],
        study.detector,
        study.model,
        study.result.map_name,
        [(rule.threshold, rule.bound, rule.given) for rule in (rules.slice, rules.scan, rules.finding)],
        study.decision.calibration,
        study.decision.scan_flag,
        study.decision.unflagged,
    )
    digest.update(repr(facts).encode())
    labels = None if study.regions is None else study.regions.labels
    for array in (study.result.slices, study.decision.scores, study.result.map, labels):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
    return Uids(root, digest.hexdigest())


def derived_uid(root: str, *names: str | int) -> str:
    """A UID below `root` that depends on root and `names` alone."""
    text = "\x1f".join(str(name) for name in ("anomae", *names))
    number = int(hashlib.sha256(text.encode()).hexdigest()[:32], 16)
    return f"{root}.{number % 10 ** (_LONGEST - 1 - len(root))}"


def checked_root(text: str) -> str:
    """`--uid-root` as it was given.  Raises UserError where no UID can begin with it."""
    if not _ROOT.fullmatch(text) or len(text) > _LONGEST_ROOT:
        raise UserError(
            f"--uid-root is {text[:80]!r}; give the root of UIDs that your institution was assigned, numbers joined by "
            f"dots such as 1.2.826.0.1.1234567, of {_LONGEST_ROOT} characters at most; or leave it out."
        )
    return text
