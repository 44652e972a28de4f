"""Lengths in other units than mm mean the same places."""

import pytest

from anomae.errors import UnreadableScan
from anomae.volumes.read import read_volume
from anomae.volumes.units import NOT_KNOWN

FACTORS = {"": 1, "mm": 1, "cm": 0.1, "um": 1000, "m": 0.001, "Centimeters": 0.1}


def nrrd(path, units, factor=1.0, name="space units"):
    steps = [f"({factor},0,0)", f"(0,{2 * factor},0)", f"(0,0,{3 * factor})"]
    unit = f"{name}: {units}\n" if units else ""
    path.write_bytes(
        f"NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 2\n"
        f"space directions: {' '.join(steps)}\nendian: little\nencoding: raw\n{unit}"
        f"space origin: ({5 * factor},{-6 * factor},{7 * factor})\n\n".encode()
        + bytes(range(24))
    )
    return path


def mha(path, unit, factor):
    said = f"DistanceUnits = {unit}\n" if unit else ""
    path.write_bytes(
        f"NDims = 3\nBinaryData = True\n{said}Offset = {5 * factor} {-6 * factor} {7 * factor}\n"
        f"ElementSpacing = {factor} {2 * factor} {3 * factor}\nDimSize = 4 3 2\nElementType = MET_UCHAR\n"
        "ElementDataFile = LOCAL\n".encode()
        + bytes(range(24))
    )
    return path


@pytest.mark.parametrize("unit", FACTORS)
def test_the_place_is_that_in_mm(tmp_path, unit):
    factor = FACTORS[unit]
    quoted = " ".join([f'"{unit}"'] * 3) if unit else ""
    for path in (nrrd(tmp_path / "a.nrrd", quoted, factor), mha(tmp_path / "a.mha", unit, factor)):
        volume = read_volume(path)
        assert volume.grid.spacing_mm == pytest.approx((3, 2, 1))
        assert volume.grid.origin_mm == pytest.approx((5, -6, 7))
        assert volume.notes == ()


def test_a_unit_that_is_not_known_is_noted_and_several_are_refused(tmp_path):
    assert read_volume(nrrd(tmp_path / "a.nrrd", '"pixel" "pixel" "pixel"')).notes == (NOT_KNOWN,)
    assert read_volume(nrrd(tmp_path / "b.nrrd", '"" "mm" "???"')).notes == ()
    with pytest.raises(UnreadableScan, match="several units"):
        read_volume(nrrd(tmp_path / "c.nrrd", '"mm" "mm" "cm"'))
