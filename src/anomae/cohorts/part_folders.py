"""Folders that part the files of patients or of a data set, and are no patients: by their names, and by what they hold.

"flair", "coronal", "left" and "visit2" part files whatever they hold.  Of folders whose names may be those of visits
("V01") what they hold tells: a numbered name of somebody ("H07") that lies in several of them is of one patient.  "CC"
and "OD" may be views and sides, or the initials of somebody: they are views where no folder of another name could be a
patient's.  Folders of other names stay patients; where the names in them look like those of people, that is doubted.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from anomae.cohorts.picture_groups import PICTURES
from anomae.cohorts.same_names import SEQUENCE_WORDS, without_sequence

_VISITS = (
    r"(?:visit|time[-_ ]?point)[-_ ]?\d{0,2}|base[-_ ]?line|follow[-_ ]?ups?[-_ ]?\d{0,2}|"
    r"(?:month|week|day|year)s?[-_ ]?\d{1,3}|\d{1,3}[-_ ]?(?:month|week|day|year)s?"
)
_PARTS = re.compile(
    r"(images?|images(?:tr|ts|val)|imgs?|pictures?|scans?|slices|volumes|data|dicoms?|dcm|nii|nifti|anat|func|png|jpe?g|"
    rf"{SEQUENCE_WORDS}|axial|coronal|sagittal|transvers(?:e|al)|[lr]?[-_ ]?mlo|xccl|frontal|lateral|"
    rf"(?:left|right)(?:[-_ ]?(?:eye|breast|side))?|view[-_ ]?\d{{0,2}}|"
    rf"ses-.*|session[-_ ]?\d*|{_VISITS})",
    re.IGNORECASE,
)
# A view or a side, or somebody of these initials; and those of which one beside the other leaves no doubt.
_MAYBE_VIEW = re.compile(r"[lr]?[-_ ]?(?:cc|ml|lm)|ap|pa|lat|[lr]|o[ds]")
_VIEWS_BESIDE = ({"cc", "mlo"}, {"lcc", "rcc"}, {"l-cc", "r-cc"}, {"l_cc", "r_cc"}, {"l", "r"}, {"od", "os"})
# A visit, or somebody of that number ("V01", "m12", "TP03"): only what lies in it can tell.
_MAYBE_VISIT = re.compile(r"[vmwdyt]\d{1,3}|\d{1,3}[mwdy]|tp[-_ ]?\d{0,3}", re.IGNORECASE)
# Numbered names made of such words alone count images, series or visits: they name nobody.  No such list is ever
# complete: it decides on folders called like visits alone, and on doubts.
_COUNTING = re.compile(
    rf"{_PARTS.pattern}|t|v|m|w|d|y|b|e|i|z|l|mm|im|img|se|ser|series|st|study|exp|acq|run|echo|frame|page|slice|slc|vol"
    r"|volume|ses|month|week|day|year|tp|mag|phase|mprage|tse|tof|bold|rest|task|dti|dce|dsc|dyn|fa|te|asl|mni|icbm|space"
    r"|std|brain|orig|reg|rec",
    re.IGNORECASE,
)
_LETTERS, _NUMBER = re.compile(r"[^\W\d_]+"), re.compile(r"\d+")
_FEWEST = 3  # numbered names in a folder, else they are no list of people
_SHARED = 0.5  # of the names in a folder lie in others too, at least
_FEW_FOLDERS, _MANY_NAMES = 4, 10  # so few folders of so many names that lie in each hold views of people, or slices
_SHORT = 4  # letters: in words of so many, and numbers without gaps, patients' own scans are counted ("dce07")


@dataclass(frozen=True, slots=True)
class PartFolders:
    """Names of folders, in small letters.

    parts: taken for no patients by what they hold.  visits: those of them that are visits, and no views.  unclear:
    such, and others that may be patients or visits.
    """

    parts: frozenset[str] = frozenset()
    visits: frozenset[str] = frozenset()
    unclear: frozenset[str] = frozenset()


NO_FOLDERS = PartFolders()


def parts_files(name: str) -> bool:
    """Whether a folder of this name parts the files of a patient or of a data set, whatever it holds."""
    return _PARTS.fullmatch(name) is not None


def is_visit(name: str) -> bool:
    """Whether a folder of this name holds who came at one time, whatever it holds.

    Sessions ("ses-1") are BIDS', whose subject stands in the path.
    """
    return re.fullmatch(_VISITS, name, re.IGNORECASE) is not None


def guessed_from_folders(inside: PurePath, is_folder: bool, parts: frozenset[str] = frozenset()) -> str:
    """The patient that the folders between a class folder and its scan suggest; "" where there is none.

    inside: the path of the scan below its class folder.  is_folder: the scan is a folder itself (a DICOM series).
    parts: further folders that are no patients (`PartFolders`).
    """
    folders = inside.parts if is_folder else inside.parts[:-1]
    return next((part for part in folders if not parts_files(part) and part.casefold() not in parts), "")


def told_by_content(scans: Iterable[tuple[PurePath, bool]]) -> PartFolders:
    """Which folders that may be patients (`guessed_from_folders`) hold the same people, by numbered names in them.

    scans: of each its path below its class folder, and whether it is a folder.  Names of pictures tell nothing: in the
    folder of a patient they count slices.  Folders are taken for visits, and so for no patients, where their own names
    may be those of visits and more names are shared than folders share them, as of a list of people; a series that is
    called alike ("MPRAGE1") in the folders of many patients is no such list.  Other folders that share so many names
    are unclear, unless these plainly count what a patient has ("dce01" to "dce10" in each).  Of very few folders
    that are not numbered and hold the same many names that is unclear, of pictures too.
    Folders that may be views are taken for these, and so for no patients, where no others could be patients; that is
    unclear but for pairs such as CC and MLO.
    """
    scans = [*scans]
    views, unclear = _views(scans)
    named: defaultdict[str, set[str]] = defaultdict(set)
    pictured: defaultdict[str, set[str]] = defaultdict(set)
    for inside, is_folder in scans:
        guessed = guessed_from_folders(inside, is_folder, views)
        if guessed:
            name, is_picture = _name_below(inside, guessed, is_folder)
            pictured[guessed.casefold()] |= {name} - {""}
            named[guessed.casefold()] |= set() if is_picture else {name} - {""}
    listed = {folder: _listed(names) for folder, names in named.items()}
    visits = {folder: names for folder, names in named.items() if _MAYBE_VISIT.fullmatch(folder)}
    at_visits = _lists_of_people({folder: listed[folder] for folder in visits})
    people = {name for names in at_visits.values() for name in names}
    unclear |= {folder for folder, names in listed.items() if len(names & people) > 1}
    unclear |= {*_recurring({folder: _listed(names, bare=True) for folder, names in visits.items()})}
    others = _lists_of_people({folder: names for folder, names in listed.items() if folder not in unclear})
    unclear |= _few_of_the_same({folder: _listed(names) for folder, names in pictured.items()})
    unclear |= set() if _are_counted(others) else {*others}
    return PartFolders(views | {*at_visits}, frozenset(at_visits), frozenset(unclear))


def _views(scans: Sequence[tuple[PurePath, bool]]) -> tuple[frozenset[str], set[str]]:
    """The folders that are views or sides, as no others beside them could be patients; and those that are doubted.

    scans: see `told_by_content`.
    """
    guessed = [(inside, guess) for inside, is_folder in scans if (guess := guessed_from_folders(inside, is_folder))]
    seen = {part.casefold() for inside, _ in scans for part in inside.parts}
    by_level = {(inside.parts.index(guess), guess.casefold()) for inside, guess in guessed}
    views = {folder for _, folder in by_level if _MAYBE_VIEW.fullmatch(folder)}
    sure = {folder for folder in views if any(folder in both and both <= seen for both in _VIEWS_BESIDE)}
    levels = {level for level, folder in by_level if folder in views}
    if {folder for level, folder in by_level if level in levels} == views:
        return frozenset(views), views - sure
    return frozenset(), sure


def _name_below(inside: PurePath, guessed: str, is_folder: bool) -> tuple[str, bool]:
    """What lies in the guessed folder on the way to the scan and parts no files, without a sequence; "" where nothing.

    Also whether that is a picture.
    """
    below = inside.parts[inside.parts.index(guessed) + 1 :]
    for index, part in enumerate(below):
        is_file = index == len(below) - 1 and not is_folder
        if not is_file and parts_files(part):
            continue
        name = without_sequence(part.partition(".")[0] if is_file else part).casefold()
        return name, is_file and PurePath(part).suffix.lower() in PICTURES
    return "", False


def _listed(names: set[str], *, bare: bool = False) -> set[str]:
    """The names that differ in their numbers alone, of the commonest form; none where these are few.

    bare: numbers without a word count too.
    """
    forms: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        words = _LETTERS.findall(name)
        told = not all(map(_COUNTING.fullmatch, words)) if words else bare
        if told and _NUMBER.search(name):
            forms[_NUMBER.sub("#", name)].add(name)
    most = max(forms.values(), key=len, default=set())
    return most if len(most) >= _FEWEST else set()


def _recurring(listed: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The folders of which most names lie in others too, and those that share with them; with their names."""
    times = Counter(name for names in listed.values() for name in names)
    sure = [
        names for names in listed.values() if names and sum(times[each] > 1 for each in names) >= _SHARED * len(names)
    ]
    people = {name for names in sure for name in names}
    return {folder: names for folder, names in listed.items() if len(names & people) > 1}


