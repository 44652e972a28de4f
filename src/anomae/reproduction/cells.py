"""What the paper's tables and figures are made of: runs to be fitted, and cells, each a figure read from a run.

Several cells may read one run (Table 2a: three scores of one masked autoencoder), and runs whose masked autoencoder
would come out the same share it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anomae.detectors.fanogan.settings import SCHLEGL
from anomae.detectors.method import DEFAULT, PAPERS, Profile, Scale

BRATS, LUNA = "BRATS2020", "LUNA16"
TABLES = (
    "table1",
    "table2a",
    "table2b",
    "table2c",
    "text",
    "fig2",
    "fig3",
    "fig4",
    "fig5",
    "trivial_baselines",
    "further",
    "anomae",
)
MASK_RATIOS = (0.25, 0.5, 0.75, 0.9)
LENGTHS = (0.125, 0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A detector to be fitted, scored and evaluated.

    name: of its folder.  overrides: on top of the settings of the detector at the chosen scale.  length: share of the
    masked autoencoder's steps.  by_scale: overrides of one scale alone.  seed: of the fit; None: the one of the whole
    reproduction.  profile: of the paper's method.  title: what pages call it; "": its name.  sources: of `anomae`, less
    `mirror` where the slices have no midline; (): those of its recipe.  The run `method` is the paper's, which others
    take their masked autoencoder from.
    """

    name: str
    detector: str = PAPERS
    overrides: Mapping[str, Any] = field(default_factory=dict)
    length: float = 1.0
    shares_autoencoder: bool = False
    by_scale: Mapping[Scale, Mapping[str, Any]] = field(default_factory=dict)
    seed: int | None = None
    profile: Profile = "paper"
    title: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of a table: what it is called, which score of which run it is, and what the paper says.

    paper: data set of the paper -> AUROC.  position: where it stands on the horizontal axis of Fig. 5.
    """

    table: str
    title: str
    run: str
    score: str = "score"
    paper: Mapping[str, float] = field(default_factory=dict)
    position: float | None = None


def _varied(name: str, shares: bool, **overrides: Any) -> PlannedRun:
    return PlannedRun(
        name, overrides={key.replace("__", "."): value for key, value in overrides.items()}, shares_autoencoder=shares
    )


# f-AnoGAN's other architecture learns as its authors had it; a recipe that was made for the first one says otherwise.
_SIZED = ("width", "training", "encoder_training")
SCHLEGL_OVERRIDES = {"arch": "schlegl", **{key: value for key, value in SCHLEGL.items() if key not in _SIZED}}
SCHLEGL_SIZES: dict[Scale, dict[str, Any]] = {
    "paper": {
        "width": SCHLEGL["width"],
        "training.epochs": SCHLEGL["training"].epochs,
        "training.batch": SCHLEGL["training"].batch,
        "encoder_training.steps": SCHLEGL["encoder_training"].steps,
        "encoder_training.batch": SCHLEGL["encoder_training"].batch,
    },
    "small": {
        "width": 8,
        "training.steps": 250,
        "training.batch": 8,
        "encoder_training.steps": 1000,
        "encoder_training.batch": 8,
    },
}
METHOD_RUN = "method"
RUNS = {
    run.name: run
    for run in (
        PlannedRun(METHOD_RUN),
        *(PlannedRun(name, name) for name in ("anovaegan", "fanogan", "rd4ad", "ast")),
        PlannedRun("fanogan-schlegl", "fanogan", SCHLEGL_OVERRIDES, by_scale=SCHLEGL_SIZES),
        _varied("l2", True, classifier__input="l2"),
        _varied("reconstruction", True, classifier__input="reconstruction"),
        _varied("k-5-10", True, pseudo_abnormal__k_min=5, pseudo_abnormal__k_max=10),
        _varied("k-1-5", True, pseudo_abnormal__k_min=1, pseudo_abnormal__k_max=5),
        _varied("beta-per-pixel", True, pseudo_abnormal__per_pixel=True),
        _varied("all-tokens", False, autoencoder__loss_on="all", autoencoder__paste=False),
        _varied("autoencoder", False, autoencoder__mask_ratio=0.0),
        _varied("images", False, classifier__input="image"),
        *(PlannedRun(name, name) for name in ("mean-image", "pixel-gaussian", "pca", "conv-autoencoder", "patchcore")),
        *(PlannedRun(name, name) for name in ("dae", "draem")),
        PlannedRun("patchcore-near", "patchcore", {"near": 0.1}),
        PlannedRun("anomae", DEFAULT),
        PlannedRun("anomae-pixels", DEFAULT, sources=("pixels", "mirror")),
        PlannedRun("anomae-residual", DEFAULT, sources=("residual", "pixels", "mirror")),
        # Last what tells least: a curve lacks one point if the rest is all there is time for.
        *(
            _varied(f"mask-{ratio:g}", False, autoencoder__mask_ratio=ratio)
            for ratio in MASK_RATIOS[::-1]
            if ratio != 0.75
        ),
        *(PlannedRun(f"length-{length:g}", length=length) for length in LENGTHS[::-1] if length != 1.0),
    )
}

CELLS = (
    Cell("table1", "AnoVAEGAN", "anovaegan", paper={BRATS: 0.872, LUNA: 0.583}),
    Cell("table1", "f-AnoGAN (unified architecture)", "fanogan", paper={BRATS: 0.863, LUNA: 0.535}),
    Cell("table1", "f-AnoGAN (its authors' ResNet)", "fanogan-schlegl"),
    Cell("table1", "RD4AD", "rd4ad", paper={BRATS: 0.886, LUNA: 0.521}),
    Cell("table1", "AST", "ast", paper={BRATS: 0.895, LUNA: 0.619}),
    Cell("table1", "the paper's method", METHOD_RUN, paper={BRATS: 0.899, LUNA: 0.634}),
    Cell("table2a", "no classifier: MSE", METHOD_RUN, "score_mse", {BRATS: 0.614}),
    Cell("table2a", "no classifier: MAE", METHOD_RUN, "score_mae", {BRATS: 0.834}),
    Cell("table2a", "no classifier: SSIM", METHOD_RUN, "score_ssim", {BRATS: 0.877}),
    Cell("table2b", "input: L1 difference", METHOD_RUN, paper={BRATS: 0.899}),
    Cell("table2b", "input: L2 difference", "l2", paper={BRATS: 0.875}),
    Cell("table2b", "input: the reconstruction", "reconstruction", paper={BRATS: 0.821}),
    Cell("table2c", "k from 1 to 10", METHOD_RUN, paper={BRATS: 0.899}),
    Cell("table2c", "k from 5 to 10", "k-5-10", paper={BRATS: 0.889}),
    Cell("table2c", "k from 1 to 5", "k-1-5", paper={BRATS: 0.901}),
    Cell("text", "beta drawn for each pixel", "beta-per-pixel", paper={BRATS: 0.835}),
    Cell("text", "loss on all tokens, nothing pasted", "all-tokens", paper={BRATS: 0.864}),
    Cell("text", "plain autoencoder (mask ratio 0)", "autoencoder", paper={BRATS: 0.735}),
    Cell("text", "no masked autoencoder: the images", "images", paper={BRATS: 0.874}),
    Cell("fig5", "mask ratio 0", "autoencoder", paper={BRATS: 0.735}, position=0.0),
    *(
        Cell(
            "fig5",
            f"mask ratio {ratio:g}",
            METHOD_RUN if ratio == 0.75 else f"mask-{ratio:g}",
            paper={BRATS: 0.899} if ratio == 0.75 else {},
            position=ratio,
        )
        for ratio in MASK_RATIOS
    ),
    *(
        Cell(
            "fig5",
            f"{length:g} of the training",
            METHOD_RUN if length == 1.0 else f"length-{length:g}",
            paper={BRATS: 0.899} if length == 1.0 else {},
            position=length,
        )
        for length in LENGTHS
    ),
    *(
        Cell("trivial_baselines", title, name)
        for title, name in (
            ("mean image", "mean-image"),
            ("Gaussian of each pixel", "pixel-gaussian"),
            ("PCA", "pca"),
            ("convolutional autoencoder", "conv-autoencoder"),
            ("patch memory (PatchCore)", "patchcore"),
        )
    ),
    Cell("further", "denoising autoencoder (coarse noise)", "dae"),
    Cell("further", "DRAEM-like (synthetic textures)", "draem"),
    Cell("further", "patch memory, nearby positions only", "patchcore-near"),
    Cell("anomae", "as by default", "anomae"),
    Cell("anomae", "from pixels alone", "anomae-pixels"),
    Cell("anomae", "from pixels and the residual of its own masked autoencoder", "anomae-residual"),
)


def chosen_cells(only: tuple[str, ...]) -> list[Cell]:
    """The cells of these tables and figures, all where none is named; figures 2 to 4 are drawn from table cells."""
    wanted = set(only or TABLES)
    if wanted & {"fig2", "fig4"}:
        wanted.add("method only")
    found = [cell for cell in CELLS if cell.table in wanted or ("fig3" in wanted and cell.table == "table1")]
    if "method only" in wanted and not any(cell.run == METHOD_RUN for cell in found):
        found.append(next(cell for cell in CELLS if cell.table == "table1" and cell.run == METHOD_RUN))
    return found


def chosen_runs(cells: list[Cell]) -> list[PlannedRun]:
    """The runs that these cells are read from, each once; the paper's method first, since others take over from it."""
    wanted = {cell.run for cell in cells}
    if any(RUNS[name].shares_autoencoder for name in wanted):
        wanted.add(METHOD_RUN)
    return sorted((RUNS[name] for name in RUNS if name in wanted), key=lambda run: run.name != METHOD_RUN)
