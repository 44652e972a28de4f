"""Every method by name, and how a fitted one is found again on disk."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anovaegan import AnoVaeGan
from anomae.detectors.conv_autoencoder import ConvAutoencoderDetector
from anomae.detectors.denoising_autoencoder import DenoisingAutoencoderDetector
from anomae.detectors.draem import DraemDetector
from anomae.detectors.fanogan import FAnoGan
from anomae.detectors.masked_autoencoder import MaskedAutoencoderDetector
from anomae.detectors.mean_image import MeanImage
from anomae.detectors.one_line import OneLine
from anomae.detectors.patch_memory import PatchMemoryDetector
from anomae.detectors.pixel_gaussian import PixelGaussian
from anomae.detectors.principal_components import PrincipalComponents
from anomae.detectors.protocol import Detector
from anomae.detectors.pseudo_abnormal_classifier import PseudoAbnormalClassifier
from anomae.detectors.reverse_distillation import ReverseDistillationDetector
from anomae.detectors.student_teacher import StudentTeacherDetector
from anomae.errors import UserError
from anomae.files import read_json
from anomae.training.settings import DeviceSettings

DETECTORS: dict[str, Any] = {
    detector.name: detector
    for detector in (
        Anomae,
        PseudoAbnormalClassifier,
        MaskedAutoencoderDetector,
        AnoVaeGan,
        FAnoGan,
        ReverseDistillationDetector,
        StudentTeacherDetector,
        PatchMemoryDetector,
        DenoisingAutoencoderDetector,
        DraemDetector,
        ConvAutoencoderDetector,
        PrincipalComponents,
        PixelGaussian,
        MeanImage,
        OneLine,
    )
}


def make_detector(name: str, settings: Any) -> Any:
    """A detector of this name, not fitted; settings: those that anomae.recipes gives for it."""
    if name == MaskedAutoencoderDetector.name:
        return MaskedAutoencoderDetector(settings.autoencoder, settings.device)
    return DETECTORS[name](settings)


def load_detector(folder: Path, device: DeviceSettings | None = None) -> Detector:
    """The fitted detector in `folder`.  Raises UserError where there is none, or one of an unknown name."""
    if not (folder / "settings.json").exists():
        raise UserError(f"{folder} holds no fitted detector; run `anomae fit` first, or again to finish it.")
    name = read_json(folder / "settings.json").get("detector")
    if name not in DETECTORS:
        raise UserError(
            f"{folder} holds a detector {name!r} that this version does not know; it knows {', '.join(DETECTORS)}."
        )
    try:
        detector: Detector = DETECTORS[name].load(folder, device)
    except ValidationError as error:
        strange = ", ".join(".".join(map(str, entry["loc"])) for entry in error.errors())
        raise UserError(
            f"{folder} was fitted with settings that this version does not have or allow ({strange}); fit anew, or use "
            "the version that fitted it."
        ) from error
    return detector
