import pytest

from anomae.cohorts.brats_names import has_no_segmentation, known_modality, read_case_name


@pytest.mark.parametrize(
    ("name", "patient", "year", "site"),
    [
        ("BraTS20_Training_007", "volume_7", "2020", ""),
        ("BraTS19_CBICA_AAB_1", "BRATS19_CBICA_AAB", "2019", "CBICA"),
        ("Brats18_TCIA01_180_1", "BRATS18_TCIA01_180", "2018", "TCIA01"),
        ("BraTS2021_00000", "BRATS2021_00000", "2021", ""),
        ("BraTS-GLI-00000-001", "BRATS-GLI-00000", "2023", ""),
        ("BraTS-MEN-00004-000", "BRATS-MEN-00004", "2023", ""),
    ],
)
def test_what_a_folder_tells(name, patient, year, site):
    told = read_case_name(name)
    assert (told.patient, told.year, told.site) == (patient, year, site)


@pytest.mark.parametrize("name", ["BraTS20_Validation_001", "BraTS2021", "HGG", "BraTS-GLI-00000", "x_BraTS2021_00000"])
def test_other_folders_are_no_cases(name):
    assert read_case_name(name) is None
    assert has_no_segmentation(name) == ("Validation" in name)


def test_modalities_of_all_years_are_known():
    told = {"t1n": "t1", "T1C": "t1ce", "t2w": "t2", "t2f": "flair", "t1ce": "t1ce", "flair": "flair"}
    assert {name: known_modality(name) for name in told} == told
