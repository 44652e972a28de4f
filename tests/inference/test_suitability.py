"""What a model was not made for is refused with the reason; a lesion, however large, is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomae.cohorts.scan_slices import scan_slices
from anomae.inference.features import SLICES, learn_features, spaced
from anomae.inference.reference import levels_of, reference_of
from anomae.inference.suitability import FEWEST_SLICES, Suitability, suitability_of
from anomae.phantoms.phantom import make_chest, make_head
from anomae.slices.preparing import prepare_case
from anomae.slices.settings import PrepareSettings
from anomae.volumes.volume import Grid, Volume

SETTINGS = PrepareSettings(image_size=(48, 48))
SHAPE = (12, 48, 48)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
STEEP = (1.0, 0.0, 0.0, 0.0, 0.766, -0.643, 0.0, 0.643, 0.766)  # by 40 degrees


def case_of(voxels, grid, name="scan.nii"):
    return scan_slices(Volume(np.asarray(voxels, np.float32), grid, Path(name), "array"))


def head(seed, modality="t1", lesions=0):
    made = make_head(seed, shape=SHAPE, modality=modality, lesions=lesions)
    return case_of(made.voxels, made.grid)


def prepared(case):
    made = prepare_case(case, SETTINGS)
    return made.images[~made.empty]


@pytest.fixture(scope="module")
def reference():
    """Twelve T1 heads."""
    cases = [head(seed) for seed in range(12)]
    shown = [prepared(case)[:, 0] for case in cases]
    shown = [images[spaced(len(images), SLICES)] for images in shown]
    return reference_of(
        [case.grid for case in cases],
        scans=12,
        modalities=["MR"] * 12,
        body_parts=["BRAIN"] * 12,
        sequences=["T1"] * 12,
        levels=[levels_of(images) for images in shown],
        features=learn_features(shown[:9], shown[9:]),
    )


def found(case, reference):
    return suitability_of(case, prepared(case), reference)


@pytest.mark.parametrize("lesions", [0, 1, 3])
def test_a_scan_of_the_same_kind_is_suited(reference, lesions):
    answer = found(head(100 + lesions, lesions=lesions), reference)
    assert answer.suited
    assert 0 < answer.distance <= reference.features.limit
    assert 0 <= answer.percentile <= 100


def test_so_is_one_with_a_very_large_lesion(reference):
    case = head(70)
    voxels = case.images[:, 0].astype(np.float32)
    voxels[5:10, 14:30, 14:26] = np.percentile(voxels, 99)
    assert found(case_of(voxels, case.grid), reference).reasons == ()


@pytest.mark.parametrize(
    ("farthest", "doubted", "suited"), [(1.01, False, True), (0.99, True, True), (0.7, False, False)]
)
def test_between_the_farthest_held_out_and_the_limit_is_a_doubt(reference, farthest, doubted, suited):
    """farthest: the largest distance of a held-out scan, in that of the scan; beyond 1.3 times it a scan is refused."""
    case = head(100)
    own = found(case, reference).distance
    features = replace(reference.features, held_out=np.linspace(0.1, farthest * own, 9))
    answer = found(case, replace(reference, features=features))
    assert answer.distance == own
    assert (bool(answer.doubts), answer.suited) == (doubted, suited)
    if doubted:
        assert answer.doubts[0].startswith("It looks less like the training scans than all 9 healthy scans")


def disc():
    """A cylinder of one grey with a rod in it, as quality assurance scans it."""
    _, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    voxels = 100.0 * ((y - 24) ** 2 + (x - 24) ** 2 < 400)
    voxels[(y - 24) ** 2 + (x - 12) ** 2 < 16] = 200
    return voxels


@pytest.mark.parametrize("kind", ["lungs", "T2", "a phantom"])
def test_another_kind_is_refused_by_its_looks_alone(reference, kind):
    grid = head(0).grid
    if kind == "T2":
        case = head(60, "t2")
    else:
        case = case_of(make_chest(1, shape=SHAPE).voxels if kind == "lungs" else disc(), grid)
    answer = found(case, reference)
    assert not answer.suited
    assert answer.percentile == 100
    assert answer.reasons[-1].startswith("It looks unlike the training scans: its features lie ")
    assert "of 12 healthy scans that were held out" in answer.reasons[-1]


@pytest.fixture(scope="module")
def uniform():
    """Sixty pictures as of one view and one device: two ellipses that hardly vary."""
    made = [view(seed) for seed in range(60)]
    return reference_of([], scans=60, features=learn_features(made, []))


def view(seed, lesion=None):
    """(1, 48, 48), prepared: an ellipse with a lobe, noise; lesion: what is drawn over a square of it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48]
    seen = 0.6 * (((y - 24) / 20) ** 2 + ((x - 24) / 15) ** 2 < 1) + 0.2 * (
        ((y - 20) / 8) ** 2 + ((x - 30) / 5) ** 2 < 1
    )
    seen = seen + rng.normal(0, 0.02, seen.shape)
    if lesion is not None:
        seen[20:29, 16:25] = lesion
    return seen[None].astype(np.float32)


