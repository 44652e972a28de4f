"""What is scored: images of scanners; nothing that a program made of them."""

import pydicom
import pytest
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.sop_class import (
    ComprehensiveSRStorage,
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from anomae.pacs.images import NOT_SCORED, is_image_class, why_not_scored

OWN = (SegmentationStorage, ComprehensiveSRStorage, ParametricMapStorage, SecondaryCaptureImageStorage)
SCANS = (CTImageStorage, MRImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedMRImageStorage)


def header(sop_class: str, **attributes: object) -> pydicom.Dataset:
    one = pydicom.Dataset()
    one.SOPClassUID, one.Modality = sop_class, "MR"
    for name, value in attributes.items():
        setattr(one, name, value)
    return one


@pytest.mark.parametrize("sop_class", OWN)
def test_kinds_that_this_program_writes_are_never_scored(sop_class: str) -> None:
    assert why_not_scored(header(sop_class)) == "no image of a scanner"


@pytest.mark.parametrize("sop_class", SCANS)
def test_scans_are(sop_class: str) -> None:
    assert why_not_scored(header(sop_class)) == ""
    assert "anomae" in why_not_scored(header(sop_class, Manufacturer="anomae"))
    assert why_not_scored(header(sop_class, ImageType=["DERIVED", "PRIMARY", "LOCALIZER"])) == "a localizer"
    assert all(why_not_scored(header(sop_class, Modality=kind)) for kind in NOT_SCORED)


def test_a_storage_class_is_an_image_by_its_name_or_not() -> None:
    """The standard's names: what is called an image is taken, but for captures, maps drawn of images, and therapy."""
    for context in AllStoragePresentationContexts:
        uid = pydicom.uid.UID(context.abstract_syntax)
        if any(word in uid.name for word in ("SR Storage", "Segmentation", "Waveform", "Presentation State", "RT ")):
            assert not is_image_class(uid), uid.name
    assert not is_image_class("1.2.3")
    assert not is_image_class("")
