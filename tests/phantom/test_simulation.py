import hashlib
import json
from collections import Counter

import pandas as pd
import pydicom
import pytest

from helpers.phantom import PhantomSpec, plan_cohort, simulate_cohort
from helpers.phantom import simulation as simulation_module
from helpers.phantom.simulation import LABEL_COLUMNS, MARK


def fingerprints(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def tiny_spec():
    return PhantomSpec(images={"A": 1, "B": 1, "C": 1}, patients=2, seed=3)


def test_the_default_is_the_papers_class_counts():
    spec = PhantomSpec()
    assert spec.images == {"A": 279, "B": 295, "C": 124}
    assert (spec.total, spec.patients) == (698, 350)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"images": {"D": 3}}, "images: unknown class 'D'"),
        ({"images": {"A": -1}}, r"images\['A'\]: -1"),
        ({"images": {"A": 2.5}}, r"images\['A'\]: 2.5"),
        ({"images": {"A": True}}, r"images\['A'\]: True"),
        ({"patients": 0}, "patients: 0"),
        ({"patients": 699}, "patients: 699 patients need at least as many images, got 698"),
        ({"patients": 100}, "patients: 698 images need at least 175 patients"),
        ({"seed": -1}, "seed: -1"),
    ],
)
def test_impossible_specifications_are_refused_by_field(fields, message):
    with pytest.raises(ValueError, match=message):
        PhantomSpec(**fields)


def test_the_digest_follows_every_field_and_the_format(monkeypatch):
    specs = [PhantomSpec(), PhantomSpec(seed=1), PhantomSpec(patients=351), PhantomSpec(images={"A": 300, "B": 100})]
    assert len({spec.digest for spec in specs}) == 4
    assert PhantomSpec(images={"B": 295, "C": 124, "A": 279}).digest == PhantomSpec().digest
    before = PhantomSpec().digest
    monkeypatch.setattr(simulation_module, "FORMAT_VERSION", -1)
    assert PhantomSpec().digest != before


@pytest.mark.parametrize(
    ("images", "patients"),
    [
        ({"A": 279, "B": 295, "C": 124}, 350),
        ({"A": 0, "B": 0, "C": 9}, 5),
        ({"A": 1, "B": 1, "C": 1}, 1),
        ({"A": 40, "B": 0, "C": 40}, 20),
        ({"A": 5, "B": 0, "C": 0}, 5),
    ],
)
def test_a_plan_meets_the_counts_exactly(images, patients):
    tasks = plan_cohort(PhantomSpec(images=images, patients=patients, seed=5))
    assert len(tasks) == len({task.patient_id for task in tasks}) == patients
    assert all(1 <= len(task.labels) <= 4 for task in tasks)
    counts = Counter(label for task in tasks for label in task.labels)
    assert {key: counts[key] for key in "ABC"} == images


def test_patients_have_one_kind_of_fracture_and_lend_normal_levels():
    hands = [set(task.labels) for task in plan_cohort(PhantomSpec())]
    assert sum({"A", "B"} <= hand for hand in hands) <= 1
    assert sum("C" in hand and len(hand) > 1 for hand in hands) > 20
    assert sum(hand == {"C"} for hand in hands) > 10


def test_the_cohort_has_its_counts_files_and_columns(small_cohort, small_spec):
    labels, truth = (pd.read_csv(small_cohort / name) for name in ("labels.csv", "truth.csv"))
    assert tuple(labels.columns) == LABEL_COLUMNS
    assert labels["label"].value_counts().to_dict() == small_spec.images
    assert labels["PatientID"].nunique() == small_spec.patients
    assert labels["file"].tolist() == truth["file"].tolist()
    on_disk = {path.relative_to(small_cohort).as_posix() for path in (small_cohort / "DICOM").rglob("*.dcm")}
    assert on_disk == set(labels["file"])
    assert small_cohort.name == f"phantom-{small_spec.digest[:12]}"
    assert json.loads((small_cohort / MARK).read_text())["digest"] == small_spec.digest


def test_labels_agree_with_the_measured_truth(small_cohort):
    truth = pd.read_csv(small_cohort / "truth.csv", keep_default_na=False)
    by_label = dict(list(truth.groupby("label")))
    assert (by_label["C"]["height_ratio"] >= 0.84).all()
    assert (truth[truth["label"] != "C"]["height_ratio"] <= 0.80).all()
    assert by_label["B"]["canal_narrowing"].between(0.10, 0.60).all()
    assert (truth[truth["label"] != "B"]["canal_narrowing"] <= 0.08).all()
    assert set(by_label["C"]["subtype"]) == {"none"}
    assert set(by_label["B"]["ao_type"]) <= {"A3", "A4"}


def test_files_belong_to_the_patient_of_their_row(small_cohort):
    labels = pd.read_csv(small_cohort / "labels.csv")
    instances = set()
    for row in labels.itertuples():
        dataset = pydicom.dcmread(small_cohort / row.file)
        assert dataset.PatientID == row.PatientID
        assert 0 <= row.x0 < row.x1 <= dataset.Columns - 1
        assert 0 <= row.y0 < row.y1 <= dataset.Rows - 1
        instances.add(dataset.SOPInstanceUID)
    assert len(instances) == len(labels)


def test_bytes_do_not_depend_on_the_number_of_workers(small_cohort, small_spec, tmp_path):
    other = simulate_cohort(small_spec, tmp_path, workers=2)
    assert fingerprints(other) == fingerprints(small_cohort)


def test_another_seed_gives_other_images(tiny_spec, tmp_path):
    first = simulate_cohort(tiny_spec, tmp_path)
    second = simulate_cohort(PhantomSpec(images=tiny_spec.images, patients=2, seed=4), tmp_path)
    assert first != second
    a, b = (fingerprints(folder) for folder in (first, second))
    assert not set(a.values()) & set(b.values())


def test_a_complete_cohort_is_reused_untouched(tiny_spec, tmp_path):
    cohort = simulate_cohort(tiny_spec, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in cohort.rglob("*")}
    calls = []
    assert simulate_cohort(tiny_spec, tmp_path, report=lambda done, total: calls.append(done)) == cohort
    assert {path: path.stat().st_mtime_ns for path in cohort.rglob("*")} == before
    assert calls == []


@pytest.mark.parametrize("mark", [None, "", '{"digest": "other"}'], ids=["absent", "truncated", "foreign"])
def test_an_incomplete_cohort_is_rebuilt(tiny_spec, tmp_path, mark):
    cohort = simulate_cohort(tiny_spec, tmp_path)
    before = fingerprints(cohort)
    (cohort / MARK).unlink()
    if mark is not None:
        (cohort / MARK).write_text(mark)
    next(cohort.rglob("*.dcm")).write_bytes(b"half a file")
    (cohort / "stray.txt").write_text("left by an interrupted run")
    assert fingerprints(simulate_cohort(tiny_spec, tmp_path)) == before


def test_a_failed_build_leaves_nothing_behind(tiny_spec, tmp_path):
    def fail(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_cohort(tiny_spec, tmp_path, report=fail)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_up_to_all_images(tiny_spec, tmp_path):
    calls = []
    simulate_cohort(tiny_spec, tmp_path, report=lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 3)
    assert calls[-1] == (3, 3)
    assert calls == sorted(calls)


def test_workers_are_checked(tiny_spec, tmp_path):
    with pytest.raises(ValueError, match="workers: 0"):
        simulate_cohort(tiny_spec, tmp_path, workers=0)
