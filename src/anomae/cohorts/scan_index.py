"""The scans of a folder tree by where they lie and what they are called, so that each mask looks at few of them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from anomae.cohorts.file_roles import bases_of, home_of, stem_of

Home = tuple[str, ...]
Scans = Mapping[Path, None]  # a set that keeps its order

_SUBJECT = re.compile(r"sub-[^-_. ]*", re.IGNORECASE)
_NONE: Scans = {}


class ScanIndex:
    """Scans below `above`; homes are those of `home_of`, without the folders called as in `role_folders`.

    stems: scan -> its stem.  by_home: home -> scans.  by_stem: stem in small letters -> scans.
    """

    def __init__(self, scans: Iterable[Path], above: Path, role_folders: tuple[str, ...]) -> None:
        self.stems = {scan: stem_of(scan) for scan in scans}
        self.by_home: dict[Home, dict[Path, None]] = {}
        self.by_stem: dict[str, dict[Path, None]] = {}
        self._by_folder: dict[Path, dict[Path, None]] = {}
        self._by_base: dict[str, dict[Path, None]] = {}
        self._by_subject: dict[str, dict[Path, None]] = {}
        self._below: dict[tuple[Home, str], dict[Path, None]] = {}
        for scan, stem in self.stems.items():
            self.by_home.setdefault(home_of(scan, above, role_folders), {})[scan] = None
            self.by_stem.setdefault(stem.lower(), {})[scan] = None
            self._by_folder.setdefault(scan.parent, {})[scan] = None
            for base in bases_of(stem):
                self._by_base.setdefault(base, {})[scan] = None
            if subject := _subject(stem):
                self._by_subject.setdefault(subject, {})[scan] = None
                home = home_of(scan, above)
                for depth in range(len(home) + 1):
                    self._below.setdefault((home[:depth], subject), {})[scan] = None
        self._homes_with: dict[str, list[Home]] = {}
        for home in self.by_home:
            for part in dict.fromkeys(home):
                self._homes_with.setdefault(part, []).append(home)
        self._around: dict[Home, Scans] = {}

    def in_folder(self, folder: Path) -> Scans:
        """Those that lie in `folder` itself."""
        return self._by_folder.get(folder, _NONE)

    def around(self, home: Home) -> Scans:
        """Those in whose home the folders of `home` all are, in this order."""
        if home not in self._around:
            fewest = min((self._homes_with.get(part, []) for part in home), key=len, default=list(self.by_home))
            self._around[home] = {
                scan: None for other in fewest if _is_part(home, other) for scan in self.by_home[other]
            }
        return self._around[home]

    def beside_derivatives(self, home: Home, base: str) -> Scans:
        """Those of the subject of `base`, below the folder in which the derivatives of BIDS lie that a mask is one of.

        home: of the mask, without folders of the usual roles.  Empty for other files.
        """
        if "derivatives" not in home:
            return _NONE
        return self._below.get((home[: home.index("derivatives")], _subject(base)), _NONE)

    def called(self, name: str, near: Scans) -> list[Path]:
        """Those of `near` that are called so, in any case."""
        return _both(near, self.by_stem.get(name.lower(), _NONE))

    def fitting(self, base: str, near: Scans) -> list[Path]:
        """Those of `near` whose mask is called `base`, by `anomae.cohorts.file_roles.fits`."""
        return _both(near, self._by_base.get(base.lower(), _NONE))

    def of_subject(self, base: str, near: Scans) -> list[Path]:
        """Those of `near` that are of the subject that `base` begins with, by BIDS; [] where it names none."""
        return _both(near, self._by_subject.get(_subject(base), _NONE))


def _subject(stem: str) -> str:
    match = _SUBJECT.match(stem)
    return match[0].lower() if match else ""


def _both(some: Scans, others: Scans) -> list[Path]:
    fewer, more = sorted((some, others), key=len)
    return [scan for scan in fewer if scan in more]


def _is_part(short: Home, long: Home) -> bool:
    rest = iter(long)
    return all(part in rest for part in short)
