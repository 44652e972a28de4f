"""What every DICOM result says of itself: which software made it, when, and that it is not for clinical use."""

from typing import Any

from anomae import __version__
from anomae.dicom_results.source import Source, adopt
from anomae.dicom_results.uids import Uids
from anomae.inference.study import Study

SOFTWARE = "anomae"
SCHEME = "99ANOMAE"  # of codes that no standard has
NOT_CLINICAL = "Research only, not for clinical use"
STATEMENT = (
    f"{NOT_CLINICAL}. Made by the software {SOFTWARE} {__version__}, which is no medical device. It says where an "
    "image differs from healthy ones that a model has seen; that is no diagnosis."
)
_SERIES_NUMBERS = {"seg": 9701, "segf": 9702, "sr": 9703, "pm": 9704, "sc": 9705}
_LONG_STRING, _SHORT_STRING = 64, 16


def common_arguments(study: Study, uids: Uids, kind: str) -> dict[str, Any]:
    """What highdicom asks of every result: UIDs, numbers, equipment."""
    return {
        "series_instance_uid": uids.of(kind, "series"),
        "series_number": _SERIES_NUMBERS[kind],
        "sop_instance_uid": instance_uid(uids, kind),
        "instance_number": 1,
        "manufacturer": SOFTWARE,
        "manufacturer_model_name": long_string(f"{SOFTWARE} {study.detector}"),
        "software_versions": __version__,
        "device_serial_number": model_number(study),
    }


def own_codes() -> list[Any]:
    """What the codes of SCHEME are, for results that use them."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return [CodingSchemeIdentificationItem(SCHEME, name=f"Codes of {SOFTWARE}", responsible_organization=SOFTWARE)]


def instance_uid(uids: Uids, kind: str) -> str:
    """The SOPInstanceUID of the result of this kind."""
    return uids.of(kind, "instance")


def model_number(study: Study) -> str:
    """The fingerprint of the model, as the serial number of what made the result."""
    return long_string(study.model or "unknown")


def complete(result: Any, source: Source, what: str) -> None:
    """Give `result` patient, study, and the descriptions that every viewer shows; what: such as "findings"."""
    adopt(result, source)
    result.SeriesDescription = long_string(f"{SOFTWARE} {what}: {NOT_CLINICAL}")


def content_description(text: str) -> str:
    """`text` behind the statement that it is not for clinical use, as far as it fits."""
    return long_string(f"{NOT_CLINICAL}. {text}")


def long_string(text: str) -> str:
    """`text` as a LO: plain letters that every character set has, no backslash, 64 at most."""
    return plain(text)[:_LONG_STRING].strip()


def short_string(text: str) -> str:
    """`text` as a SH: 16 letters at most."""
    return plain(text)[:_SHORT_STRING].strip()


def plain(text: str) -> str:
    """`text` in ASCII: what a file says beside the patient's own name must not depend on its character set."""
    kept = text.replace("²", "2").replace("³", "3").replace("\\", "/").encode("ascii", "replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in kept)
