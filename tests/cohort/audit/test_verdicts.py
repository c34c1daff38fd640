from helpers.cohort.audit.verdicts import MAX_EXAMPLES, examples


def test_examples_are_few_sorted_and_named_once():
    assert examples(["b", "a", "b"]) == ("a", "b")
    assert len(examples(map(str, range(20)))) == MAX_EXAMPLES


def test_a_predefined_split_column_does_not_hide_the_fold_it_was_placed_in(table, make_context):
    context = make_context(table.assign(split="train"), n_folds=2)
    assert set(context.placed["split"]) == {"train", "validation", "test"}
    assert len(context.placed) == 2 * len(table)
