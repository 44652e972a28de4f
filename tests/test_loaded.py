"""A model in a program of one's own: what it says of a path, a volume and an array is the same, and can be kept."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anomae.detectors.protocol import Findings
from anomae.detectors.registry import method_named
from anomae.dicom_results.write import checked_kinds
from anomae.errors import MissingExtra, UnreadableScan, UserError
from anomae.inference.decision import HealthyScores
from anomae.inference.inspect import Model
from anomae.loaded import Inspection, LoadedModel, load
from anomae.slices.settings import PrepareSettings
from anomae.slices.store import SliceStore
from anomae.stages.compare import compare
from anomae.stages.evaluate import evaluate
from anomae.stages.fit import fit
from anomae.stages.score_scans import score_scans
from anomae.training.settings import DeviceSettings, checked_device
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid, Volume

GRID = Grid((6, 24, 20), (4.0, 1.5, 2.0), (-20.0, 7.0, 3.0))


class Brightness:
    """The map is the prepared intensity, the score its highest value."""

    name, map_name, description = "brightness", "intensity, prepared", ""

    def inspect(self, images):
        maps = images.max(axis=1)
        return Findings(maps.max(axis=(1, 2)).astype(np.float64), maps)


def loaded(healthy=True, **told):
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.5, 0.6, 400)
    known = HealthyScores(scores, scores, np.repeat(np.arange(40), 10), "patient", "made up") if healthy else None
    settings = PrepareSettings(image_size=(24, 20), intensity="none", preparation="plain", slices="all")
    return LoadedModel(Model(Brightness(), settings, known), **told)


@pytest.fixture
def scan():
    voxels = np.full(GRID.shape, 0.4, dtype=np.float32)
    voxels[2:4, 8:13, 5:9] = 0.9
    return Volume(voxels, GRID, Path("made-up"), "array")


def test_a_bright_spot_is_flagged_and_found_where_it_is(scan):
    result = loaded().inspect(scan)
    assert result.flag is True
    assert result.flags.tolist() == [False, False, True, True, False, False]
    assert result.slices.tolist() == [*range(6)]
    assert result.score == result.scores.max() == pytest.approx(0.9, abs=0.05)
    assert "at most 10 %" in result.why
    assert result.shares_below.tolist() == [0, 0, 1, 1, 0, 0]
    (finding,) = result.findings
    x, y, z = finding.centroid_mm
    assert (x, y, z) == pytest.approx((-20 + 2 * 6.5, 7 + 1.5 * 10, 3 + 4 * 2.5), abs=0.5)
    assert finding.slices == (2, 3)
    assert "flagged, 1 finding(s)" in repr(result)


def test_a_path_a_volume_and_an_array_are_alike(scan, tmp_path):
    model = loaded()
    scan.save(tmp_path / "scan.nii.gz")
    results = [model.inspect(given) for given in (scan, tmp_path / "scan.nii.gz", str(tmp_path / "scan.nii.gz"))]
    for one in results[1:]:
        assert one.scores.tolist() == results[0].scores.tolist()
    alone = model.inspect(scan.voxels[2])
    assert (len(alone.scores), alone.flag) == (1, True)


def test_a_map_is_a_volume_on_the_grid_of_its_scan(scan, tmp_path):
    heat = loaded().inspect(scan).map
    assert heat.grid == scan.grid
    heat.save(tmp_path / "map.nii.gz")
    back = read_volume(tmp_path / "map.nii.gz")
    assert np.array_equal(back.voxels, heat.voxels)
    assert np.allclose(back.grid.affine_lps(), scan.grid.affine_lps(), atol=1e-4)
    with pytest.raises(UserError, match=r"choose one of these"):
        heat.save(tmp_path / "map.xyz")


def test_without_calibration_nothing_is_flagged_and_the_reason_is_given(scan):
    result = loaded(healthy=False).inspect(scan)
    assert (result.flag, result.flags, result.findings, result.shares_below) == (None, None, (), None)
    assert result.why.startswith("No flag")
    assert "not judged" in repr(result)
    by_hand = loaded(healthy=False).inspect(scan, threshold=0.7)
    assert by_hand.flags.tolist() == [False, False, True, True, False, False]
    assert "by hand" in by_hand.why


@pytest.mark.parametrize("colours", [3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_an_array_in_colour_is_no_scan_of_a_grey_model(colours, kind):
    with pytest.raises(UserError, match=f"looks like one picture in {colours} colours"):
        loaded().inspect(np.dstack([np.arange(320, dtype=kind).reshape(16, 20)] * colours))
    for shape in ((15, 20, 3), (20, 15, 4), (16, 16, 5)):
        assert len(loaded().inspect(np.ones(shape, kind)).scores) == shape[0]


@pytest.mark.parametrize("wrong", [np.zeros((2, 3, 4, 5)), np.zeros(3), np.zeros((0, 4, 4)), np.array([["a", "b"]])])
def test_what_is_no_scan_is_refused(wrong):
    with pytest.raises(UserError, match="is no scan; give numbers"):
        loaded().inspect(wrong)


@pytest.mark.parametrize(
    "given",
    [
        [[1, 2], [3]],
        torch.ones(2, 3, 4, dtype=torch.bfloat16),
        torch.ones(2, 3, 4, requires_grad=True),
    ],
)
def test_what_numpy_does_not_take_is_refused(given):
    with pytest.raises(UserError, match=r"is no array of numbers .* give a NumPy array"):
        loaded().inspect(given)


def test_what_lies_under_a_mask_is_not_seen(scan):
    hidden = scan.voxels.copy()
    hidden[:, :4, :4] = 30000.0
    masked = np.ma.masked_array(hidden, mask=hidden > 1)
    gone = np.where(hidden > 1, np.nan, hidden)
    result, wanted = loaded().inspect(masked), loaded().inspect(gone)
    np.testing.assert_array_equal(result.scores, wanted.scores)
    assert result.score < 1 < loaded().inspect(hidden).score
    integers = np.ma.masked_array((100 * hidden).astype(np.int32), mask=masked.mask)
    assert loaded().inspect(integers).score < 100
    np.testing.assert_array_equal(
        loaded().inspect(np.ma.masked_array(scan.voxels)).scores, loaded().inspect(scan.voxels).scores
    )


def test_a_volume_that_does_not_lie_on_its_grid_is_refused(scan):
    for grid, said in ((Grid((3, 3, 3)), "has the shape"), (Grid(GRID.shape, (0.0, 1.0, 1.0)), "spacing of this")):
        with pytest.raises(UserError, match=said):
            loaded().inspect(replace(scan, grid=grid))


@pytest.mark.parametrize("bounds", [0.5, (0.1,), (0.1, 0.1, 0.1), ("0.1", "0.1"), "ab", None])
def test_bounds_are_two_numbers(scan, bounds):
    with pytest.raises(UserError, match="bounds are two numbers"):
        loaded().inspect(scan, bounds=bounds)


@pytest.mark.parametrize("threshold", ["0.5", np.nan, [0.5]])
def test_a_threshold_is_a_number(scan, threshold):
    with pytest.raises(UserError, match="A threshold is a finite number, not"):
        loaded().inspect(scan, threshold=threshold)


@pytest.mark.parametrize("device", ["gpu", "cuda:9", 0, {"accelerator": "cpu"}, torch.device("cpu")])
def test_a_device_that_there_is_not_is_refused_before_anything_is_read(device):
    for asked in (lambda: load("run", device), lambda: score_scans("run", ["scan"], "out", device=device)):
        with pytest.raises(UserError, match=r"device is .*; give 'auto', 'cpu', 'cuda', or"):
            asked()


def test_a_device_is_named_as_on_the_command_line():
    assert checked_device(None) is None
    assert checked_device("cpu") == DeviceSettings(accelerator="cpu")
    settings = DeviceSettings(precision="fp32")
    assert checked_device(settings) is settings


def test_arguments_of_another_kind_end_in_a_sentence():
    for asked, said in (
        (lambda: compare("run", "out"), "One run was given, run; name two or more"),
        (lambda: fit("store", "run", overrides=["a=1"]), "overrides are a dictionary"),
        (lambda: method_named(dict), 'by its name, or by "module:Class"'),
        (lambda: checked_kinds(["seg"]), "Kinds of DICOM results are one text"),
        (lambda: SliceStore("nowhere"), "nowhere is not a folder"),
        (lambda: evaluate("run", bounds=0.5), "bounds are two numbers"),
    ):
        with pytest.raises(UserError, match=said):
            asked()


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UnreadableScan, match="is missing"):
        loaded().inspect(tmp_path / "none.nii.gz")
    with pytest.raises(UserError, match="the path of one"):
        loaded(colour=True).inspect(np.zeros((4, 4)))


def test_a_figure_shows_the_highest_slice_or_the_one_asked_for(scan, tmp_path):
    result = loaded().inspect(scan)
    figure = result.show()
    assert figure.axes[0].get_title(loc="left") in ("slice 2", "slice 3")
    assert len(figure.axes[1].collections) == 1  # the outline of the finding
    picture = tmp_path / "figure.png"
    picture.write_bytes(figure._repr_png_())
    with Image.open(picture) as drawn:
        assert np.asarray(drawn.convert("L")).std() > 10
    quiet = result.show(0)
    assert quiet.axes[0].get_title(loc="left") == "slice 0"
    assert len(quiet.axes[1].collections) == 0
    with pytest.raises(UserError, match="Slice 9 was not scored"):
        result.show(9)


def test_a_figure_of_a_ct_is_drawn_through_its_window(scan):
    study = loaded().inspect(scan).study
    images = study.result.case.images.copy()
    images[..., 0, 0] = -1000  # air, as only HU have it
    case = replace(study.result.case, images=images, modality="CT", body_part="HEAD")
    axes = Inspection(replace(study, result=replace(study.result, case=case))).show(0).axes[0]
    assert axes.get_title(loc="left") == "slice 0, brain window, 0 to 80 HU"
    assert axes.images[0].get_clim() == (0, 80)


def test_three_planes_need_a_volume_and_the_extra(scan, monkeypatch):
    with pytest.raises(UserError, match=r"use \.show"):
        loaded().inspect(scan.voxels[2]).view()
    monkeypatch.setitem(sys.modules, "ipyniivue", None)
    with pytest.raises(MissingExtra, match=r"anomae\[notebook\]"):
        loaded().inspect(scan).view()


def test_scan_and_map_are_given_to_the_viewer(scan):
    pytest.importorskip("ipyniivue", reason="ipyniivue is not installed (the extra `notebook`)")
    widget = loaded().inspect(scan).view()
    assert [volume.colormap for volume in widget.volumes] == ["gray", "inferno"]
