import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cohort.audit.privacy import check_burned_in_text, check_file_names, check_privacy, name_kinds
from helpers.study import CohortParams


@pytest.fixture
def held(table):
    """A cohort of which one file still holds identifiers."""
    table["identifying_attributes"] = table["identifying_attributes"].astype("str")
    table.loc[4, "identifying_attributes"] = "OperatorsName PatientAge PatientName StudyDate StudyTime"
    return table


def test_identifiers_are_named_by_attribute_and_group(held, make_context):
    verdict = check_privacy(make_context(held))
    assert (verdict.status, verdict.found, verdict.examples) == ("warn", 1, ("S004",))
    assert "dates: StudyDate, StudyTime; person: PatientName; staff: OperatorsName." in verdict.detail
    assert "PatientAge" not in verdict.detail


def test_simulated_patients_have_no_privacy(held, make_context):
    verdict = check_privacy(make_context(held, params=CohortParams()))
    assert verdict.status == "pass"
    assert "PatientName" in verdict.detail


def test_age_and_sex_alone_identify_nobody(held, make_context):
    held.loc[4, "identifying_attributes"] = "PatientAge PatientSex"
    assert check_privacy(make_context(held)).status == "pass"


def test_long_lists_are_cut(held, make_context):
    held.loc[4, "identifying_attributes"] = " ".join(
        ["StudyDate", "StudyTime", "SeriesDate", "SeriesTime", "ContentDate", "ContentTime", "AcquisitionDate"]
    )
    assert "SeriesTime, StudyDate and 1 more" in check_privacy(make_context(held)).detail


def test_letters_in_pixels_warn(table, make_context):
    assert check_burned_in_text(make_context(table)).status == "pass"
    table["BurnedInAnnotation"] = "NO"
    table.loc[2, "BurnedInAnnotation"] = "YES"
    table.loc[5, "text_glyphs"] = 9
    verdict = check_burned_in_text(make_context(table))
    assert (verdict.status, verdict.found, verdict.examples) == ("warn", 2, ("S002", "S005"))
    assert verdict.detail.startswith(
        "Rows of letters were found in 1 image. BurnedInAnnotation says YES in 1 image. Look"
    )


def test_a_cohort_that_was_not_searched_for_letters_has_none(table, make_context):
    assert check_burned_in_text(make_context(table.drop(columns="text_glyphs"))).status == "pass"


def test_telling_file_names_are_counted_and_never_shown(table, make_context):
    table.loc[3, "source"] = "Muster_Erika/2024-01-31/1.dcm"
    table.loc[6, "source"] = "4711234/IM1"
    verdict = check_file_names(make_context(table))
    assert (verdict.status, verdict.found, verdict.examples) == ("warn", 2, ("S003", "S006"))
    assert "date in 1 path, name in 1 path, record number in 1 path" in verdict.detail
    assert not any(word in verdict.detail for word in ("Muster", "Erika", "2024", "4711234"))
    assert check_file_names(make_context(table, params=CohortParams())).status == "pass"


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("Muster_Erika/1.dcm", {"name"}),
        ("DOE^JOHN/1.dcm", {"name"}),
        ("M\u00fcller, Hans.png", {"name"}),
        ("\u00d6zt\u00fcrk_Ali.png", {"name"}),
        ("20240131_scan.png", {"date"}),
        ("a/31.01.2024/b", {"date"}),
        ("Study 1 [20190214 - 091233]/x", {"date"}),
        ("4711234/IM1", {"record number"}),
        ("MRN00471123.dcm", {"record number"}),
        ("Doe_Jane_19540312_4711234.dcm", {"name", "date", "record number"}),
    ],
)
def test_names_dates_and_numbers_are_told(path, kinds):
    assert name_kinds(path) == kinds


@pytest.mark.parametrize(
    "path",
    [
        "DICOM/SIM0001/IM0001.dcm",
        "crops/xvertseg_001_L1_crush.png",
        "PATIENT_DICOM/image_0",
        "dataset-verse19training/rawdata/sub-verse004/sub-verse004_ct.nii.gz",
        "sub-verse500_split-verse255_ct.nii.gz",
        "train_images/1.2.826.0.1.3680043.10001/12.dcm",
        "1.3.6.1.4.1.14519.5.2.1.6279.6001.298806137288633453246975630178/000001.dcm",
        "Lumbar Spine/Series 3/IM-0001-0012.dcm",
        "export.zip/inner/IM1",
        "Normal/ID_7f3a (12).jpg",
        "p000123/000000012.dcm",
        "burst fracture/Case_Report.png",
    ],
)
def test_usual_names_are_not_suspected(path):
    assert name_kinds(path) == set()


@given(st.dates())
def test_any_date_of_two_centuries_is_told(day):
    for text in (day.isoformat(), day.strftime("%Y%m%d"), day.strftime("%d.%m.%Y")):
        assert ("date" in name_kinds(f"x_{text}.dcm")) == (1900 <= day.year <= 2099)
