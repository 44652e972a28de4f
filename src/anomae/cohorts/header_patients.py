"""Who the patient of a scan is by the DICOM headers of its files, pixels not read."""

from pathlib import Path

from anomae.errors import UnreadableScan, UserError
from anomae.volumes.dicom import list_series
from anomae.volumes.dicom_headers import is_dicom, patient_in_header
from anomae.volumes.patient_ids import HeaderPatient, likeness, pseudonym
from anomae.volumes.series import folder_and_series

# What anonymisers leave behind in every file: it names nobody.
_WORDS = ("anon", "anonym", "anonymous", "anonymized", "anonymised", "unknown", "none", "n/a", "removed", "deleted")
_NOBODY = {pseudonym(form) for word in _WORDS for form in (word, word.upper(), word.capitalize())} | {
    pseudonym("0" * count) for count in range(1, 17)
}
_LIKE_NOBODY = {likeness(word) for word in (*_WORDS, "0")}


def named_somebody(header: str) -> str:
    """The pseudonym as it is; "" for one that anonymisers leave behind."""
    return "" if header in _NOBODY else header


def patient_in_headers(scan: Path) -> HeaderPatient:
    """Whom the headers of a DICOM file, or of the files in a folder, name; where they spell it in several ways, one.

    Raises UserError where they name several patients.
    """
    folder, number = folder_and_series(scan)
    if number is not None:  # one of several series in a folder
        frames = [*list_series(folder)[0].values()][number - 1 : number]  # none where it is refused when it is read
        return _one_patient(scan, {HeaderPatient(frame.patient, frame.likeness) for own in frames for frame in own})
    files = sorted(scan.iterdir()) if scan.is_dir() else [scan]
    found = set()
    for file in files:
        if file.name.startswith(".") or not file.is_file() or not is_dicom(file):
            continue
        try:
            found.add(patient_in_header(file))
        except UnreadableScan:  # it stays a case, and is refused and listed when it is read for good
            continue
    return _one_patient(scan, found)


def _one_patient(scan: Path, found: set[HeaderPatient]) -> HeaderPatient:
    named = [each for each in found if named_somebody(each.pseudonym) and each.likeness not in _LIKE_NOBODY]
    several = len({each.likeness for each in named})
    if several > 1:
        raise UserError(
            f"{scan} holds DICOM files of {several} patients by their PatientID; part them, a folder a patient."
        )
    return min(named, key=lambda each: each.pseudonym, default=HeaderPatient())
