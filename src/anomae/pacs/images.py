"""Which series and files are images to be scored; what programs drew of them, this one too, never is."""

from typing import Any

from anomae.dicom_results.wording import SOFTWARE

# Modalities of what is derived, read or planned.
NOT_SCORED = frozenset(
    [
        *("SEG", "SR", "PR", "KO", "REG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "DOC", "ECG", "EPS", "HD", "AU"),
        *("RWV", "FID", "PLAN", "M3D", "ASMT", "TEXTUREMAP", "ANN", "SRF", "OAM", "AR", "KER", "VA", "STAIN"),
    ]
)
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# Storage classes, by how their UIDs go on behind the above: secondary capture, waveforms, presentation states,
# parametric maps, raw data, registrations and segmentations, real world values, reports, documents, radiotherapy.
_NO_IMAGES = (
    "7",
    "9",
    "11",
    "30",
    "66",
    "67",
    "68",
    "78",
    "79",
    "80",
    "81",
    "88",
    "90",
    "91",
    "104",
    "200",
    "201",
    "481",
)


def is_image_class(sop_class: str) -> bool:
    """Whether a SOP class is of images that came from a scanner."""
    if not sop_class.startswith(_STORAGE):
        return False
    return sop_class[len(_STORAGE) :].partition(".")[0] not in _NO_IMAGES


def why_not_scored(header: Any) -> str:
    """Why a DICOM file is no image to be scored, a phrase; "" where it is one.  header: a pydicom dataset."""
    if str(header.get("Manufacturer", "")).strip() == SOFTWARE:
        return f"made by {SOFTWARE}"
    if not is_image_class(str(header.get("SOPClassUID", ""))) or str(header.get("Modality", "")) in NOT_SCORED:
        return "no image of a scanner"
    if "LOCALIZER" in [str(word).upper() for word in header.get("ImageType") or ()]:
        return "a localizer"
    return ""
