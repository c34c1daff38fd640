import numpy as np
import pandas as pd
import pytest
import torch

from helpers.training.data import Samples, TrainingDataError, n_batches, training_batches


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
def test_batches_hold_every_row_once_but_a_lone_last_one(samples, transform, n, sizes):
    rows = np.arange(n)
    batches = list(
        training_batches(samples, rows, transform=transform, batch_size=8, generator=torch.Generator().manual_seed(0))
    )
    assert [len(batch.targets) for batch in batches] == sizes
    assert n_batches(n, batch_size=8) == len(sizes)
    seen = torch.cat([batch.targets for batch in batches]).bincount()
    if sum(sizes) == n:
        assert seen.tolist() == np.bincount(samples.targets()[rows]).tolist()


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
