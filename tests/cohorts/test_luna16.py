import csv
import shutil

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from anomae.cohorts.luna16 import Luna16
from anomae.cohorts.luna16_candidates import Candidates, read_candidates
from anomae.cohorts.patches import AIR_HU, cut_patches
from anomae.cohorts.patient_names import doubt_of, unit_of
from anomae.errors import UnreadableScan, UserError
from anomae.phantoms.layouts import write_phantom_data_set
from anomae.volumes.read import read_volume
from anomae.volumes.volume import Grid, Volume

SHAPE = (16, 40, 44)
HEADER = "seriesuid,coordX,coordY,coordZ,class\n"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("luna")
    write_phantom_data_set(folder, "luna16", count=4, seed=2, shape=SHAPE)
    return folder


def sloped(grid, slope):
    """A volume whose value is `slope` . (world x, y, z, 1) at every voxel."""
    z, y, x = np.indices(grid.shape)
    world = np.stack([x, y, z, np.ones_like(x)], axis=-1) @ grid.affine_lps().T
    return world @ slope


signs = st.sampled_from([-1.0, 1.0])
mm = st.floats(-8, 8)


@settings(max_examples=60)
@given(signs, signs, signs, st.tuples(mm, mm, mm), st.integers(1, 9), st.floats(0.3, 2.5))
def test_a_patch_shows_what_is_there_in_the_world(flip_x, flip_y, flip_z, place, side, spacing):
    """On a volume linear in the world a patch is linear in the world, whichever way the volume is stored."""
    direction = (flip_x, 0.0, 0.0, 0.0, flip_y, 0.0, 0.0, 0.0, flip_z)
    half = np.array([0.7 * 39.5, 0.8 * 39.5, 1.5 * 7.5]) * (flip_x, flip_y, flip_z)
    grid = Grid((16, 80, 80), (1.5, 0.8, 0.7), tuple(-half), direction)
    slope = np.array([2.0, -3.0, 5.0, 7.0])
    scan = Volume(sloped(grid, slope), grid, None, "metaimage")
    patch = cut_patches(scan, np.array([place]), side, spacing)[0]
    offsets = (np.arange(side) - (side - 1) / 2) * spacing
    slices = scan.grid.affine_lps()[2, 3] + 1.5 * flip_z * np.arange(16)
    nearest = slices[np.argsort(np.abs(slices - place[2]))[:2]]
    x, y = place[0] + offsets[None, :], place[1] + offsets[:, None]
    expected = [2 * x - 3 * y + 5 * z + 7 for z in nearest]
    # Half way between two slices either will do.
    tie = np.isclose(*np.abs(nearest - place[2]), atol=1e-6)
    fits = [np.allclose(patch, each, atol=1e-3) for each in expected]
    assert fits[0] or (tie and fits[1])


def test_against_simpleitk_resampling(written):
    cohort = Luna16(written, patch_side=12, patch_spacing_mm=3.0)
    for case in cohort.cases():
        image = SimpleITK.ReadImage(str(case.source))
        for patch, place in zip(cohort.read(case).images[:, 0], places_of(written, case.case), strict=True):
            index = image.TransformPhysicalPointToContinuousIndex(place)
            z = image.TransformContinuousIndexToPhysicalPoint((0, 0, round(index[2])))[2]
            corner = (place[0] - 5.5 * 3, place[1] - 5.5 * 3, z)
            reference = SimpleITK.Resample(
                image,
                (12, 12, 1),
                SimpleITK.Transform(),
                SimpleITK.sitkLinear,
                corner,
                (3.0, 3.0, 1.0),
                (1, 0, 0, 0, 1, 0, 0, 0, 1),
                AIR_HU,
                SimpleITK.sitkFloat32,
            )
            expected = SimpleITK.GetArrayFromImage(reference)[0]
            assert (patch != AIR_HU).mean() > 0.2
            assert (
                np.isclose(patch, expected, atol=0.02).mean() > 0.99
            )  # a pixel right at the border may fall either way


def places_of(folder, scan):
    with (folder / "candidates.csv").open(newline="") as handle:
        return [
            tuple(float(line[f"coord{axis}"]) for axis in "XYZ")
            for line in csv.DictReader(handle)
            if line["seriesuid"] == scan
        ]


