import json

import pandas as pd

from helpers.cohort.audit.verdicts import MAX_EXAMPLES, Verdict, counted, examples


def test_examples_are_few_sorted_and_named_once():
    assert examples(["b", "a", "b"]) == ("a", "b")
    assert len(examples(map(str, range(20)))) == MAX_EXAMPLES


def test_one_is_singular():
    assert [counted(1, plural) for plural in ("images", "studies", "series")] == ["1 image", "1 study", "1 series"]
    assert [counted(number, "studies") for number in (0, 2)] == ["0 studies", "2 studies"]


def test_a_verdict_goes_into_json():
    verdict = Verdict("warn", "All is well.", 1, "It is not.", ("S1",))
    assert json.loads(json.dumps(verdict.to_json_dict())) == {
        "status": "warn", "checked": "All is well.", "found": 1, "detail": "It is not.", "examples": ["S1"],
    }  # fmt: skip


def test_a_predefined_split_column_does_not_hide_the_fold_it_was_placed_in(table, make_context):
    context = make_context(table.assign(split="train"), n_folds=2)
    assert set(context.placed["split"]) == {"train", "validation", "test"}
    assert len(context.placed) == 2 * len(table)


def test_near_copies_are_those_of_the_table_with_other_pixels(table, make_context):
    copies = pd.DataFrame(
        {
            "sample_a": ["S000", "S001", "S002"],
            "sample_b": ["S003", "S004", "elsewhere"],
            "kind": ["near", "identical", "near"],
        }
    )
    context = make_context(table, fields={"copies": copies})
    near = context.near_copies
    assert near[["sample_a", "patient_a", "patient_b"]].to_numpy().tolist() == [["S000", "P0", "P3"]]
    groups = context.placed.dropna(subset="copy_group")
    assert set(groups["sample_id"]) == {"S000", "S003"}
    assert groups["copy_group"].nunique() == 1
