import hashlib
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cohort.splits.division import METHODS, WAYS_OUT, SplitError, draw_patients, split_cohort
from helpers.study import SplitParams
from helpers.study.schemas import SPLIT


def make_cohort(patients):
    """Samples from a list of (class, class, ...) per patient."""
    rows = [(f"P{number}", label) for number, labels in enumerate(patients) for label in labels]
    table = pd.DataFrame(rows, columns=["PatientID", "label"])
    rng = np.random.default_rng(0)
    return table.assign(sample_id=[f"S{value:04d}" for value in rng.permutation(len(table))])


def named(samples):
    return samples.rename(columns={"PatientID": "unit"})


@st.composite
def cohorts(draw):
    """At least six patients of each class, and some who show several."""
    labels = st.lists(st.sampled_from("ABC"), min_size=1, max_size=4)
    pure = [[label] * draw(st.integers(1, 3)) for label in "ABC" for _ in range(draw(st.integers(6, 9)))]
    return make_cohort(pure + draw(st.lists(labels, max_size=8)))


@settings(deadline=None, max_examples=40)
@given(table=cohorts(), n_folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_kfold_keeps_patients_together_and_tests_each_sample_once(table, n_folds, seed):
    splits = SPLIT.validate(split_cohort(table, SplitParams(n_folds=n_folds, split_seed=seed)))
    placed = splits.merge(table, on="sample_id")
    assert len(placed) == len(table) * n_folds
    assert (placed.groupby(["fold", "PatientID"])["split"].nunique() == 1).all()
    tested = placed[placed["split"] == "test"]
    assert sorted(tested["sample_id"]) == sorted(table["sample_id"])
    trained = placed[placed["split"] == "train"].groupby("fold")["label"].nunique()
    assert (trained == 3).all()
    assert (placed[placed["split"] == "validation"].groupby("fold").size() > 0).sum() == n_folds


@settings(deadline=None, max_examples=15)
@given(table=cohorts(), method=st.sampled_from(["patient_kfold", "image_holdout", "image_kfold"]), order=st.randoms())
def test_the_order_of_rows_does_not_matter(table, method, order):
    params = SplitParams(split_method=method, n_folds=3, test_images=6)
    rows = list(range(len(table)))
    order.shuffle(rows)
    pd.testing.assert_frame_equal(split_cohort(table, params), split_cohort(table.iloc[rows], params))


def test_another_seed_gives_other_folds():
    table = make_cohort([[label] for label in "ABC" * 20])
    first, second = (split_cohort(table, SplitParams(split_seed=seed)) for seed in (0, 1))
    assert not first.equals(second)


def test_folds_and_validation_are_stratified():
    table = make_cohort([[label] for label in "A" * 40 + "B" * 80])
    placed = split_cohort(table, SplitParams(n_folds=5, validation_fraction=0.25)).merge(table, on="sample_id")
    counts = placed.groupby(["fold", "split", "label"]).size().unstack(["split", "label"])
    assert (counts["test"].to_numpy() == [8, 16]).all()
    assert (counts["validation"].to_numpy() == [8, 16]).all()


def test_validation_takes_the_share_that_was_asked_for():
    samples = make_cohort([["A"]] * 7 + [["B"]] * 7 + [["A", "B"]] * 7)
    chosen = draw_patients(named(samples), fraction=0.15, rng=np.random.default_rng(0))
    assert len(chosen) == len(set(chosen)) == 3  # 0.15 of 21 patients
    shown = samples[samples["PatientID"].isin(chosen)].groupby("PatientID")["label"].agg(lambda x: "".join(sorted(x)))
    assert sorted(shown) == ["A", "AB", "B"]


def test_a_kind_of_patient_is_never_used_up():
    samples = make_cohort([["A"]] * 3 + [["B"]] + [["C"]])
    for seed in range(20):
        chosen = draw_patients(
            samples.assign(unit=samples["PatientID"]), fraction=0.49, rng=np.random.default_rng(seed)
        )
        assert set(samples.loc[samples["PatientID"].isin(chosen), "label"]) == {"A"}


def test_patients_who_cannot_be_spared_are_an_error():
    samples = named(make_cohort([["A"], ["B"]]))
    with pytest.raises(SplitError, match="too few to set any apart"):
        draw_patients(samples, fraction=0.2, rng=np.random.default_rng(0))


def test_too_few_patients_name_the_class_and_the_way_out():
    table = make_cohort([["A"]] * 9 + [["B", "B", "B", "B", "B"]] * 2)
    with pytest.raises(
        SplitError, match=r"class B has 2 patients, too few for 5 folds; lower splits.n_folds.*A 9, B 2"
    ):
        split_cohort(table, SplitParams())


def test_the_papers_holdout_has_its_sizes():
    table = make_cohort([[label] for label, count in (("A", 279), ("B", 295), ("C", 124)) for _ in range(count)])
    placed = split_cohort(table, SplitParams(split_method="image_holdout")).merge(table, on="sample_id")
    assert set(placed["fold"]) == {0}
    sizes = placed["split"].value_counts()
    assert sizes["test"] == 110
    assert sizes["train"] + sizes["validation"] == 588
    tested = placed[placed["split"] == "test"]["label"].value_counts()
    assert tested.to_dict() == pytest.approx({"A": 110 * 279 / 698, "B": 110 * 295 / 698, "C": 110 * 124 / 698}, abs=1)


@pytest.mark.parametrize("test_images", [2, 25])
def test_a_holdout_of_impossible_size_says_what_is_possible(test_images):
    table = make_cohort([[label] for label in "ABC" * 10])
    with pytest.raises(SplitError, match="between 3 and 24"):
        split_cohort(table, SplitParams(split_method="image_holdout", test_images=test_images))


@settings(deadline=None, max_examples=15)
@given(table=cohorts(), n_folds=st.integers(2, 3))
def test_k_fold_by_image_tests_every_image_once_and_keeps_the_class_mix(table, n_folds):
    params = SplitParams(split_method="image_kfold", n_folds=n_folds)
    placed = split_cohort(table, params).merge(table, on="sample_id")
    tested = placed[placed["split"] == "test"]
    assert sorted(tested["sample_id"]) == sorted(table["sample_id"])
    counts = tested.groupby("label")["fold"].value_counts().unstack(fill_value=0)
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1
    assert (placed.groupby(["fold", "split"]).size().unstack() > 0).all(axis=None)


def test_k_fold_by_image_does_not_keep_patients_together():
    placed = split_cohort(known_cohort(), SplitParams(split_method="image_kfold")).merge(known_cohort(), on="sample_id")
    assert (placed.groupby(["fold", "PatientID"])["split"].nunique() > 1).any()


def test_k_fold_by_image_needs_two_images_of_each_class_and_fold():
    table = make_cohort([["A"]] * 20 + [["B"]] * 5)
    with pytest.raises(SplitError, match="class B has 5 images, too few for 3 folds"):
        split_cohort(table, SplitParams(split_method="image_kfold", n_folds=3))


def test_a_holdout_needs_three_images_of_each_class():
    table = make_cohort([["A"]] * 20 + [["B"]] * 2)
    with pytest.raises(SplitError, match="class B has 2 images"):
        split_cohort(table, SplitParams(split_method="image_holdout", test_images=5))


def known_cohort(seed=7, size=500):
    """Samples of 150 patients, some of whom show several classes."""
    rng = np.random.default_rng(seed)
    patients = [f"P{number:03d}" for number in rng.integers(0, 150, size)]
    labels = rng.choice(list("ABC"), size, p=[0.4, 0.4, 0.2])
    names = [f"S{number:04d}" for number in range(size)]
    return pd.DataFrame({"sample_id": names, "PatientID": patients, "label": labels})


@pytest.mark.parametrize(
    ("asked", "digest"),
    [
        ({}, "d0d5a41e44331796"),
        ({"n_folds": 3, "split_seed": 5, "validation_fraction": 0.3}, "34a460ed19d62964"),
        ({"split_method": "image_holdout"}, "0e1e5468668d3c4e"),
        ({"split_method": "image_holdout", "test_images": 60, "split_seed": 3}, "3566c27d6da538e4"),
    ],
)
def test_published_splits_never_change(asked, digest):
    written = split_cohort(known_cohort(), SplitParams(**asked)).to_csv(index=False).encode()
    assert hashlib.sha256(written).hexdigest()[:16] == digest


def test_every_method_of_the_parameters_is_there():
    assert set(METHODS) == set(WAYS_OUT) == set(get_args(SplitParams.model_fields["split_method"].annotation))


def test_repeats_keep_the_first_draw_and_number_on():
    table = known_cohort()
    once, thrice = (split_cohort(table, SplitParams(n_repeats=repeats)) for repeats in (1, 3))
    pd.testing.assert_frame_equal(thrice[thrice["fold"] < 5].reset_index(drop=True), once)
    assert sorted(thrice["fold"].unique()) == list(range(15))
    tested = thrice[thrice["split"] == "test"]
    assert (tested.groupby("sample_id").size() == 3).all()
    draws = {tuple(tested[tested["fold"] // 5 == repeat]["sample_id"]) for repeat in range(3)}
    assert len(draws) == 3
    neighbour = split_cohort(table, SplitParams(split_seed=1))
    again = thrice[thrice["fold"].between(5, 9)].assign(fold=lambda folds: folds["fold"] - 5).reset_index(drop=True)
    assert not again.equals(neighbour)


@settings(deadline=None, max_examples=25)
@given(table=cohorts(), fraction=st.floats(0.2, 0.5), seed=st.integers(0, 9))
def test_a_patient_holdout_divides_patients_once(table, fraction, seed):
    params = SplitParams(split_method="patient_holdout", test_fraction=fraction, split_seed=seed)
    placed = SPLIT.validate(split_cohort(table, params)).merge(table, on="sample_id")
    assert set(placed["fold"]) == {0}
    assert (placed.groupby("PatientID")["split"].nunique() == 1).all()
    assert placed.groupby("split")["label"].nunique()[["train", "test"]].eq(3).all()
    patients = placed.groupby("split")["PatientID"].nunique()
    assert patients["test"] == pytest.approx(fraction * patients.sum(), abs=1)


def test_a_holdout_too_small_for_a_class_says_so():
    table = make_cohort([["A"]] * 60 + [["B"]] * 2)
    with pytest.raises(SplitError, match=r"no patient of class B is drawn.*test_fraction 0.1 .A 60, B 2 patients."):
        split_cohort(table, SplitParams(split_method="patient_holdout", test_fraction=0.1))


BY_SITE = SplitParams(split_method="leave_one_site_out")


def site_cohort(sites="xyz"):
    return pd.concat([make_cohort([["A"], ["B"], ["C"]] * 5).assign(site=site) for site in sites]).assign(
        sample_id=lambda table: [f"S{row:03d}" for row in range(len(table))],
        PatientID=lambda table: table["PatientID"] + table["site"],
    )


def test_each_site_is_left_out_once():
    table = site_cohort("zxy")
    placed = SPLIT.validate(split_cohort(table, BY_SITE)).merge(table, on="sample_id")
    tested = placed[placed["split"] == "test"].groupby("fold")["site"].unique()
    assert [list(sites) for sites in tested] == [["x"], ["y"], ["z"]]
    assert (placed.groupby(["fold", "site"])["split"].apply(lambda split: (split == "test").nunique()) == 1).all()
    assert (placed.groupby(["fold", "PatientID"])["split"].nunique() == 1).all()


def test_any_column_can_be_the_site():
    table = site_cohort("xy").assign(KVP=lambda table: table["site"].map({"x": 120.0, "y": 80.0}))
    placed = split_cohort(table, BY_SITE.model_copy(update={"site_column": "KVP"})).merge(table, on="sample_id")
    assert placed[placed["split"] == "test"].groupby("fold")["KVP"].unique().map(list).tolist() == [[80.0], [120.0]]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.drop(columns="site"), "no sample has a value in 'site'; add it to the labels table, or"),
        (lambda table: table.assign(site=None, sites="x"), "no sample has a value in 'site'; add"),
        (lambda table: table.rename(columns={"site": "sites"}), r"nearest column: 'sites'.*splits.site_column"),
        (lambda table: table.assign(site="x"), "one value only"),
        (lambda table: table.assign(site=table["site"].where(table["sample_id"] != "S003")), "empty for 1 of 45"),
        (lambda table: table.assign(PatientID="P1" + table["label"]), "3 patients have images of several values"),
        (
            lambda table: table[(table["label"] != "C") | (table["site"] == "x")],
            r"fold 0: no image of class C .*no other site shows it",
        ),
    ],
)
def test_sites_that_cannot_be_left_out_are_an_error(spoil, message):
    with pytest.raises(SplitError, match=message):
        split_cohort(spoil(site_cohort()), BY_SITE)


@pytest.mark.parametrize("site", [None, "x"])
@pytest.mark.parametrize(
    ("columns", "offer"),
    [
        ({"Manufacturer": ["m", "n"] * 15}, ", such as Manufacturer$"),
        ({"Manufacturer": "m", "ManufacturerModelName": ["m", "n"] * 15}, ", such as ManufacturerModelName$"),
        (
            {"Manufacturer": ["m", "n"] * 15, "ManufacturerModelName": ["m", "n"] * 15},
            ", such as Manufacturer or ManufacturerModelName$",
        ),
        ({"Manufacturer": ["m", "n", None] * 10, "ManufacturerModelName": "m"}, "splits.site_column$"),
    ],
)
def test_scanners_are_offered_where_they_could_be_the_site(site, columns, offer):
    table = site_cohort("xy").assign(site=site, **columns)
    with pytest.raises(SplitError, match=offer):
        split_cohort(table, BY_SITE)


TEMPORAL = SplitParams(split_method="temporal", test_fraction=0.25, validation_fraction=0.2)


def test_nothing_that_is_trained_on_is_as_late_as_the_test():
    rng = np.random.default_rng(2)
    table = known_cohort().assign(study_day=rng.integers(0, 1000, 500).astype(float))
    placed = SPLIT.validate(split_cohort(table, TEMPORAL)).merge(table, on="sample_id")
    assert (placed.groupby("PatientID")["split"].nunique() == 1).all()
    last = placed.groupby(["split", "PatientID"])["study_day"].max()
    assert last["test"].min() > max(last["train"].max(), last["validation"].max())
    patients = placed.groupby("split")["PatientID"].nunique()
    assert patients["test"] == pytest.approx(0.25 * patients.sum(), abs=2)


def test_patients_of_one_day_stay_on_one_side():
    days = [0] * 9 + [5] * 9 + [9] * 3
    table = make_cohort([[label] for label in "ABC" * 7]).assign(study_day=np.array(days, float))
    placed = split_cohort(table, TEMPORAL.model_copy(update={"test_fraction": 0.3})).merge(table, on="sample_id")
    assert set(placed.loc[placed["split"] == "test", "study_day"]) == {9.0}  # 3 of 21 are nearer to 6.3 than 12 are


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (None, "no sample has a value in 'study_day'; give StudyDate"),
        ([np.nan] * 30, "no sample has a value in 'study_day'; give StudyDate"),
        ([3.0] * 30, "all patients were last seen on one day"),
        ([np.nan] * 4 + [1.0] * 26, "empty for 4 of 30"),
        ([9.0 if label == "C" else 1.0 for label in "ABC" * 10], "class C is left for training .*lower splits.test_f"),
    ],
)
def test_dates_that_do_not_order_patients_are_an_error(days, message):
    table = make_cohort([[label] for label in "ABC" * 10])
    with pytest.raises(SplitError, match=message):
        split_cohort(table if days is None else table.assign(study_day=days), TEMPORAL)


