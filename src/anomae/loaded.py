"""A fitted model in a program of yours: load it, give it a scan, read what it says, look at it.

    model = anomae.load("run")
    result = model.inspect("scan.nii.gz")
    result.scores, result.flags, result.findings
    result.map.save("map.nii.gz")
    result.show()

Prints nothing and writes nothing but what `save` is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anomae.cohorts.channel_slices import read_colour_slices
from anomae.detectors.protocol import FittedDetector
from anomae.errors import UserError
from anomae.extras import require
from anomae.inference.decision import Decision
from anomae.inference.finding import Finding
from anomae.inference.fitted import fitted_folder, learned_in_colour, load_model, prepared_facts
from anomae.inference.inspect import Model, inspect_slices, inspect_volume
from anomae.inference.study import Study
from anomae.inference.suitability import Suitability
from anomae.slices.settings import PrepareSettings
from anomae.statistics.operating_point import PATIENT_BOUND, SLICE_BOUND
from anomae.training.settings import DeviceSettings, checked_device
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid, Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE_OF_PICTURES = 16  # pixels at least; a scan of so many slices and rows has more than four columns
Scan = Volume | npt.NDArray[Any] | Path | str


def load(run: Path | str, device: DeviceSettings | str | None = None) -> "LoadedModel":
    """The fitted model of a run, or in a copy of its fitted folder alone.

    device: where it is to compute, "cpu" or "cuda", or settings that name a precision too; None: the best there is.
    Raises UserError where nothing fitted is found, or it is broken, and where there is no such device.
    """
    model = load_model(run, checked_device(device))
    return LoadedModel(model, colour=learned_in_colour(prepared_facts(fitted_folder(Path(run)))))


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A fitted detector with how its images are prepared, its thresholds, and what it was made for.

    colour: whether it learned from pictures in colour, and reads them as such.
    """

    model: Model
    colour: bool = False

    @property
    def detector(self) -> FittedDetector:
        """What scores prepared images."""
        return self.model.detector

    @property
    def preparation(self) -> PrepareSettings:
        """How the images that it learned from were prepared; new scans are prepared alike."""
        return self.model.settings

    def inspect(
        self,
        scan: Scan,
        *,
        bounds: tuple[float, float] = (SLICE_BOUND, PATIENT_BOUND),
        threshold: float | None = None,
        smoothed: bool = False,
        force: bool = False,
    ) -> "Inspection":
        """Score a scan and decide about it.

        scan: a file or a DICOM folder; a Volume; or an array of voxels (z, y, x), axial slices from the feet up, or of
        one slice (y, x), of 1 mm each; what is masked in it is not seen.  An array in colour is none.  bounds: on the
        probability that a healthy slice, and a healthy patient's scan, is flagged.  threshold: of slice scores, given
        by hand in place of both.  smoothed: judge slices by their scores smoothed over the neighbouring slices;
        `scores` stay those of each slice alone.  force: flag even a scan that the model was not made for.  Raises
        UserError (UnreadableScan is one) where it cannot be read, prepared or scored.
        """
        rules = self.model.rules(bounds, threshold, smoothed)
        if self.colour:
            if not isinstance(scan, (str, Path)):
                raise UserError("This model learned from pictures in colour: give it the path of one.")
            case = read_colour_slices(Path(scan))
            return Inspection(inspect_slices(case, self.model, rules, name=Path(scan).stem, force=force))
        volume = _volume_of(scan)
        return Inspection(
            inspect_volume(
                volume, self.model, name="scan", bounds=bounds, threshold=threshold, smoothed=smoothed, force=force
            )
        )


