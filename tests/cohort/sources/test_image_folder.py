import pickle

import numpy as np
import pytest
from PIL import Image

from helpers.cohort.exclusions import CohortError, NotUsable, Reason
from helpers.cohort.picture import View
from helpers.cohort.reading import load_pixels, read_cohort
from helpers.cohort.sources import ImageFolder
from helpers.cohort.sources.image_folder import entry_of
from helpers.cohort.splits.division import split_cohort
from helpers.study import CohortParams, SplitParams

FOLDERS = CohortParams(
    source="images", folder="cohort", label_values={"wedge": "A"}, mm_per_px=0.5, pseudonymise=False, workers=1
)


@pytest.fixture
def write_image(folder):
    """write_image(name) writes a grey image with pixels of its own below the cohort folder."""
    rng = np.random.default_rng(4)

    def write(name):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20, 24), dtype=np.uint8)).save(path)
        return path

    return write


@pytest.mark.parametrize(
    ("file", "label", "patient", "facts"),
    [
        ("A/p1/x.png", "A", "p1", {"patient_from": "folder"}),
        ("compression/p1/axial/deep/x.png", "A", "p1", {"patient_from": "folder"}),
        ("Wedge/p1/x.png", "A", "p1", {"patient_from": "folder"}),
        ("burst/P7_L1-rotated2.png", "B", "p7", {"patient_from": "file name"}),
        ("train/c/1.png", "C", "1", {"patient_from": "file name", "split": "train"}),
        ("VAL/NORMAL/p3/1.png", "C", "p3", {"patient_from": "folder", "split": "validation"}),
        ("normal/test/p3/1.png", "C", "p3", {"patient_from": "folder", "split": "test"}),
        ("normal/testament/1.png", "C", "testament", {"patient_from": "folder"}),
    ],
)
def test_what_the_folders_say(file, label, patient, facts):
    entry = entry_of(file, params=FOLDERS)
    assert (entry.label, entry.patient, dict(entry.facts)) == (label, patient, facts)
    assert entry.view == View(file)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("x.png", Reason.MISSING_LABEL),
        ("train/x.png", Reason.MISSING_LABEL),
        ("masks/x.png", Reason.UNKNOWN_LABEL),
        ("train/masks/p1/x.png", Reason.UNKNOWN_LABEL),
        ("A/_.png", Reason.MISSING_PATIENT),
    ],
)
def test_what_they_cannot_say_has_a_reason(file, reason):
    with pytest.raises(NotUsable) as caught:
        entry_of(file, params=FOLDERS)
    assert caught.value.reason is reason


def test_class_folders_are_a_cohort(write_image, folder):
    for label in ("compression", "burst", "normal"):
        for patient in range(3):
            write_image(f"{label}/p{label[0]}{patient}/L1.png")
            write_image(f"{label}/p{label[0]}{patient}/L2.png")
    write_image("masks/p1.png")
    write_image("stray.png")
    (folder / "burst" / "notes.txt").write_text("hello")
    cohort = read_cohort(FOLDERS)
    assert cohort.table.groupby("label")["PatientID"].nunique().to_dict() == {"A": 3, "B": 3, "C": 3}
    assert len(cohort.table) == 18
    left_out = cohort.exclusions.set_index("source")["reason"].to_dict()
    assert left_out == {"masks/p1.png": "unknown_label", "stray.png": "missing_label", "burst/notes.txt": "not_image"}
    assert set(cohort.table["patient_from"]) == {"folder"}
    assert set(split_cohort(cohort.table, SplitParams(n_folds=3))["split"]) == {"train", "validation", "test"}


def test_folders_called_train_and_test_are_a_predefined_split(write_image):
    for part, numbers in (("train", range(4)), ("test", range(4, 6))):
        for label in "ABC":
            for number in numbers:
                write_image(f"{part}/{label}/{label}{number}.png")
                write_image(f"{part}/{label}/{label}{number}-rotated1.png")
    table = read_cohort(FOLDERS).table
    assert set(table["patient_from"]) == {"file name"}
    assert table.groupby("PatientID").size().eq(2).all()
    placed = split_cohort(table, SplitParams(split_method="predefined")).merge(table, on="sample_id")
    assert (placed.loc[placed["split_x"] == "test", "split_y"] == "test").all()
    assert (placed.groupby("PatientID")["split_x"].nunique() == 1).all()
    assert placed["split_x"].value_counts()["test"] == 12


def test_folders_without_classes_are_an_error(write_image):
    write_image("images/1.png")
    with pytest.raises(CohortError, match=r"no usable sample.*unknown_label 1"):
        read_cohort(FOLDERS)


def test_a_declared_window_gives_a_cohort_in_hu(write_image):
    for label in "ABC":
        write_image(f"{label}/p{label}/1.png")
    params = FOLDERS.model_copy(update={"image_window_center": 300.0, "image_window_width": 1500.0})
    cohort = read_cohort(params)
    assert set(cohort.table["bits"]) == {16}
    row = cohort.table.to_dict("records")[0]
    grey = np.asarray(Image.open(cohort.source.folder / row["source"]))
    np.testing.assert_allclose(load_pixels(row, source=cohort.source), -450 + grey / 255 * 1500, atol=1e-3)
    assert set(read_cohort(FOLDERS).table["bits"]) == {8}


def test_a_table_names_files_and_patients(write_image, write_labels):
    rows = [{"file": f"{label}.png", "PatientID": f"p{label}", "label": label} for label in "ABC"]
    for row in rows:
        write_image(row["file"])
    write_labels(rows)
    write_image("other.png")
    cohort = read_cohort(FOLDERS.model_copy(update={"labels": "labels.csv"}))
    assert set(cohort.table["PatientID"]) == {"pA", "pB", "pC"}
    assert cohort.exclusions["reason"].tolist() == ["unlabelled_file"]
    assert "patient_from" not in cohort.table


def test_a_table_without_patients_is_refused(write_image, write_labels):
    write_image("A.png")
    write_labels([{"file": "A.png", "label": "A"}])
    with pytest.raises(CohortError, match="no column 'PatientID'"):
        read_cohort(FOLDERS.model_copy(update={"labels": "labels.csv"}))


def test_the_source_travels_to_other_processes(folder, write_image):
    write_image("A/1.png")
    source = pickle.loads(pickle.dumps(ImageFolder(folder, None, params=FOLDERS)))
    assert source.read(View("A/1.png")).pixels.shape == (20, 24)
