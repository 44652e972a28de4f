"""Units of length in the headers of formats whose library takes every number as mm."""

from dataclasses import replace

from anomae.volumes.volume import Volume

_MM = {
    **dict.fromkeys(("", "?", "???", "none", "mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometers"), 0.001),
}
NOT_KNOWN = "The unit of its lengths is not known; mm was taken."


def in_mm(volume: Volume, unit: str) -> Volume:
    """The volume with its lengths in mm, where its numbers were read as they stand in the header, in `unit`.

    No unit means mm; of one that is not known that is assumed, and noted.
    """
    factor = _MM.get(unit.strip().lower())
    if factor is None:
        return replace(volume, notes=(NOT_KNOWN, *volume.notes))
    if factor == 1.0:
        return volume
    grid = volume.grid
    z, y, x = (step * factor for step in grid.spacing_mm)
    u, v, w = (position * factor for position in grid.origin_mm)
    return replace(volume, grid=replace(grid, spacing_mm=(z, y, x), origin_mm=(u, v, w)))