@dataclass(frozen=True, slots=True, repr=False)
class Inspection:
    """What a model says about one scan; `study` holds all of it.

    An entry of `scores`, `flags`, `slices` and `shares_below` is of one slice that the model could have learned from.
    """

    study: Study

    @property
    def slices(self) -> npt.NDArray[np.int64]:
        """The slice number of each score, (k,): the axial index, from the feet up."""
        return self.study.result.slices

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """(k,), higher is more anomalous."""
        return self.study.result.scores

    @property
    def other_scores(self) -> Mapping[str, npt.NDArray[np.float64]]:
        """Name -> (k,), further scores that came for free."""
        return self.study.result.other_scores

    @property
    def decision(self) -> Decision:
        """Thresholds, flags and reasons."""
        return self.study.decision

    @property
    def flags(self) -> npt.NDArray[np.bool_] | None:
        """(k,) bool, the slice is above the threshold; None where nothing is flagged, and `why` says why."""
        return self.study.decision.flags

    @property
    def flag(self) -> bool | None:
        """Whether the scan is flagged; None where none is to be, and `why` says why."""
        return self.study.decision.scan_flag

    @property
    def score(self) -> float:
        """Of the whole scan: its highest slice score, of those that were judged (`decision.scores`)."""
        return self.study.decision.scan_score

    @property
    def shares_below(self) -> npt.NDArray[np.float64] | None:
        """(k,) the share of healthy calibration slices with a lower score, 0..1; None without calibration."""
        return self.study.decision.shares_below

    @property
    def why(self) -> str:
        """By which rule the scan is flagged or not, or why there is no flag."""
        return self.study.decision.unflagged or self.study.decision.rules.scan.sentence

    @property
    def suitability(self) -> Suitability:
        """Whether the model was made for this scan."""
        return self.study.suitability

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The connected regions of the map above the threshold of findings, the highest first; () without a map."""
        return self.study.regions.findings if self.study.regions is not None else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading and preparation noticed, and what is doubted of its kind, a sentence each."""
        return self.study.result.notes

    @property
    def map(self) -> Volume | None:
        """The map in the scan's own grid, to be saved by `.map.save(path)`; None where the detector draws none."""
        heat = self.study.result.map
        if heat is None:
            return None
        case = self.study.result.case
        z, y, x = heat.shape
        grid = case.grid or Grid((z, y, x), (1.0, *case.spacing_mm))
        source = case.source or Path("scan")
        return Volume(heat, grid, source, kind="map", patient=self.study.patient, placement=case.placement)

    def show(self, slice_number: int | None = None) -> "Figure":
        """A matplotlib figure: a slice, its map with the findings outlined, and the scores along the scan.

        slice_number: which; None: the highest.  Raises UserError where that slice was not scored.
        """
        from anomae.reports.ct_windows import window_of_ct
        from anomae.reports.study_figure import study_figure

        shown = int(self.slices[int(np.argmax(self.decision.scores))]) if slice_number is None else slice_number
        at = np.flatnonzero(self.slices == shown)
        if not len(at):
            raise UserError(f"Slice {shown} was not scored; these were: {self.slices[0]} to {self.slices[-1]}.")
        result, index = self.study.result, int(self.study.result.kept[at[0]])
        heat, labels = result.axial_map, self._axial_labels()
        return study_figure(
            image=result.case.images[index].mean(axis=0),
            heat=None if heat is None else heat[index],
            heat_top=0.0 if heat is None else float(heat.max()),
            outlined=None if labels is None else labels[index] > 0,
            map_name=result.map_name,
            aspect=result.case.spacing_mm[0] / result.case.spacing_mm[1],
            slices=self.slices,
            scores=self.decision.scores,
            threshold=self.study.decision.rules.slice.threshold,
            shown=shown,
            title=str(self),
            window=window_of_ct(result.case),
        )

    def view(self) -> Any:
        """A NiiVue widget for a notebook, the map over the scan.

        Raises MissingExtra where ipyniivue is not installed, and UserError for what is no volume.
        """
        import tempfile

        if self.study.volume is None or self.map is None or self.map.grid.shape[0] < 2:
            raise UserError("Only a volume with a map can be viewed in three planes; use .show().")
        niivue = require("ipyniivue", "notebook")
        folder = tempfile.TemporaryDirectory()
        scan, heat = Path(folder.name) / "scan.nii.gz", Path(folder.name) / "map.nii.gz"
        self.study.volume.save(scan)
        self.map.save(heat)
        widget = niivue.NiiVue()
        widget.load_volumes(
            [
                {"path": str(scan), "colormap": "gray"},
                {"path": str(heat), "colormap": "inferno", "opacity": 0.5},
            ]
        )
        widget.files_of_this_view = folder  # they are read again whenever it is shown, and go with it
        return widget

    def _axial_labels(self) -> npt.NDArray[np.uint8] | None:
        from anomae.volumes.orientation import axial_view

        regions, grid = self.study.regions, self.study.result.case.grid
        if regions is None or grid is None:
            return None if regions is None else regions.labels
        return axial_view(grid).apply(regions.labels)

    def __repr__(self) -> str:
        flagged = {None: "not judged", True: "flagged", False: "not flagged"}[self.flag]
        count = len(self.findings)
        return f"{len(self.scores)} slices, highest score {self.score:.4g}: {flagged}, {count} finding(s)"


def _volume_of(scan: Scan) -> Volume:
    """Raises UserError for an array that is no scan."""
    if isinstance(scan, Volume):
        shape, spacing = np.shape(scan.voxels), scan.grid.spacing_mm
        if shape != tuple(scan.grid.shape):
            raise UserError(f"The grid of this volume has the shape {scan.grid.shape}, and its voxels {shape}.")
        if not all(0 < side < np.inf for side in spacing):
            raise UserError(f"The spacing of this volume is {spacing} mm; every side of a voxel is above 0.")
        return scan
    if isinstance(scan, (str, Path)):
        return read_volume(scan)
    try:
        voxels = np.asarray(_unmasked(scan))
    except (ValueError, TypeError, RuntimeError) as error:  # torch's and NumPy's own
        raise UserError(
            f"What is given, of the type {type(scan).__name__}, is no array of numbers ({error}); give a NumPy array."
        ) from error
    if voxels.ndim == 2:
        voxels = voxels[None]
    if voxels.ndim != 3 or voxels.dtype.kind not in "biuf" or not voxels.size:
        raise UserError(
            f"An array of shape {np.shape(scan)} and type {voxels.dtype} is no scan; give numbers (z, y, x) or (y, x)."
        )
    z, y, x = voxels.shape
    if x in (3, 4) and min(z, y) >= _SIDE_OF_PICTURES:
        raise UserError(
            f"An array of shape {voxels.shape} and type {voxels.dtype} looks like one picture in {x} colours, and this "
            "model learned from grey ones; give one colour of it, or the mean over them, as (y, x)."
        )
    return Volume(voxels, Grid((z, y, x)), Path("array"), "array")


def _unmasked(scan: Any) -> Any:
    """A masked array as one of floats, not-a-number where it is masked: what lies there is not to be seen."""
    if not np.ma.is_masked(scan):
        return scan
    return np.ma.filled(scan.astype(np.result_type(scan.dtype, np.float32)), np.nan)
