"""The paper's recipes by name: its own two, and smaller ones for two cores, each in profile `paper` and `released`.

Profile `paper` is the text, literally; where the text is silent the released code decides.  Profile `released` is the
released code where it differs: encoder as the classifier's start, layer decay, label smoothing, drop path, random
erasing and crops, k 1..9 and sides one pixel short, positives from a second reconstruction with boxes drawn once, no
samples from empty slices, 85 % of the patches hidden in reconstructions for use, SSIM of data range 2, and the
checkpoint chosen on labelled validation images; LUNA16's classifier from scratch, its reconstructions with 75 % hidden.
docs/profiles.md lists each difference.
"""

from collections.abc import Callable
from typing import Any, get_args

from anomae.detectors.method import Profile
from anomae.detectors.patches import MOST, fitting_patch
from anomae.detectors.settings import MethodSettings
from anomae.errors import UserError
from anomae.suggestions import nearest_sentence

PROFILES: tuple[Profile, ...] = get_args(Profile)
OF_CANDIDATES = ("luna16", "luna16-patches", "reproduce-small-patches")
OF_PAPER = ("brats2020", "luna16")  # their patch is the paper's, whatever the size
Content = dict[str, Any]


def named_recipe(name: str, profile: Profile, image_size: tuple[int, int]) -> MethodSettings:
    """The settings of recipe `name` in `profile` for images of (h, w) pixels.

    Raises UserError, naming near misses, where there is no such recipe or profile.
    """
    if name not in RECIPES:
        raise UserError(f"There is no recipe {name!r}. {nearest_sentence(name, RECIPES)}")
    if profile not in PROFILES:
        raise UserError(f"There is no profile {profile!r}. {nearest_sentence(profile, PROFILES)}")
    content = RECIPES[name](image_size)
    if profile == "released":
        _as_released(content, candidates=name in OF_CANDIDATES)
    return MethodSettings.model_validate(content)


def recipe_for(cohort: str) -> str:
    """The recipe taken where none is named: that of the cohort if there is one, else `small`."""
    return cohort if cohort in RECIPES else "small"


def _brats2020(image_size: tuple[int, int]) -> Content:
    """The paper on BRATS2020: ViT-Base/16 at 224 px, 1,600 and 100 epochs, box sides 10..40."""
    return {
        "autoencoder": {
            "size": "base",
            "patch": 16,
            "training": {"epochs": 1600, "batch": 128, "lr": 7.5e-5, "warmup_epochs": 40, "betas": (0.9, 0.95)},
        },
        "pseudo_abnormal": {"k_min": 1, "k_max": 10, "side_min": 10, "side_max": 40},
        "classifier": {
            "size": "base",
            "patch": 16,
            "training": {"epochs": 100, "batch": 128, "lr": 1e-3, "min_lr": 1e-6, "warmup_epochs": 5},
        },
    }


def _luna16(image_size: tuple[int, int]) -> Content:
    """The paper on LUNA16: 64 px, batches of 2,048, box sides 5..12."""
    content = _brats2020(image_size)
    content["autoencoder"]["training"] |= {"batch": 2048, "lr": 1.2e-3}
    content["pseudo_abnormal"] |= {"side_min": 5, "side_max": 12}
    return content


def _small(image_size: tuple[int, int], most_patches: int = MOST) -> Content:
    """For two cores, a quarter of an hour at 64 px: a narrow ViT, box sides in the paper's proportion to the image.

    The classifier is narrower still and sees flipped crops: a wider one without them learns a thousand training images
    by heart (docs/experiments.md, 2026-11-25).  The paper's text has no such augmentation, the released code has.
    """
    side = min(image_size)
    # Where none fits, the paper's: the user may set another, `anomae` looks at none, and a fit of such patches refuses.
    patch = fitting_patch(image_size, most_patches) or fitting_patch(image_size) or 16
    return {
        "autoencoder": {
            "size": "tiny",
            "patch": patch,
            "training": {"steps": 4000, "batch": 64, "lr": 1e-3, "warmup_steps": 200, "betas": (0.9, 0.95)},
        },
        "pseudo_abnormal": {
            "k_min": 1,
            "k_max": 10,
            "side_min": max(2, round(side * 10 / 224)),
            "side_max": max(3, round(side * 40 / 224)),
        },
        "classifier": {
            "size": "nano",
            "patch": patch,
            "scale_input": True,
            "flip": True,
            "crop_scale": (0.7, 1.0),
            "training": {"steps": 4000, "batch": 64, "lr": 2e-3, "min_lr": 1e-6, "warmup_steps": 200},
        },
    }


