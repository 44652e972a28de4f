"""A parametric map: the detector's map in its own numbers, in the geometry of the scan."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomae.dicom_results.pixels import write_with_pixels
from anomae.dicom_results.seg import fix_dimensions, order_of_frames
from anomae.dicom_results.source import Source, add_anatomy, cite
from anomae.dicom_results.uids import Uids
from anomae.dicom_results.wording import (
    SCHEME,
    STATEMENT,
    common_arguments,
    complete,
    content_description,
    long_string,
    own_codes,
)
from anomae.extras import require
from anomae.inference.study import Study


def write_map(path: Path, study: Study, source: Source, uids: Uids, heat: npt.NDArray[np.float32]) -> None:
    """Write the map (z, y, x) to `path` as 32-bit numbers; its quantity is the detector's own, its unit none.

    Raises UserError where it is too large for DICOM.
    """
    highdicom = require("highdicom", "dicom")
    from pydicom.sr.codedict import codes

    low, top = min(float(one.min()) for one in heat), max(float(one.max()) for one in heat)
    width = max(top - min(low, 0.0), 1e-6)
    name = long_string(study.result.map_name or "anomaly map")
    mapping = highdicom.pm.RealWorldValueMapping(
        lut_label="ANOMALY_MAP",
        lut_explanation=name,
        unit=codes.UCUM.NoUnits,
        value_range=(low, max(top, low)),
        slope=1.0,
        intercept=0.0,
        quantity_definition=highdicom.sr.CodedConcept("anomaly-map", SCHEME, name),
    )
    everything = range(len(heat))
    result = highdicom.pm.ParametricMap(
        source_images=source.stand_ins(everything, one_pixel=True),
        # One pixel a frame: highdicom would hold all frames twice.
        pixel_array=np.zeros((len(heat), 1, 1), dtype=np.float32),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            highdicom.VOILUTTransformation(
                window_center=min(low, 0.0) + width / 2, window_width=width, voi_lut_function="LINEAR_EXACT"
            )
        ],
        content_label="ANOMALY_MAP",
        content_description=content_description("Map of anomaly"),
        content_qualification="RESEARCH",
        coding_schemes=own_codes(),
        **common_arguments(study, uids, "pm"),
    )
    cite(result, source)
    fix_dimensions(result, uids, "pm")
    complete(result, source, "map")
    add_anatomy(result, source)
    result.ImageComments = STATEMENT
    order = order_of_frames(result, source, everything)
    frames = (heat[index] for index in order)
    write_with_pixels(path, result, "FloatPixelData", frames, heat.shape, np.float32)
