import pandas as pd

from helpers.cohort.audit.titles import association_table, model_table


def test_header_values_have_names_and_units_and_a_small_p_is_no_zero():
    rows = [
        {"column": "row_spacing_mm", "kind": "numeric", "n_missing": 0, "effect": 0.3, "p_holm": 2e-7, "n_values": 9},
        {"column": "PrivateTag", "kind": "text", "n_missing": 2, "effect": 0.1, "p_holm": 0.5, "n_values": 9},
    ]
    shown = association_table(pd.DataFrame(rows))
    assert shown["header value"].tolist() == ["spacing between rows (mm)", "PrivateTag"]
    assert shown["p after Holm"].tolist() == ["< 0.001", "0.500"]
    assert "n_values" not in shown


def test_models_name_what_they_see():
    shown = model_table(pd.DataFrame([{"model": "demographics", "columns": "PatientAge, PatientSex", "auroc": 0.5}]))
    assert shown["what it sees"].tolist() == ["age (years), sex"]
    assert shown["AUROC"].tolist() == [0.5]


def test_tables_without_rows_stay_without_rows():
    assert association_table(pd.DataFrame([])).empty
    assert model_table(pd.DataFrame([])).empty
