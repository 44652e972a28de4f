"""What a file name or a series description says of the kind of scan; a guess by words, which is to be said as one."""

import re

# BIDS, BraTS and scanners write these.
_WORDS = {
    "T1": ("t1", "t1w", "t1n"),
    "T1 with contrast": ("t1c", "t1ce", "t1gd"),
    "T2": ("t2", "t2w"),
    "FLAIR": ("flair", "t2f"),
    "DWI": ("dwi",),
    "ADC": ("adc",),
    "SWI": ("swi",),
    "PD": ("pd", "pdw"),
    "CT": ("ct",),
}
_CONTRAST, _NO_CONTRAST = {"post", "gad", "gd", "contrast", "ce"}, {"pre", "without", "no", "non"}


def sequence_of(text: str) -> str:
    """The kind of scan that a name says, such as "FLAIR"; "" where it says none, or several that do not go together."""
    words = set(re.split(r"[^a-z0-9]+", text.lower()))
    found = {sequence for sequence, known in _WORDS.items() if words & set(known)}
    if found == {"T2", "FLAIR"}:
        return "FLAIR"
    if found == {"T1"} and words & _CONTRAST:
        return "" if words & _NO_CONTRAST else "T1 with contrast"
    return found.pop() if len(found) == 1 else ""
