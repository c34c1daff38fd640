import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.training.data import (
    Samples,
    TrainingDataError,
    balanced_draw,
    n_batches,
    nested_patients,
    scarce_validation,
    shuffled_batches,
)


def test_align_follows_the_order_of_the_images(samples):
    order = np.random.default_rng(0).permutation(len(samples.table))
    index = pd.DataFrame({"row": np.arange(len(order)), "sample_id": samples.table["sample_id"].to_numpy()[order]})
    aligned = Samples.align(samples.images[order], image_index=index, cohort=samples.table, classes=samples.classes)
    assert aligned.table["label"].tolist() == samples.table["label"].iloc[order].tolist()
    assert (aligned.targets() == samples.targets()[order]).all()


def test_align_refuses_other_samples(samples):
    index = pd.DataFrame({"row": range(36), "sample_id": [f"x{i}" for i in range(36)]})
    with pytest.raises(TrainingDataError, match="run 02_preprocessing again"):
        Samples.align(samples.images, image_index=index, cohort=samples.table, classes=samples.classes)


def test_rows_of_a_fold_are_disjoint_and_complete(samples, splits):
    rows = samples.rows_of(splits, fold=1)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(36))


def test_class_missing_from_training_is_named(samples, splits):
    without_b = splits.copy()
    labels = dict(zip(samples.table["sample_id"], samples.table["label"], strict=True))
    without_b["split"] = [
        "test" if labels[s] == "B" else p for s, p in zip(splits["sample_id"], splits["split"], strict=True)
    ]
    with pytest.raises(TrainingDataError, match="fold 0: no training sample of class B"):
        samples.rows_of(without_b, fold=0)


@pytest.mark.parametrize(("n", "sizes"), [(8, [8]), (9, [8]), (10, [8, 2]), (16, [8, 8])])
def test_batches_hold_every_row_once_but_a_lone_last_one(n, sizes):
    rows = np.arange(100, 100 + n)
    batches = list(shuffled_batches(rows, batch_size=8, generator=torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in batches] == sizes
    assert n_batches(n, batch_size=8) == len(sizes)
    seen = np.concatenate(batches)
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(rows)


def test_heights_follow_the_samples_and_are_missing_where_nobody_measured(samples):
    index = pd.DataFrame({"row": range(36), "sample_id": samples.table["sample_id"]})
    assert np.isnan(samples.heights()).all()
    cohort = samples.table.assign(anterior_ratio="0.7", posterior_ratio=[None] + [1.0] * 35)
    cohort = cohort.sample(frac=1, random_state=0)
    measured = Samples.align(samples.images, image_index=index, cohort=cohort, classes=samples.classes).heights()
    assert (measured.dtype, measured.shape) == (np.float32, (36, 3))
    np.testing.assert_allclose(measured[:, 0], 0.7)
    assert np.isnan(measured[:, 1]).all()
    assert np.isnan(measured[:, 2]).tolist() == [True] + [False] * 35


def test_memory_mapped_images_travel_as_the_path_of_their_file(samples, tmp_path):
    np.save(tmp_path / "images.npy", samples.images)
    mapped = Samples(np.load(tmp_path / "images.npy", mmap_mode="r"), samples.table, samples.classes)
    content = pickle.dumps(mapped)
    assert len(content) < samples.images.nbytes / 4
    back = pickle.loads(content)
    assert isinstance(back.images, np.memmap)
    np.testing.assert_array_equal(back.images, samples.images)
    whole = pickle.loads(pickle.dumps(samples))
    np.testing.assert_array_equal(whole.images, samples.images)


def test_a_balanced_draw_has_every_class_equally_often():
    targets = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)
    rows = np.arange(1000, 1100)
    drawn = np.concatenate(
        [balanced_draw(rows, targets=targets, generator=torch.Generator().manual_seed(seed)) for seed in range(30)]
    )
    shares = torch.from_numpy(drawn - 1000).apply_(lambda row: targets[row]).bincount() / len(drawn)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)


def test_few_validation_patients_of_a_class_are_said(samples, splits):
    warning = scarce_validation(samples.table, splits)
    assert "fewer than 20 patients" in warning
    assert "fewest in a fold: A 2, B 0, C 1" in warning  # one fold has no B
    with_b = scarce_validation(samples.table, splits[splits["fold"] == 1])
    assert "B 3, C 1" in with_b
    many = pd.DataFrame({"sample_id": range(60), "PatientID": range(60), "label": ["A", "B", "C"] * 20})
    assert not scarce_validation(many, many[["sample_id"]].assign(fold=0, split="validation"))


def test_shuffled_labels_belong_to_patients_and_keep_the_class_mix(samples):
    """Also where every patient has two images of two classes, as here."""
    tables = [samples.with_shuffled_labels(seed=seed).table for seed in range(40)]
    for shuffled in tables:
        assert (shuffled.groupby("PatientID")["label"].nunique() == 1).all()
        assert shuffled.drop(columns="label").equals(samples.table.drop(columns="label"))
    shares = pd.concat(tables)["label"].value_counts(normalize=True)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.05)


def test_shuffled_labels_of_patients_with_one_class_are_those_labels(samples):
    table = samples.table.assign(label=np.repeat(list("ABC") * 6, 2))
    shuffled = Samples(samples.images, table, samples.classes).with_shuffled_labels(seed=3).table
    assert shuffled["label"].value_counts().to_dict() == {"A": 12, "B": 12, "C": 12}
    assert not shuffled["label"].equals(table["label"])


def test_shuffled_labels_depend_on_the_seed_and_not_on_the_order_of_rows(samples):
    first, again, other = (samples.with_shuffled_labels(seed=seed).table["label"] for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
    turned = Samples(samples.images[::-1], samples.table[::-1].reset_index(drop=True), samples.classes)
    assert turned.with_shuffled_labels(seed=1).table["label"].tolist() == first.tolist()[::-1]


@pytest.fixture
def trained():
    """Training samples of 60 patients, half of class A and a quarter each of B and C."""
    patients = [f"p{number:02d}" for number in range(60) for _ in range(2)]
    return pd.DataFrame({"PatientID": patients, "label": np.repeat(list("AABC") * 15, 2)})


def test_fewer_training_patients_lie_within_more_and_have_the_class_mix(trained):
    draws = {count: nested_patients(trained, n_patients=count, fold=0) for count in (8, 20, 60)}
    assert set(draws[8]) < set(draws[20]) < set(draws[60])
    label = trained.groupby("PatientID")["label"].first()
    for count in (8, 20):
        assert len(draws[count]) == count
        shown = label[draws[count]].value_counts()
        assert [shown[key] for key in "ABC"] == pytest.approx([count / 2, count / 4, count / 4], abs=1)


def test_folds_draw_their_own_patients(trained):
    assert set(nested_patients(trained, n_patients=20, fold=0)) != set(nested_patients(trained, n_patients=20, fold=1))


def test_fewer_training_patients_change_no_other_part(samples, splits):
    some, whole = (samples.rows_of(splits, fold=0, train_patients=count) for count in (4, None))
    assert samples.table["PatientID"].iloc[some["train"]].nunique() == 4
    assert set(some["train"]) < set(whole["train"])
    for part in ("validation", "test"):
        assert (some[part] == whole[part]).all()


def test_more_training_patients_than_there_are_is_an_error(samples, splits):
    with pytest.raises(TrainingDataError, match="training.train_patients: 100, but fold 0 has"):
        samples.rows_of(splits, fold=0, train_patients=100)
