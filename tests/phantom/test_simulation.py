import fcntl
import hashlib
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pydicom
import pytest

from helpers.phantom import Correlation, PhantomSpec, plan_cohort, simulate_cohort
from helpers.phantom import simulation as simulation_module
from helpers.phantom.anatomy import LEVEL_NORMS
from helpers.phantom.segmentation import read_masks_png
from helpers.phantom.simulation import LABELS, LOCK, MARK, TRUTH, simulate_patient
from helpers.phantom.truth import STRUCTURES

RATIOS = ("anterior_ratio", "middle_ratio", "posterior_ratio")
LABEL_COLUMNS = ("file", "PatientID", "label", "level", "x0", "y0", "x1", "y1", *RATIOS)


def fingerprints(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def tables(small_cohort):
    """Labels and truth, whose rows belong together."""
    return pd.read_csv(small_cohort / LABELS), pd.read_parquet(small_cohort / TRUTH)


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
        ({"orientation": "oblique"}, "orientation: 'oblique'"),
        ({"levels": ("T12", "L1", "L2")}, "levels: .*at least 4"),
        ({"levels": ("L1", "L1", "L1", "L1")}, "levels: .*at least 4"),
        ({"levels": ("T8", "T12", "L1", "L2")}, "levels: .*'T8'"),
    ],
)
def test_impossible_specifications_are_refused_by_field(fields, message):
    with pytest.raises(ValueError, match=message):
        PhantomSpec(**fields)


def test_the_digest_follows_every_field_and_the_format(monkeypatch):
    specs = [PhantomSpec(), PhantomSpec(seed=1), PhantomSpec(patients=351), PhantomSpec(images={"A": 300, "B": 100})]
    specs += [PhantomSpec(orientation="axial"), PhantomSpec(segmentations=True)]
    specs += [PhantomSpec(levels=("T12", "L1", "L2", "L3")), PhantomSpec(correlation=Correlation(scanner_share=0.5))]
    assert len({spec.digest for spec in specs}) == len(specs)
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


def test_the_cohort_has_its_counts_files_and_columns(small_cohort, small_spec, tables):
    labels, truth = tables
    assert tuple(labels.columns) == LABEL_COLUMNS
    assert labels["label"].value_counts().to_dict() == small_spec.images
    assert labels["PatientID"].nunique() == small_spec.patients
    for folder, column, table in (("DICOM", "file", labels), ("masks", "masks", truth)):
        on_disk = {p.relative_to(small_cohort).as_posix() for p in (small_cohort / folder).rglob("*") if p.is_file()}
        assert on_disk == set(table[column])
    assert not (small_cohort / "SEG").exists()
    assert small_cohort.name == f"phantom-{small_spec.digest[:12]}"
    mark = json.loads((small_cohort / MARK).read_text())
    assert (mark["digest"], mark["simulated"]) == (small_spec.digest, True)


def test_labels_and_truth_tell_the_same(tables):
    labels, truth = tables
    for column in ("file", "PatientID", "label", "level"):
        assert labels[column].tolist() == truth[column].tolist()
    assert np.allclose(labels[[*RATIOS]], truth[[*RATIOS]], atol=1e-4)
    assert not truth.isna().any().any()


def test_labels_agree_with_the_measured_truth(tables):
    truth = tables[1]
    ratios, narrowing = truth["height_ratio"], truth["canal_narrowing"]
    fractured, burst = truth["label"] != "C", truth["label"] == "B"
    assert (ratios[~fractured] >= 0.84).all()
    assert (ratios[fractured] <= 0.80).all()
    assert narrowing[burst].between(0.10, 0.60).all()
    assert (narrowing[~burst] <= 0.08).all()
    assert (truth["posterior_wall_broken"] == burst).all()
    assert ((truth["subtype"] == "none") == ~fractured).all()
    assert ((truth["acuteness"] == "none") == ~fractured).all()
    assert set(truth["ao_type"][burst]) <= {"A3", "A4"}
    assert set(truth["ao_type"][fractured & ~burst]) <= {"A1", "A2"}
    assert truth["posterior_ratio"][burst].mean() < truth["posterior_ratio"][fractured & ~burst].mean()