PREDEFINED = SplitParams(split_method="predefined")


def test_the_column_split_is_taken_at_its_word():
    table = known_cohort(size=60).assign(split=["Training", "validation public", "test secret"] * 20)
    placed = split_cohort(table, PREDEFINED)
    assert placed["split"].tolist() == ["train", "validation", "test"] * 20
    assert set(placed["fold"]) == {0}


def test_missing_validation_is_drawn_from_train_by_patient():
    table = make_cohort([[label, label] for label in "ABC" * 10])
    table["split"] = np.where(table["PatientID"].isin([f"P{n}" for n in range(6)]), "test", "train")
    placed = split_cohort(table, PREDEFINED).merge(table, on="sample_id", suffixes=("", "_given"))
    assert (placed.groupby("PatientID")["split"].nunique() == 1).all()
    assert set(placed.loc[placed["split_given"] == "test", "split"]) == {"test"}
    drawn = placed[placed["split_given"] == "train"].groupby("PatientID")["split"].first()
    assert (drawn == "validation").sum() == 4  # 0.15 of 24 patients


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (None, "no sample has a value in 'split'.*or map one with cohort.columns: {split: split_fold_0}"),
        ([None] * 30, "no sample has a value in 'split'.*or map one with cohort.columns: {split: split_fold_0}"),
        (["train", "other"] * 15, "holds 'other'; write train"),
        (["train", None] * 15, "empty for 15 of 30"),
        (["train", "val"] * 15, "no row with test"),
        (["test", "val"] * 15, "no row with train"),
        (["train" if label == "A" else "test" for label in "ABC" * 10], "class B, C is left for training"),
    ],
)
def test_a_column_split_that_says_too_little_is_an_error(split, message):
    table = make_cohort([[label] for label in "ABC" * 10])
    with pytest.raises(SplitError, match=message):
        split_cohort(table if split is None else table.assign(split=split), PREDEFINED)


