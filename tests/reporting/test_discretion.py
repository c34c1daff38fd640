import pytest

from helpers.reporting.discretion import discreet, discreet_code, discreet_study


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/jdoe/ct", "…/ct"),
        ("~/study/labels.csv", "…/labels.csv"),
        (r"C:\Users\jdoe\labels.csv", "…/labels.csv"),
        (r"\\server\jdoe\labels.csv", "…/labels.csv"),
        ("data/ct", "data/ct"),
        ("../shared/ct", "../shared/ct"),
        (None, None),
    ],
)
def test_absolute_paths_lose_their_folders(path, shown):
    assert discreet("folder", path) == discreet("labels", path) == shown


def test_readers_are_numbered():
    assert discreet("readers", ["Dr. Weber", "Dr. Koch"]) == ["reader_1", "reader_2"]
    assert discreet("seeds", [1, 2]) == [1, 2]


def test_external_cohorts_are_treated_alike():
    study = {
        "cohort": {"readers": ["Dr. Koch"], "folder": "data"},
        "external": [{"name": "far", "folder": "/home/jdoe/far", "readers": ["Dr. Lang"]}],
    }
    assert discreet_study(study) == {
        "cohort": {"readers": ["reader_1"], "folder": "data"},
        "external": [{"name": "far", "folder": "…/far", "readers": ["reader_1"]}],
    }


def test_cells_keep_all_other_lines():
    source = '# Parameters\nepochs = 3\nfolder = "/home/jdoe/ct"\nreaders = [\n    "Dr. Koch",\n]\nseed = 1'
    assert discreet_code(source) == "# Parameters\nepochs = 3\nfolder = '…/ct'\nreaders = ['reader_1']\nseed = 1"
    assert discreet_code('name = "quick"') == 'name = "quick"'