def test_the_columns_of_the_truth_follow_from_each_other(tables):
    truth = tables[1]
    heights = truth[["anterior_height_mm", "middle_height_mm", "posterior_height_mm"]].to_numpy()
    ratios = truth[[*RATIOS]].to_numpy()
    assert np.allclose(ratios.min(axis=1), truth["height_ratio"])
    assert np.allclose(truth["fragment_mm"] / truth["canal_mm"], truth["canal_narrowing"])
    # Heights over ratios is the level's normal shape: the same taper for every body of a level.
    normal = heights / ratios
    for level, rows in truth.groupby("level").groups.items():
        anterior, posterior = normal[rows, 0], normal[rows, 2]
        ratio = LEVEL_NORMS[level].anterior_ratio - 1
        assert np.allclose(anterior / posterior, (1 + 0.95 * ratio) / (1 + 0.05 * ratio)), level
    assert truth.groupby("PatientID")[["age_years", "sex", "station", "patient_entropy"]].nunique().max().max() == 1


def test_the_masks_of_a_row_agree_with_its_label_and_box(small_cohort, tables):
    for row, true in zip(*(table.itertuples() for table in tables), strict=True):
        masks = read_masks_png(small_cohort / true.masks)
        assert tuple(masks) == tuple(STRUCTURES)
        assert masks["fragment"].any() <= (row.label == "B")
        body = np.argwhere(masks["body"] & ~masks["fragment"])[:, ::-1]
        slack = 2.0 / true.pixel_mm + 0.5  # parts slide by up to 1.6 mm and turn a little
        assert (body.min(axis=0) >= np.array([row.x0, row.y0]) - slack).all()
        assert (body.max(axis=0) <= np.array([row.x1, row.y1]) + slack).all()


@pytest.mark.parametrize("orientation", ["sagittal", "coronal", "axial"])
def test_a_cohort_may_be_taken_in_any_plane_at_given_levels_with_segmentations(tmp_path, orientation):
    levels = ("T12", "L1", "L2", "L3")
    spec = PhantomSpec(
        images={"A": 1, "B": 1, "C": 1}, patients=1, seed=1, orientation=orientation, levels=levels, segmentations=True
    )
    cohort = simulate_cohort(spec, tmp_path, workers=1)
    truth = pd.read_parquet(cohort / TRUTH)
    assert set(truth["orientation"]) == {orientation}
    assert set(truth["level"]) <= set(levels)
    assert len(list((cohort / "SEG").rglob("*.dcm"))) == 3


def test_the_association_moves_patients_between_scanners_and_leaves_their_anatomy(tiny_spec):
    bound = replace(tiny_spec, correlation=Correlation(scanner_by_class=1.0))
    pairs = [[simulate_patient(task)[0] for task in plan_cohort(spec)] for spec in (tiny_spec, bound)]
    for free, tied in zip(*pairs, strict=True):
        assert (free.age, free.sex, free.tissue) == (tied.age, tied.sex, tied.tissue)
        for level, vertebra in free.spine.vertebrae.items():
            assert vertebra.frame == tied.spine.at(level).frame


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


@pytest.mark.parametrize("workers", [1, 2])
def test_bytes_follow_from_the_seed_and_not_from_the_number_of_workers(small_cohort, small_spec, tmp_path, workers):
    other = simulate_cohort(small_spec, tmp_path, workers=workers)
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


def test_what_a_killed_process_left_is_removed_and_what_another_builds_is_not(tiny_spec, tmp_path):
    abandoned, kept = (tmp_path / f".phantom-{'0' * 12}-{end}" for end in ("dead", "busy"))
    for site in (abandoned, kept):
        (site / "DICOM").mkdir(parents=True)
        (site / LOCK).touch()
    with (kept / LOCK).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        cohort = simulate_cohort(tiny_spec, tmp_path)
    assert sorted(tmp_path.iterdir()) == [kept, cohort]


def test_a_site_is_held_while_it_is_built(tiny_spec, tmp_path):
    def look(done, total):
        if done:
            (site,) = tmp_path.glob(".phantom-*")
            with (site / LOCK).open() as stream, pytest.raises(BlockingIOError):
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)

    cohort = simulate_cohort(tiny_spec, tmp_path, report=look)
    assert not (cohort / LOCK).exists()


def test_progress_counts_up_to_all_images(tiny_spec, tmp_path):
    calls = []
    simulate_cohort(tiny_spec, tmp_path, report=lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, 3)
    assert calls[-1] == (3, 3)
    assert calls == sorted(calls)


def test_workers_are_checked(tiny_spec, tmp_path):
    with pytest.raises(ValueError, match="workers: 0"):
        simulate_cohort(tiny_spec, tmp_path, workers=0)
