import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.cohort.reading import read_cohort
from helpers.cohort.splits.division import split_cohort
from helpers.error_analysis.label_errors import confident_classes, doubt_table, rank_labels, review_list
from helpers.study import CohortParams, SplitParams
from helpers.study.spreadsheets import without_formulas

NAMES = {"A": "compression", "B": "burst", "C": "normal"}


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 40))
def test_same_as_the_definition_read_word_by_word(seed, n_classes, n):
    rng = np.random.default_rng(seed)
    labels, probabilities = rng.integers(0, n_classes, n), rng.dirichlet(np.ones(n_classes), n)
    expected = []
    for row in probabilities:
        above = [
            (row[code], code)
            for code in set(labels.tolist())
            if row[code] >= probabilities[labels == code, code].mean()
        ]
        expected.append(max(above)[1] if above else -1)
    assert confident_classes(labels, probabilities).tolist() == expected


def ranked(wrong: tuple[int, ...] = (3, 40)) -> pd.DataFrame:
    """60 samples that the network reads well; the labels of `wrong` say A."""
    truth = np.repeat(["A", "B", "C"], 20)
    rng = np.random.default_rng(0)
    share = rng.uniform(0.7, 0.95, 60)
    p = {f"p_{key}": np.where(truth == key, share, (1 - share) / 2) for key in NAMES}
    labels = truth.copy()
    labels[list(wrong)] = np.where(truth[list(wrong)] == "A", "B", "A")
    ids = {"sample_id": [f"s{i:02d}" for i in range(60)], "PatientID": [f"p{i // 2}" for i in range(60)]}
    return pd.DataFrame({**ids, "y_true": labels, **p})


def test_flipped_labels_come_first():
    listed = rank_labels(ranked(wrong=(3, 40, 41)), classes=list(NAMES))
    assert set(listed["sample_id"].head(3)) == {"s03", "s40", "s41"}
    assert listed["is_doubtful"].any()
    assert (listed["likely"] != "").tolist() == listed["is_doubtful"].tolist()
    assert listed["p_label"].is_monotonic_increasing
    assert sorted(listed["sample_id"]) == ranked()["sample_id"].tolist()


def test_table_counts_each_label_once():
    listed = rank_labels(ranked(), classes=list(NAMES))
    table = doubt_table(listed, class_names=NAMES)
    assert table["images"].sum() == 60
    assert table["in doubt"].sum() == listed["is_doubtful"].sum() > 0
    assert (table["in doubt"] == table[["rather A", "rather B", "rather C"]].sum(axis=1)).all()


def test_no_doubt_gives_an_empty_list_and_a_class_without_samples_none_of_its_own():
    clean = ranked(wrong=())
    assert not rank_labels(clean, classes=list(NAMES))["is_doubtful"].any()
    two = rank_labels(clean[clean["y_true"] != "C"], classes=list(NAMES))
    assert (two["likely"] != "C").all()
    assert doubt_table(two, class_names=NAMES)["images"].tolist() == [20, 20, 0]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Nine pictures of nine patients with a labels table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    names = [f"image{i}.png" for i in range(9)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(tmp_path / "pictures" / name)
    labels = pd.DataFrame({"file": names, "PatientID": [f"P{i}" for i in range(9)], "label": list("ABC" * 3)})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    return CohortParams(source="images", folder="pictures", labels="labels.csv", mm_per_px=0.5)


def test_filled_in_list_replaces_labels_and_keeps_the_others(pictures, tmp_path):
    cohort = read_cohort(pictures).table
    splits = split_cohort(cohort, SplitParams(split_method="patient_holdout", test_fraction=0.34))
    suspects = cohort[cohort["label"] == "A"].iloc[:2][["sample_id"]].assign(likely=["B", ""])
    listed = review_list(suspects, cohort=cohort, splits=splits)
    assert listed["rank"].dropna().tolist() == [1, 2]
    assert listed["sample_id"].tolist()[:2] == suspects["sample_id"].tolist()
    assert sorted(listed["sample_id"]) == sorted(cohort["sample_id"])
    listed.loc[0, "reader_label"] = "C"
    without_formulas(listed).to_csv(tmp_path / "review.csv", index=False)
    update = {"labels": "review.csv", "readers": ["reader_label", "label"], "adjudication": "first"}
    again = read_cohort(pictures.model_copy(update=update)).table.set_index("sample_id")
    expected = cohort.set_index("sample_id")["label"].copy()
    expected[suspects["sample_id"].iloc[0]] = "C"
    assert again["label"].to_dict() == expected.to_dict()