def _lists_of_people(listed: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The folders of `_recurring`, where they share more names than they are; else none."""
    found = _recurring(listed)
    return found if len({name for names in found.values() for name in names}) > len(found) else {}


def _few_of_the_same(listed: Mapping[str, set[str]]) -> set[str]:
    """All folders, where they are very few, are not numbered as people are, and each holds the same many names."""
    numbered = len({_NUMBER.sub("#", folder) for folder in listed}) == 1
    if not 1 < len(listed) <= _FEW_FOLDERS or numbered:
        return set()
    common = set[str].intersection(*listed.values())
    same = all(len(common) >= _SHARED * len(names) for names in listed.values())
    return {*listed} if same and len(common) >= _MANY_NAMES else set()


def _are_counted(found: Mapping[str, set[str]]) -> bool:
    """Whether short words and numbers count what lies in most of these folders, from the first on.

    found: folder -> names of one form each.
    """
    forms = {folder: _NUMBER.sub("#", next(iter(names))) for folder, names in found.items()}
    whole: defaultdict[str, set[str]] = defaultdict(set)
    for folder, names in found.items():
        whole[forms[folder]] |= names
    ordered = {
        form: sorted(names, key=lambda name: ([*map(int, _NUMBER.findall(name))], name))
        for form, names in whole.items()
    }
    counted = [{*ordered[forms[folder]][: len(names)]} == names for folder, names in found.items()]
    short = all(len(word) <= _SHORT for form in forms.values() for word in _LETTERS.findall(form))
    return short and 2 * sum(counted) > len(counted)
