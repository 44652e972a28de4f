"""Every method by name, and how a fitted one is found again on disk."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from anomae.detectors.anomae.detector import Anomae
from anomae.detectors.anovaegan.detector import AnoVaeGan
from anomae.detectors.ast.detector import StudentTeacherDetector
from anomae.detectors.baselines.conv_autoencoder import ConvAutoencoderDetector
from anomae.detectors.baselines.mean_image import MeanImage
from anomae.detectors.baselines.one_line import OneLine
from anomae.detectors.baselines.pca import PrincipalComponents
from anomae.detectors.baselines.pixel_gaussian import PixelGaussian
from anomae.detectors.dae.detector import DenoisingAutoencoderDetector
from anomae.detectors.draem.detector import DraemDetector
from anomae.detectors.fanogan.detector import FAnoGan
from anomae.detectors.mae.detector import MaskedAutoencoderDetector
from anomae.detectors.mae_classifier.detector import PseudoAbnormalClassifier
from anomae.detectors.patchcore.detector import PatchMemoryDetector
from anomae.detectors.protocol import Detector
from anomae.detectors.rd4ad.detector import ReverseDistillationDetector
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
        non_finite = ", ".join(".".join(map(str, entry["loc"])) for entry in error.errors())
        raise UserError(
            f"{folder} was fitted with settings that this version does not have or allow ({non_finite}); fit "
            f"anew, or use "
            "the version that fitted it."
        ) from error
    return detector
