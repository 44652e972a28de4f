"""anomae: find what does not belong in a medical image, having seen only healthy ones.

    import anomae

    anomae.prepare("lgg", "data/lgg", "store", modality="flair")
    anomae.fit("store", "run")
    anomae.score("run")
    anomae.evaluate("run")

    model = anomae.load("run")
    result = model.inspect("scan.nii.gz")
    result.scores, result.flags, result.findings
    result.map.save("map.nii.gz")

The names below are imported when they are first asked for, so `import anomae` itself is light and needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anomae.detectors.protocol import Detector, Findings, FittedDetector
    from anomae.detectors.registry import DETECTORS
    from anomae.errors import UserError
    from anomae.inference.fitted import load_preparation
    from anomae.inference.score_volume import VolumeResult, score_volume
    from anomae.loaded import Inspection, LoadedModel, load
    from anomae.slices.settings import PrepareSettings
    from anomae.slices.store import SliceStore
    from anomae.stages.compare import compare
    from anomae.stages.evaluate import evaluate
    from anomae.stages.fit import fit
    from anomae.stages.prepare import prepare
    from anomae.stages.score import score
    from anomae.stages.score_scans import score_scans
    from anomae.volumes.read import read_volume
    from anomae.volumes.volume import Volume

__version__ = "0.1.0"

__all__ = [
    "DETECTORS",
    "Detector",
    "Findings",
    "FittedDetector",
    "Inspection",
    "LoadedModel",
    "PrepareSettings",
    "SliceStore",
    "UserError",
    "Volume",
    "VolumeResult",
    "compare",
    "evaluate",
    "fit",
    "load",
    "load_preparation",
    "prepare",
    "read_volume",
    "score",
    "score_scans",
    "score_volume",
]

_MODULES = {
    "DETECTORS": "anomae.detectors.registry",
    "Detector": "anomae.detectors.protocol",
    "Findings": "anomae.detectors.protocol",
    "FittedDetector": "anomae.detectors.protocol",
    "Inspection": "anomae.loaded",
    "LoadedModel": "anomae.loaded",
    "PrepareSettings": "anomae.slices.settings",
    "SliceStore": "anomae.slices.store",
    "UserError": "anomae.errors",
    "Volume": "anomae.volumes.volume",
    "VolumeResult": "anomae.inference.score_volume",
    "compare": "anomae.stages.compare",
    "evaluate": "anomae.stages.evaluate",
    "fit": "anomae.stages.fit",
    "load": "anomae.loaded",
    "load_preparation": "anomae.inference.fitted",
    "prepare": "anomae.stages.prepare",
    "read_volume": "anomae.volumes.read",
    "score": "anomae.stages.score",
    "score_scans": "anomae.stages.score_scans",
    "score_volume": "anomae.inference.score_volume",
}


def __getattr__(name: str) -> Any:
    """A public name, imported now."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})