@pytest.mark.parametrize("count", range(1, FEWEST_SLICES + 2))
@pytest.mark.parametrize("lesion", [0.05, 1.2, 9.0])
def test_a_lesion_in_all_of_few_slices_takes_no_flag_away(uniform, count, lesion):
    slices = np.concatenate([view(100 + seed, lesion) for seed in range(count)])[:, None]
    answer = suitability_of(replace(head(0), grid=None), slices, uniform)
    assert answer.distance > uniform.features.limit
    assert answer.percentile == 100
    assert answer.suited == (count < FEWEST_SLICES)
    assert bool(answer.doubts) == (count < FEWEST_SLICES)


def test_a_picture_that_looks_unlike_is_judged_with_a_doubt_and_one_that_does_not_without(uniform):
    picture = replace(head(0), grid=None)
    assert suitability_of(picture, view(100)[None], uniform).doubts == ()
    noise = np.random.default_rng(0).uniform(0, 1, (2, 1, 48, 48)).astype(np.float32)
    found = [suitability_of(picture, one[None], uniform) for one in noise]
    assert all(one.suited for one in found)
    assert found[0].doubts == found[1].doubts  # one sentence for many pictures
    assert found[0].doubts[-1].startswith("It looks unlike the training scans: its features lie more than ")
    assert found[0].doubts[-1].endswith("see that it is of the kind that the model learned from.")
    assert "so it is not refused for it" in found[0].doubts[-1]


def test_a_picture_that_is_refused_anyway_is_told_no_doubt_that_says_it_is_not(uniform):
    picture = replace(head(0), grid=None, modality="CT")
    noise = np.random.default_rng(0).uniform(0, 1, (1, 1, 48, 48)).astype(np.float32)
    refused = suitability_of(picture, noise, replace(uniform, modalities=("MR",)))
    assert refused.reasons[0] == "Its modality is CT, and the model learned from MR."
    looks = [one.partition(" In so few slices")[0] for one in suitability_of(picture, noise, uniform).doubts]
    assert looks == [*refused.reasons[1:]] != []
    assert refused.doubts == ()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"modality": "CT"}, "Its modality is CT, and the model learned from MR."),
        ({"body_part": "CHEST"}, "Its body part is chest, and the model learned from head."),
        ({"body_part": "THORAX W/O"}, "Its body part is chest, and the model learned from head."),
        (
            {"source": Path("sub-01_T2w.nii.gz")},
            "Its kind of scan, by its file name, is T2, and the model learned from T1.",
        ),
        ({"sequence": "T2"}, "Its kind of scan, by its series description, is T2, and the model learned from T1."),
        ({"sequence": "T1", "source": Path("a_t2.nii")}, ""),  # the header knows better
        ({"modality": "MR", "body_part": "HEAD", "source": Path("a_t1n.nii.gz")}, ""),
        ({"body_part": "CHEST AND SKULL"}, ""),  # several regions: not known which
        ({"body_part": "SITE 7"}, ""),
    ],
)
def test_what_the_headers_say_is_compared(reference, changed, sentence):
    reasons = found(replace(head(101), **changed), reference).reasons
    assert reasons == ((sentence,) if sentence else ())


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        (Grid(SHAPE, (12.5, 1.0, 1.0)), "Its pixels are 1 mm wide, and those of the training scans 5."),
        (Grid(SHAPE, (0.5, 5.0, 5.0)), "Its slices are 0.5 mm apart"),
        (Grid((12, 48, 48), (12.5, 9.0, 9.0)), "Its slices are 432 mm long and wide"),
        (Grid(SHAPE, (12.5, 5.0, 5.0), direction=SAGITTAL), "Its slices are sagittal, and the training scans are"),
        (Grid(SHAPE, (12.5, 5.0, 5.0), direction=STEEP), "Its slices are tilted by 40 degrees"),
        (Grid(SHAPE, (10.0, 4.5, 5.5)), ""),
    ],
)
def test_where_its_slices_lie_is_compared(reference, grid, sentence):
    geometry = replace(reference, features=None, levels=())
    case = replace(head(102), grid=grid)
    reasons = suitability_of(case, prepared(head(102)), geometry).reasons
    assert bool(reasons) == bool(sentence)
    assert sentence in " ".join(reasons)


def test_intensities_far_from_those_of_training_are_said(reference):
    images = prepared(head(103))
    assert suitability_of(head(103), images, replace(reference, features=None)).suited
    answer = suitability_of(head(103), images * 40 + 3, replace(reference, features=None))
    assert "has a prepared intensity of" in answer.reasons[0]


def test_nothing_is_said_where_nothing_is_kept(reference):
    assert found(head(60, "t2"), None) == Suitability()
    nothing = reference_of([], scans=3)
    assert found(replace(head(60, "t2"), modality="CT", body_part="CHEST"), nothing).suited


def test_a_picture_lies_nowhere(reference):
    picture = replace(head(104), grid=None)
    assert found(picture, reference).suited
    assert suitability_of(picture, prepared(picture)[:0], reference) == Suitability()
