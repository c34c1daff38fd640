from helpers.runs.numbers import in_words, metrics_by_place, values_by_place

METRIC = {"estimate": 0.5, "ci_low": None}
DOCUMENT = {"overall": {"accuracy": METRIC}, "rows": [[METRIC]], "paper": {"size": METRIC}, "cohort": {"n": 3}}


def test_metrics_are_found_in_mappings_and_lists_but_not_those_of_the_published_study():
    assert metrics_by_place(DOCUMENT) == {("overall", "accuracy"): METRIC, ("rows", "0", "0"): METRIC}


def test_values_are_all_leaves():
    values = values_by_place(DOCUMENT)
    assert len(values) == 7
    assert values["cohort", "n"] == 3
    assert values["rows", "0", "0", "ci_low"] is None


def test_a_place_in_words():
    assert in_words(("per_class", "A", "ppv")) == "per_class.A.ppv"
