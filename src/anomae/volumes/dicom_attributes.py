"""What the standard requires of a CT or MR picture beside its pixels and geometry, for scans that were made up."""

_EMPTY = (
    "StudyDate",
    "StudyTime",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
    "Manufacturer",
)
_EMPTY_BY_MODALITY = {
    "CT": ("KVP", "AcquisitionNumber"),
    "MR": ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"),
}


def patient_attributes(body_part: str = "") -> dict[str, str | list[str]]:
    """Attributes (keyword to content) of patient, study and series that must be there and may be empty.

    body_part: BodyPartExamined, such as "HEAD"; "" for unknown.
    """
    return {**dict.fromkeys(_EMPTY, ""), "BodyPartExamined" if body_part else "Laterality": body_part}


def required_attributes(modality: str, body_part: str = "") -> dict[str, str | list[str]]:
    """The same, and those that a single slice of this modality must have; what is not known of it is empty."""
    content = patient_attributes(body_part) | dict.fromkeys(_EMPTY_BY_MODALITY.get(modality, ()), "")
    if modality not in _EMPTY_BY_MODALITY:  # written as a secondary capture
        return {**content, "ConversionType": "SYN", "ImageType": ["DERIVED", "SECONDARY"]}
    content |= {
        "PatientPosition": "HFS",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else "OTHER"],
    }
    if modality == "MR":
        content |= {"ScanningSequence": "RM", "SequenceVariant": "NONE"}
    return content