def _thorough(image_size: tuple[int, int]) -> Content:
    """`small`; the detector `anomae` learns from more samples for longer: a quarter of an hour on one core."""
    return _small(image_size)


def _lgg(image_size: tuple[int, int]) -> Content:
    """`small`, for the LGG slices."""
    return _small(image_size)


def _luna16_patches(image_size: tuple[int, int]) -> Content:
    """`small`, with the box sides that the paper has for LUNA16 (5..12 of 64 px), scaled to the image."""
    content = _small(image_size, most_patches=100)
    side = min(image_size)
    content["pseudo_abnormal"] |= {"side_min": max(2, round(side * 5 / 64)), "side_max": max(3, round(side * 12 / 64))}
    return content


def _demo(image_size: tuple[int, int]) -> Content:
    """`small`, cut to a few minutes."""
    return _shortened(_small(image_size), autoencoder=600, classifier=1500)


def _phantom(image_size: tuple[int, int]) -> Content:
    """For made-up scans: seconds, to see that everything runs."""
    content = _shortened(_small(image_size), autoencoder=200, classifier=100)
    content["autoencoder"] |= {"size": "nano"}
    content["classifier"] |= {"flip": False, "crop_scale": None}
    content["classifier"]["training"] |= {"lr": 5e-4}
    for network in ("autoencoder", "classifier"):
        content[network]["training"] |= {"batch": 32}
    return content


def _reproduce_small(image_size: tuple[int, int]) -> Content:
    """For `anomae reproduce`: five minutes a cell on one core, since a table has twenty; narrower than `small`."""
    return _narrow(_small(image_size))


def _reproduce_small_patches(image_size: tuple[int, int]) -> Content:
    """The same with LUNA16's box sides."""
    return _narrow(_luna16_patches(image_size))


def _narrow(content: Content) -> Content:
    content = _shortened(content, autoencoder=1500, classifier=2000)
    content["autoencoder"] |= {"size": "micro"}
    content["autoencoder"]["training"] |= {"lr": 2e-3}
    return content


def _shortened(content: Content, **steps: int) -> Content:
    for network, count in steps.items():
        training = content[network]["training"]
        training |= {"steps": count, "warmup_steps": max(1, count // 20)}
    return content


def _as_released(content: Content, candidates: bool) -> None:
    """Change a recipe into what the released code does; candidates: for LUNA16's patches."""
    classifier, boxes = content["classifier"], content["pseudo_abnormal"]
    classifier |= {
        "size": content["autoencoder"]["size"],
        "start": "encoder",
        "positives": "separate",
        "boxes": "frozen",
        "label_smoothing": 0.1,
        "drop_path": 0.1,
        "erase": 0.25,
        "crop_scale": (0.08, 1.0),
        "flip": True,
        "choice": "validation_auroc",
        "empty": "dropped",
    }
    content["autoencoder"] |= {"ssim_range": 2.0, "use_mask_ratio": 0.85}
    if candidates:  # the released LUNA16 checkpoints: "luna_from_scratch", reconstructed at the ratio of training
        classifier |= {"start": "scratch"}
        content["autoencoder"] |= {"use_mask_ratio": None}
    classifier["training"] |= {"layer_decay": 0.75, "lr": classifier["training"]["lr"] / 2}
    boxes |= {"k_max": max(boxes["k_min"], boxes["k_max"] - 1), "side_max": boxes["side_max"] - 1}


RECIPES: dict[str, Callable[[tuple[int, int]], Content]] = {
    "brats2020": _brats2020,
    "luna16": _luna16,
    "lgg": _lgg,
    "luna16-patches": _luna16_patches,
    "small": _small,
    "thorough": _thorough,
    "reproduce-small": _reproduce_small,
    "reproduce-small-patches": _reproduce_small_patches,
    "demo": _demo,
    "phantom": _phantom,
}
