import pytest


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [
        ("spacing_from", "parameter", "pixel_size"),
        ("PatientOrientation", "L\\P", "orientation"),
        ("PatientOrientation", None, "orientation"),
        ("coloured_fraction", 0.01, "graphics"),
    ],
)
def test_one_doubtful_image_warns(table, statuses, column, value, name):
    table.loc[7, column] = value
    assert {key for key, status in statuses(table).items() if status != "pass"} == {name}