def linked_cohort():
    """Thirty patients of two studies each; P0 to P2 share a study, and an image of P3 is a copy of one of P4."""
    table = make_cohort([[label, label] for label in "ABC" * 10])
    table["StudyInstanceUID"] = [f"U{row}" for row in range(len(table))]
    table.loc[table["PatientID"].isin(["P0", "P1", "P2"]), "StudyInstanceUID"] = "U0"
    first = table.groupby("PatientID")["sample_id"].first()
    return table, pd.DataFrame({"sample_a": [first["P3"]], "sample_b": [first["P4"]], "kind": ["near"]})


@pytest.mark.parametrize("method", ["patient_kfold", "patient_holdout"])
@pytest.mark.parametrize("seed", range(4))
def test_linked_patients_stay_on_one_side_where_asked(method, seed):
    table, copies = linked_cohort()
    params = SplitParams(split_method=method, merge_linked_patients=True, split_seed=seed)
    placed = split_cohort(table, params, copies=copies).merge(table, on="sample_id")
    for group in (["P0", "P1", "P2"], ["P3", "P4"]):
        assert (placed[placed["PatientID"].isin(group)].groupby("fold")["split"].nunique() == 1).all()


def test_linked_patients_are_divided_unless_asked():
    table, copies = linked_cohort()
    divided = [split_cohort(table, SplitParams(split_seed=seed), copies=copies) for seed in range(4)]
    placed = pd.concat(divided, keys=range(4)).reset_index(level=0, names="seed").merge(table, on="sample_id")
    pair = placed[placed["PatientID"].isin(["P3", "P4"])]
    assert (pair.groupby(["seed", "fold"])["split"].nunique() > 1).any()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"split_method": "image_holdout", "test_images": 9}, "divides by image .*patient_holdout"),
        ({"split_method": "image_kfold", "n_folds": 2}, "image_kfold divides by image .*patient_kfold"),
        (
            {"split_method": "predefined"},
            "divides 1 groups of linked patients; move the files of .* to one side, or take split_method patient_kfold",
        ),
        ({"n_folds": 12}, "groups of linked patients, too few for 12 folds"),
    ],
)
def test_merging_that_a_method_cannot_do_is_an_error(asked, message):
    table, copies = linked_cohort()
    table["split"] = np.where(table["PatientID"].isin(["P3", "P5", "P6", "P7"]), "test", "train")
    with pytest.raises(SplitError, match=message):
        split_cohort(table, SplitParams(merge_linked_patients=True, **asked), copies=copies)
