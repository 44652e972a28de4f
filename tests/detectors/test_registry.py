"""The registry: names without torch, a detector is one file and one line, and others' classes by name or module."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import anomae.detectors
from anomae.cli.summaries import list_detectors
from anomae.detectors import registry
from anomae.detectors.baselines.mean_image import MeanImage
from anomae.detectors.baselines.settings import MeanImageSettings
from anomae.detectors.method import PROFILES, SCALES, Method, Situation, scale_of
from anomae.detectors.registry import DETECTORS, load_detector, method_named, told_of
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.slices.store import Slices
from anomae.testing import check_detector
from anomae.training.checkpoint import write_tensors

OURS = list(DETECTORS)
RECIPES = {"tiny": "phantom", "small": "small", "paper": "brats2020"}

# A whole detector of ours, as its file would be.
ONE_FILE = '''
"""How bright an image is."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from anomae.detectors.inference import check_images
from anomae.detectors.method import Method, by_scale
from anomae.detectors.protocol import Findings, HealthySlices, Images4
from anomae.errors import UserError
from anomae.files import read_json, write_json
from anomae.slices.store import Slices
from anomae.files import read_json, write_json
from anomae.training.settings import DeviceSettings


class BrightnessSettings(BaseModel):
    above: float = 0.0


@dataclass(frozen=True, slots=True)
class FittedBrightness:
    name: ClassVar[str] = "brightness"
    map_name: ClassVar[str] = "prepared intensity"
    description: ClassVar[str] = ""
    settings: BrightnessSettings
    channels: int
    image_size: tuple[int, int]

    def inspect(self, images: Images4) -> Findings:
        check_images(images, self.channels, self.image_size)
        maps = np.maximum(images.astype(np.float32) - self.settings.above, 0).sum(axis=1)
        return Findings(np.array([one.sum() for one in maps], dtype=np.float64), maps)

    def save(self, folder: Path) -> None:
        facts = {"detector": self.name, "channels": self.channels, "image_size": list(self.image_size)}
        write_json(folder / "settings.json", {**facts, "settings": self.settings.model_dump()})


class Brightness:
    """The score is the sum of all intensities."""

    name = "brightness"
    settings_type = BrightnessSettings

    def __init__(self, settings: BrightnessSettings) -> None:
        self.settings = settings

    def fit(self, healthy: HealthySlices, *, seed: int, folder: Path) -> FittedBrightness:
        if len(healthy) == 0:
            raise UserError("There is no healthy slice to learn from.")
        return FittedBrightness(self.settings, healthy.channels, healthy.image_size)

    @classmethod
    def load(cls, folder: Path, device: DeviceSettings | None = None) -> FittedBrightness:
        content = read_json(folder / "settings.json")
        height, width = content["image_size"]
        return FittedBrightness(BrightnessSettings(**content["settings"]), content["channels"], (height, width))