def test_slices_are_the_rows_of_the_table(written):
    with (written / "candidates.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    cohort = Luna16(written, patch_side=8)
    found = [(case, cohort.read(case)) for case in cohort.cases()]
    assert sorted(row for _, slices in found for row in slices.slices) == list(range(len(lines)))
    for case, slices in found:
        for row, label, z in zip(slices.slices, slices.labels, slices.positions_mm, strict=True):
            assert lines[row]["seriesuid"] == case.case
            assert int(float(lines[row]["class"])) == label
            assert float(lines[row]["coordZ"]) == z
        assert slices.images.shape[1:] == (1, 8, 8)
        assert slices.lesions is None


def test_centres_and_borders(written):
    cohort = Luna16(written, patch_side=1)
    for case in cohort.cases():
        scan = read_volume(case.source)
        to_index = np.linalg.inv(scan.grid.affine_lps())
        for value, place in zip(cohort.read(case).images[:, 0, 0, 0], places_of(written, case.case), strict=True):
            x, y, z, _ = np.rint(to_index @ (*place, 1)).astype(int)
            assert value == pytest.approx(scan.voxels[z, y, x], abs=0.5)
    wide = Luna16(written, patch_side=64, patch_spacing_mm=20.0)
    patches = wide.read(wide.cases()[0]).images[:, 0]
    assert (patches[:, [0, -1]] == AIR_HU).all()
    assert (patches[:, 24:40, 24:40] != AIR_HU).any(axis=(1, 2)).all()


def test_only_the_rows_that_are_wanted(written):
    whole, some = Luna16(written, patch_side=8), Luna16(written, patch_side=8, rows=[3, 1, 40])
    cases = some.cases()
    assert 1 <= len(cases) <= 3
    rows = np.concatenate([some.read(case).slices for case in cases])
    assert sorted(rows) == [1, 3, 40]
    for case in cases:
        few, all_ = some.read(case), whole.read(case)
        kept = np.isin(all_.slices, few.slices)
        np.testing.assert_array_equal(few.images, all_.images[kept])


def test_which_scan_a_row_is_of(written):
    cohort = Luna16(written)
    of = {int(row): case.case for case in cohort.cases() for row in cohort.read(case).slices}
    rows = np.array([5, 0, max(of), 5])
    assert cohort.scans_of(rows).tolist() == [of[row] for row in rows.tolist()]
    assert cohort.scans_of(np.array([0, max(of) + 1])).tolist() == [of[0], ""]


def test_subsets_fix_the_parts(written):
    cohort = Luna16(written, subsets="train=0-1,test=3")
    splits = {case.source.parent.name: case.split for case in cohort.cases()}
    assert splits == {"subset0": "train", "subset1": "train", "subset3": "test"}
    assert cohort.notes()[0] == "1 scans lie in subsets that were given no split"
    assert {case.split for case in Luna16(written).cases()} == {""}


def test_scans_that_are_not_there_are_told(written, tmp_path):
    (tmp_path / "subset0").symlink_to(written / "subset0")
    (tmp_path / "candidates_V2.csv").write_bytes((written / "candidates.csv").read_bytes())
    cohort = Luna16(tmp_path)
    assert len(cohort.cases()) == 1
    assert cohort.notes()[0].startswith("3 of 4 scans")


def test_candidates_off_the_scan_are_left_out_and_counted(written, tmp_path):
    (tmp_path / "subset0").symlink_to(written / "subset0")
    name = next((written / "subset0").glob("*.mhd")).stem
    off = [f"{name},{place},0\n" for place in ("0,0,9999", "0,-9999,0", "1e300,0,0")]
    (tmp_path / "candidates.csv").write_text(f"{HEADER}{''.join(off)}{name},0,0,0,1\n")
    cohort = Luna16(tmp_path)
    found = cohort.read(cohort.cases()[0])
    assert found.slices.tolist() == [3]
    assert not (found.images[0] == AIR_HU).all()
    assert found.left_out == {"candidate outside its scan": 3}
    (tmp_path / "candidates.csv").write_text(f"{HEADER}{''.join(off)}")
    with pytest.raises(UnreadableScan, match="none of its 3 candidates"):
        Luna16(tmp_path).read(cohort.cases()[0])


def test_a_scan_that_is_not_axial_is_refused():
    grid = Grid((4, 4, 4), direction=(0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    with pytest.raises(UnreadableScan, match="not stored in axial"):
        cut_patches(Volume(np.zeros((4, 4, 4)), grid, "scan.mhd", "metaimage"), np.zeros((1, 3)), 4, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b,c\n",
        *(HEADER + line for line in ("x,1,2,3", "x,1,2,3,2", "x,1,2,nan,0", "x,1,two,3,0", "x,1,2,3,\xff")),
    ],
)
def test_a_table_that_is_none_is_refused(text, tmp_path):
    (tmp_path / "candidates.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"candidates.csv"):
        Candidates.read(tmp_path / "candidates.csv")


def test_the_table_is_read_anew_when_it_changes(tmp_path):
    path = tmp_path / "candidates.csv"
    path.write_text(HEADER + "x,1,2,3,0\n")
    assert len(read_candidates(path).labels) == 1
    assert read_candidates(path) is read_candidates(path)
    path.write_text(HEADER + "x,1,2,3,0\ny,1,2,3,1\n")
    assert read_candidates(path).scans == ("x", "y")
    assert read_candidates(path).rows_of("y").tolist() == [1]
    assert read_candidates(path).rows_of("z").tolist() == []


def test_options_are_judged(written):
    for options in (
        {"patch_side": 0},
        {"patch_spacing_mm": 0.0},
        {"patch_spacing_mm": float("nan")},
        {"subsets": "all"},
    ):
        with pytest.raises(UserError):
            Luna16(written, **options)
    with pytest.raises(UserError, match=r"mine.csv does not exist"):
        Luna16(written, candidates="mine.csv").cases()


def test_a_table_of_other_scans_and_subsets_without_a_part_are_refused(written, tmp_path):
    shutil.copytree(written, tmp_path / "luna")
    table = tmp_path / "luna" / "candidates.csv"
    for lines in (HEADER, HEADER + "1.2.3,0,0,0,1\n"):
        table.write_text(lines)
        with pytest.raises(UserError, match="do not belong together"):
            Luna16(tmp_path / "luna").cases()
    with pytest.raises(UserError, match="change subsets"):
        Luna16(written, subsets="train=8,test=9").cases()


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("seriesuid;coordX;coordY;coordZ;class\n", "{0};{1};{2};{3};{4}\n"),
        ("SeriesUID\tcoordX\tcoordY\tcoordZ\tclass\n", "{0}\t{1}\t{2}\t{3}\t{4}\n"),
        ("Class,SeriesUID,coordx,coordy,coordz\n", "{4},{0},{1},{2},{3}\n"),
        ("class;series_uid;coordX;coordY;coordZ;note\n", "{4};{0};{1};{2};{3};seen\n"),
    ],
)
@pytest.mark.parametrize("comma", [False, True])
def test_a_table_in_another_spelling_is_the_same_table(header, line, comma, written, tmp_path):
    expected = Candidates.read(written / "candidates.csv")
    with (written / "candidates.csv").open(newline="") as handle:
        rows = list(csv.reader(handle))[1:]
    if comma and "," not in header:
        rows = [[row[0], *(number.replace(".", ",") for number in row[1:4]), row[4]] for row in rows]
    path = tmp_path / "candidates_V2.csv"
    path.write_text(header + "".join(line.format(*row) for row in rows))
    found = Candidates.read(path)
    assert found.scans == expected.scans
    for name in ("scan", "places_mm", "labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_tables_and_subsets_in_a_subfolder_are_found(written, tmp_path):
    expected = Luna16(written, subsets="train=0-1,test=2-9")
    shutil.copytree(written, tmp_path / "LUNA16")
    (tmp_path / "LUNA16" / "candidates.csv").rename(tmp_path / "candidates_V2.csv")
    (tmp_path / "LUNA16" / "CSVFILES").mkdir()
    (tmp_path / "candidates_V2.csv").rename(tmp_path / "LUNA16" / "CSVFILES" / "candidates_V2.csv")
    found = Luna16(tmp_path, subsets="train=0-1,test=2-9")
    told = [(case.case, case.split) for case in expected.cases()]
    assert [(case.case, case.split) for case in found.cases()] == told
    assert {split for _, split in told} == {"train", "test"}


def test_which_of_two_tables_is_read_is_said_and_unlike_ones_of_a_name_are_refused(written, tmp_path):
    shutil.copytree(written, tmp_path / "luna")
    text = (written / "candidates.csv").read_text()
    (tmp_path / "luna" / "candidates_V2.csv").write_text(text + text.splitlines()[-1] + "\n")
    cohort = Luna16(tmp_path / "luna")
    assert "the candidates are those of candidates.csv, not of candidates_V2.csv" in cohort.notes()
    (tmp_path / "luna" / "candidates.csv").unlink()
    assert not any("candidates" in note for note in Luna16(tmp_path / "luna").notes())
    (tmp_path / "luna" / "candidates_V2.csv").unlink()
    for name, more in (("a", ""), ("b", text.splitlines()[-1] + "\n")):
        (tmp_path / "luna" / name).mkdir()
        (tmp_path / "luna" / name / "candidates.csv").write_text(text + more)
    with pytest.raises(UserError, match="two tables that differ"):
        Luna16(tmp_path / "luna").cases()


def test_scans_count_as_patients_and_that_is_said(written):
    cohort = Luna16(written)
    scans = len(cohort.cases())
    prepared = {"cohort": "luna16", "patients_told": cohort.patients_told()}
    assert cohort.patients_told() == {"scans": {"scans": scans, "patients": scans}}
    assert "patients unknown: each scan counted as one; leakage cannot be excluded" in cohort.notes()
    assert (unit_of(prepared), unit_of({"cohort": "luna16"})) == ("scan", "scan")
    said = "Patients unknown: each scan counted as one; leakage cannot be excluded."
    assert (doubt_of(prepared), doubt_of({"cohort": "luna16"})) == (said, said)
