"""Names of patients: pseudonyms of DICOM PatientIDs, and what of a name does not tell two patients apart."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

_LEADING_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)")
# What spreadsheets and programs write where a name is missing.
_MISSING = {"nan", "na", "<na>", "n/a", "#n/a", "none", "null", "unknown", "-", "?", "."}
_PARTED = re.compile(r"[-_\s]+")
_BESIDE_A_LETTER = re.compile(r"(?<=[^\W\d_]) | (?=[^\W\d_])")


@dataclass(frozen=True, slots=True)
class HeaderPatient:
    """Whom the header of a DICOM file names; both "" where it names nobody.

    pseudonym: see `pseudonym`.  likeness: the same of all IDs that are spelled alike (see `plain_name`), a hash too.
    """

    pseudonym: str = ""
    likeness: str = ""

    @classmethod
    def of(cls, patient_id: str) -> "HeaderPatient":
        """Of a PatientID as it stands in the header."""
        return cls(pseudonym(patient_id), likeness(patient_id))


def pseudonym(patient_id: str) -> str:
    """A name for the patient of this PatientID: always the same, and not the ID; "" for an empty ID.

    It keeps an ID out of tables and messages.  It is no anonymisation: whoever knows an ID can compute its pseudonym.
    """
    patient_id = patient_id.strip()
    return _hashed("anomae patient ", patient_id) if patient_id else ""


def likeness(patient_id: str) -> str:
    """A hash that all spellings of an ID share (see `plain_name`); "" for an empty ID."""
    plain = plain_name(patient_id)
    return _hashed("anomae patient, spelled alike ", plain) if plain else ""


def plain_name(name: str) -> str:
    """The name without what people and programs write in several ways, and which tells no two patients apart.

    That is: case, the writing of accents and of wide letters, leading zeros of a number, blanks around the name, which
    of blank, hyphen and underscore parts it, and whether a letter is parted from what is beside it ("P-007", "p 7").
    Between digits something stays ("1-11" is not "11-1").
    """
    plain = unicodedata.normalize("NFKC", name).strip().casefold()
    return _BESIDE_A_LETTER.sub("", _LEADING_ZEROS.sub("", _PARTED.sub(" ", plain)))


def is_missing(name: str) -> bool:
    """Whether what a table has in place of a patient's name names nobody: empty, or such as "nan" or "n/a"."""
    return not name.strip() or name.strip().casefold() in _MISSING


def _hashed(salt: str, text: str) -> str:
    return hashlib.blake2b(salt.encode() + text.encode(errors="surrogateescape"), digest_size=8).hexdigest()