METHOD = Method(Brightness, by_scale(BrightnessSettings, {"tiny": {"above": 0.5}}))
'''


@pytest.fixture
def brightness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A detector added as one would add it: one file, and one line in the registry."""
    (tmp_path / "brightness_of_a_test.py").write_text(ONE_FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry._OURS, "brightness", "brightness_of_a_test")
    return "brightness"


def test_a_detector_is_one_file_and_one_line(
    brightness: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(DETECTORS) == [*OURS, brightness]
    method = method_named(brightness)
    settings = method.settings(Situation("phantom", "paper", (32, 32)))
    assert settings.model_dump() == {"above": 0.5}
    check_detector(lambda: method.detector(settings), tmp_path, draws=False, refusals=(UserError,))
    assert load_detector(tmp_path / "saved").name == brightness
    list_detectors()
    assert f"{brightness:18}The score is the sum of all intensities." in capsys.readouterr().out


def test_names_are_had_without_torch() -> None:
    for code in (
        "import anomae.detectors; assert list(anomae.detectors.DETECTORS)",
        "import anomae.stages.fit",
        "import anomae.testing",
        "from anomae.detectors.registry import refuse_unknown; refuse_unknown('pca')",
    ):
        assert (
            subprocess.run([sys.executable, "-c", f"{code}; import sys; sys.exit('torch' in sys.modules)"]).returncode
            == 0
        )
    assert anomae.detectors.DETECTORS is DETECTORS


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", OURS)
def test_settings_hold_at_every_scale(name: str, scale: str) -> None:
    assert scale_of(RECIPES[scale]) == scale
    method = DETECTORS[name]
    assert method.name == name
    settings: Any = method.settings(Situation(RECIPES[scale], "paper", (64, 64)))
    assert isinstance(settings, method.detector.settings_type)  # type: ignore[arg-type]
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings
    assert settings.device.devices == 1


def test_a_profile_is_refused_where_a_method_has_it_not() -> None:
    assert {name for name in OURS if DETECTORS[name].profiles == PROFILES} == {"mae-classifier"}
    with pytest.raises(UserError, match="give it with --detector mae-classifier"):
        method_named("pca").settings(Situation("small", "released", (64, 64)))
    with pytest.raises(UserError, match="Did you mean released"):
        method_named("pca").settings(Situation("small", "releasd", (64, 64)))  # type: ignore[arg-type]


STRANGERS = """
from pydantic import BaseModel
from anomae.detectors.baselines.pca import METHOD as MINE

class Lacking:
    name = "lacking"

class Wanting(BaseModel):
    width: int

class Sound:
    name, settings_type = "sound", BaseModel
    def __init__(self, settings): ...
    def fit(self, healthy, *, seed, folder): ...
    @classmethod
    def load(cls, folder, device=None): ...

class Failing(Sound):
    @classmethod
    def load(cls, folder, device=None):
        return {}["width"]

class Bare(Sound):
    name, settings_type = "bare", Wanting

class Thief(Sound):
    name = "pca"
"""


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "strangers_of_a_test.py").write_text(STRANGERS)
    names = ("sound = {0}:Sound", "pca = {0}:Lacking", "gone = {0}:Gone", "missing = nowhere_at_all:X")
    info = tmp_path / "strangers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    lines = "\n".join(names).format("strangers_of_a_test")
    (info / "entry_points.txt").write_text(f"[anomae.detectors]\n{lines}\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "strangers_of_a_test"


def test_others_are_named_after_ours_and_never_in_place_of_ours(
    strangers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(DETECTORS) == [*OURS, "gone", "missing", "sound"]
    assert len(DETECTORS) == len(OURS) + 3
    assert method_named("pca").detector.__module__ == "anomae.detectors.baselines.pca"
    assert method_named("sound").name == "sound"
    list_detectors()  # one that cannot be imported does not hide the others
    listed = capsys.readouterr().out
    assert "cannot be imported" in listed
    assert all(f"\n{name} " in listed for name in DETECTORS if name != OURS[0])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pcaa", "Did you mean pca"),
        ("gone", "The detector gone .* cannot be imported"),
        ("missing", "No module named 'nowhere_at_all'"),
        ("nowhere_at_all:X", "No module named 'nowhere_at_all'"),
        ("strangers_of_a_test:Gone", "cannot be imported"),
        (":Gone", "cannot be imported"),
        ("strangers_of_a_test:Lacking", "is no detector: it lacks settings_type, fit, load"),
        ("strangers_of_a_test:Thief", "has the name of another detector, 'pca'"),
    ],
)
def test_what_is_no_detector_is_said(name: str, sentence: str, strangers: str) -> None:
    with pytest.raises(UserError, match=sentence):
        method_named(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:", r"SyntaxError: .*\(broken_of_a_test.py, line 1\)"),
        ("1 / 0", "division by zero, broken_of_a_test"),
    ],
)
def test_a_file_that_cannot_be_imported_is_said_with_its_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_of_a_test.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=rf"detector broken_of_a_test:X cannot be imported \(.*{said}"):
        method_named("broken_of_a_test:X")


def test_what_a_stranger_raises_is_its_own_and_what_ours_raises_is_ours(strangers: str, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"detector": "sound"}))
    (tmp_path / "fitted.json").write_text(json.dumps({"asked": f"{strangers}:Failing"}))
    with pytest.raises(
        UserError, match=rf"{strangers}:Failing failed: KeyError: 'width', {strangers}.py line \d+; --debug"
    ):
        load_detector(tmp_path)
    with pytest.raises(KeyError), told_of("anywhere:PCA", "pca"):
        raise KeyError("width")


def test_settings_without_defaults_are_said(strangers: str) -> None:
    method = method_named(f"{strangers}:Bare")
    with pytest.raises(UserError, match="no defaults for width"):
        method.settings(Situation("small", "paper", (64, 64)))


def test_a_class_of_ours_or_a_method_may_be_named_by_module(strangers: str) -> None:
    assert method_named("anomae.detectors.baselines.pca:PrincipalComponents") is DETECTORS["pca"]
    assert isinstance(method_named(f"{strangers}:MINE"), Method)
    assert method_named(f"{strangers}:MINE") is DETECTORS["pca"]


def test_what_is_not_fitted_here_is_said(strangers: str, tmp_path: Path) -> None:
    folder = tmp_path / "fitted"
    folder.mkdir()
    with pytest.raises(UserError, match="no fitted detector"):
        load_detector(folder)
    (folder / "settings.json").write_text(json.dumps({"detector": "unheard-of"}))
    with pytest.raises(UserError, match="'unheard-of'"):
        load_detector(folder)
    (folder / "settings.json").write_text(json.dumps({"detector": "pca", "settings": {}}))
    with pytest.raises(UserError, match="earlier version"):
        load_detector(folder)
    (folder / "fitted.json").write_text(json.dumps({"detector": "sound", "asked": "nowhere_at_all:Sound"}))
    with pytest.raises(UserError, match="nowhere_at_all:Sound"):
        load_detector(folder)


@pytest.fixture
def fitted(tmp_path: Path) -> Path:
    """A fitted mean image of 8x6 pixels."""
    MeanImage(MeanImageSettings()).fit(Slices(np.ones((3, 1, 8, 6), np.float32)), seed=0, folder=tmp_path).save(
        tmp_path
    )
    return tmp_path


@pytest.mark.parametrize("key", ["seed", "image_size", "channels", "settings"])
@pytest.mark.parametrize("value", [..., None, "x", -1.5, [], {}, [8], [8, "x"], [8, 0]])
def test_settings_that_are_damaged_are_said_not_taken_for_a_defect(fitted: Path, key: str, value: object) -> None:
    content = {name: entry for name, entry in read_json(fitted / "settings.json").items() if name != key}
    write_json(fitted / "settings.json", content if value is ... else {**content, key: value})
    if key == "settings" and value == {}:
        load_detector(fitted)  # all have defaults
        return
    with pytest.raises(UserError, match="fit anew"):
        load_detector(fitted)


@pytest.mark.parametrize(
    "tensors",
    [
        {"other": torch.ones(1, 8, 6)},
        {"mean": torch.ones(8, 6)},
        {"mean": torch.ones(1, 8, 5)},
        {"mean": torch.ones(1, 8, 6, dtype=torch.bfloat16)},
        {"mean": torch.ones(1, 8, 6, dtype=torch.int64)},
        {"mean": torch.full((1, 8, 6), torch.nan)},
    ],
)
def test_arrays_that_are_damaged_are_said(fitted: Path, tensors: dict[str, torch.Tensor]) -> None:
    load_detector(fitted)
    write_tensors(fitted / "arrays.safetensors", tensors)
    with pytest.raises(UserError, match=r"arrays\.safetensors is damaged: .*; copy it again, or fit anew"):
        load_detector(fitted)


def test_what_a_strangers_detector_raises_stays_what_it_is(
    fitted: Path, strangers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = method_named(f"{strangers}:Sound").detector

    def broken(folder: Path, device: object = None) -> None:
        raise KeyError("theirs")

    monkeypatch.setattr(found, "load", broken)
    (fitted / "fitted.json").write_text(json.dumps({"asked": f"{strangers}:Sound"}))
    with pytest.raises(KeyError, match="theirs"):
        load_detector(fitted)
