import pytest

from anomae.cohorts.case import ABNORMAL, HEALTHY
from anomae.cohorts.covid_radiography import CovidRadiography
from anomae.cohorts.picture_set import UNKNOWN_PATIENTS
from anomae.errors import UserError
from anomae.phantoms.layouts import write_phantom_data_set


@pytest.fixture
def written(tmp_path):
    write_phantom_data_set(tmp_path / "COVID-19_Radiography_Dataset", "covid-radiography", count=4, shape=(12, 20, 18))
    return tmp_path


def test_masks_of_lungs_are_neither_lesion_masks_nor_pictures_nor_patients(written):
    opened = CovidRadiography(written)
    cases = opened.cases()
    assert {case.label for case in cases} == {HEALTHY, ABNORMAL}
    for case in cases:
        assert case.lesion is None
        assert case.source.parent.name == "images"
        assert case.label == (HEALTHY if "Normal" in case.case else ABNORMAL)
        assert opened.read(case).lesions is None
    assert len({case.patient for case in cases}) == len(cases)
    assert f"{len(cases)} masks show the lungs, not lesions, and are not read" in opened.notes()
    assert UNKNOWN_PATIENTS in opened.notes()


def test_which_class_is_healthy_is_a_setting(written):
    turned = CovidRadiography(written, healthy="covid")
    assert all((case.label == HEALTHY) == ("/COVID/" in case.case) for case in turned.cases())
    with pytest.raises(UserError, match=r"no class folder well.*There are: COVID-19_Radiography_Dataset\."):
        CovidRadiography(written, healthy="well").cases()
    with pytest.raises(UserError, match="one kind only"):
        CovidRadiography(written, healthy="covid,normal").cases()
    for misspelt in ("Normal,Covid-19", "Covid-19,Normal"):
        with pytest.raises(UserError, match=r"names 'covid-19', .*holds no such .*There are: COVID, .*Normal"):
            CovidRadiography(written, healthy=misspelt).cases()
    for empty in ("", " , "):
        with pytest.raises(UserError, match="write the names of the healthy class folders"):
            CovidRadiography(written, healthy=empty)


def test_patients_can_be_told_by_a_pattern(written):
    assert len({case.patient for case in CovidRadiography(written, patient_pattern=r"images/\w+-(\d)\d+").cases()}) == 4
    with pytest.raises(UserError, match="0 groups; one is needed"):
        CovidRadiography(written, patient_pattern=r"\d")
    with pytest.raises(UserError, match="does not match"):
        CovidRadiography(written, patient_pattern=r"x(\d)").cases()
