import io

import numpy as np
import pytest
from PIL import Image

from helpers.cohort.gallery import (
    ALL,
    COLUMNS,
    FIELD_MM,
    PER_PAGE,
    PITCH_PX,
    TILE_PX,
    WINDOWS_HU,
    browse,
    field_around,
    page_png,
)
from helpers.cohort.reading import read_cohort
from helpers.cohort.splits.division import split_cohort
from helpers.study import CohortParams, SplitParams

NAMES = {"A": "compression", "B": "burst", "C": "normal"}
PARAMS = CohortParams(source="images", folder="cohort", mm_per_px=1.0, pseudonymise=False, workers=1)


@pytest.fixture
def cohort(folder):
    """Fifteen flat grey images: 5 patients of each class, grey 100 for A, 150 for B, 200 for C; two files left out."""
    for label, grey in (("A", 100), ("B", 150), ("C", 200)):
        for number in range(5):
            path = folder / label / f"p{label}{number}" / "x.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(np.full((200 + number, 220), grey, np.uint8)).save(path)
    (folder / "A" / "notes.txt").write_text("hello")
    (folder / "<b>.png").write_bytes(b"no image")
    return read_cohort(PARAMS)


@pytest.fixture
def gallery(cohort):
    return browse(cohort, splits=split_cohort(cohort.table, SplitParams(n_folds=3)), class_names=NAMES)


def page_of(gallery):
    return np.asarray(Image.open(io.BytesIO(gallery.image.value)))


def tile_centres(gallery):
    page = page_of(gallery)
    return [
        page[row + 90, column + 90]
        for row in range(0, page.shape[0], PITCH_PX[1])
        for column in range(0, page.shape[1], PITCH_PX[0])
    ]


def listed(gallery):
    return gallery.text.value.count("<li>")


def test_the_first_page_shows_the_samples_in_order(gallery, cohort):
    assert listed(gallery) == PER_PAGE == 12
    assert gallery.position.value == "page 1 of 2, 15 samples"
    grey = {"A": 100, "B": 150, "C": 200}
    assert tile_centres(gallery) == [grey[label] for label in cohort.table["label"][:12]]
    for name in cohort.table["sample_id"][:12]:
        assert name in gallery.text.value


def test_buttons_turn_the_pages_and_stop_at_the_ends(gallery):
    assert (gallery.previous.disabled, gallery.following.disabled) == (True, False)
    first = gallery.image.value
    gallery.following.click()
    assert gallery.position.value.startswith("page 2 of 2")
    assert (gallery.previous.disabled, gallery.following.disabled) == (False, True)
    assert listed(gallery) == 3
    gallery.previous.click()
    assert gallery.image.value == first


def test_a_class_is_chosen(gallery):
    gallery.following.click()
    gallery.class_key.value = "B"
    assert gallery.position.value == "page 1 of 1, 5 samples"
    assert tile_centres(gallery)[:5] == [150] * 5
    assert gallery.text.value.count("B burst") == 5


@pytest.mark.parametrize("fold", [0, 2])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_part_of_a_fold_is_chosen(gallery, cohort, fold, part):
    gallery.fold.value, gallery.split.value = fold, part
    splits = split_cohort(cohort.table, SplitParams(n_folds=3))
    expected = splits[(splits["fold"] == fold) & (splits["split"] == part)]["sample_id"]
    assert listed(gallery) == len(expected)
    assert all(name in gallery.text.value for name in expected)
    assert gallery.text.value.count(f", {part}") == len(expected)


def test_filters_that_leave_nothing_say_so(gallery, cohort):
    empty = browse(cohort, splits=None, class_names={**NAMES, "D": "other"})
    empty.class_key.value = "D"
    assert "Nothing is left" in empty.text.value
    assert empty.image.layout.display == "none"
    empty.class_key.value = ALL
    assert empty.image.layout.display is None


def test_the_window_changes_the_grey(gallery):
    gallery.class_key.value = "A"
    gallery.width.value = 100.0
    gallery.center.value = 110.0
    assert tile_centres(gallery)[0] == round((100 - 110) / 100 * 255 + 127.5)
    gallery.center.value = 200.0
    assert tile_centres(gallery)[0] == 0
    assert "grey" in gallery.center.description


def test_images_in_hu_open_in_a_bone_window(folder, cohort):
    params = PARAMS.model_copy(update={"image_window_center": 300.0, "image_window_width": 1500.0})
    gallery = browse(read_cohort(params), class_names=NAMES)
    assert "HU" in gallery.center.description
    gallery.class_key.value = "C"
    assert tile_centres(gallery)[0] == 200


def test_a_window_is_set_by_its_name(folder, cohort):
    params = PARAMS.model_copy(update={"image_window_center": 300.0, "image_window_width": 1500.0})
    gallery = browse(read_cohort(params), class_names=NAMES)
    for name, (center, width) in WINDOWS_HU.items():
        gallery.presets[name].click()
        assert (gallery.center.value, gallery.width.value) == (center, width)
    gallery.presets["soft tissue"].click()
    gallery.class_key.value = "C"
    assert tile_centres(gallery)[0] == 255  # denser than the window is wide
    assert not browse(cohort, class_names=NAMES).presets  # 8-bit values have no window


def test_what_was_left_out_is_listed_with_its_remedy(gallery):
    reasons = dict(gallery.shown.options)
    assert set(reasons) == {"samples", "not used: missing label (1)", "not used: not image (1)"}
    gallery.shown.value = "missing_label"
    assert gallery.position.value == "page 1 of 1, 1 not used"
    assert "&lt;b&gt;.png" in gallery.text.value
    assert "Fill in the label" in gallery.text.value
    assert gallery.image.layout.display == "none"
    assert gallery.class_key.disabled
    gallery.shown.value = ALL
    assert listed(gallery) == 12


def test_a_file_that_has_gone_is_told_and_the_others_are_shown(gallery, cohort):
    row = cohort.table[cohort.table["label"] == "A"].iloc[0]
    (cohort.source.folder / row["source"]).unlink()
    again = browse(cohort, class_names=NAMES)
    again.class_key.value = "A"
    assert again.text.value.count("cannot be read now") == 1
    assert tile_centres(again)[1:5] == [100] * 4


def test_each_picture_is_read_once_per_page(gallery, cohort, monkeypatch):
    read = []
    monkeypatch.setattr("helpers.cohort.gallery.load_pixels", lambda row, source: read.append(row) or np.zeros((9, 9)))
    gallery.width.value = 50.0
    gallery.center.value = 60.0
    assert not read
    gallery.following.click()
    assert len(read) == 3


def test_it_is_a_widget_in_jupyterlab_and_a_sentence_elsewhere(gallery):
    bundle = gallery._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == repr(gallery)
    assert "15 samples and 2 files or rows not used" in repr(gallery)
    assert ".png" not in repr(gallery)


def test_every_control_has_a_name_and_shows_its_choice(gallery):
    chosen = [control.label for control in (gallery.shown, gallery.class_key, gallery.fold, gallery.split)]
    assert chosen == ["samples", "all", "0", "all"]
    assert None not in (gallery.shown.index, gallery.class_key.index, gallery.fold.index, gallery.split.index)
    controls = (gallery.shown, gallery.class_key, gallery.fold, gallery.split, gallery.center, gallery.width)
    assert all(control.description for control in (*controls, gallery.previous, gallery.following))


ROW = {"center_row_px": 10.0, "center_col_px": 30.0, "row_spacing_mm": 2.0, "column_spacing_mm": 4.0}


def test_the_field_lies_around_the_centre():
    pixels = np.arange(100 * 120).reshape(100, 120)
    field = field_around(pixels, row=ROW | {"center_row_px": 40.0})
    assert field.shape == (FIELD_MM / 2 + 1, FIELD_MM / 4 + 1)
    np.testing.assert_array_equal(field, pixels[16:65, 18:43])


def test_what_lies_outside_the_image_is_black():
    field = field_around(np.full((100, 35), 7), row=ROW)
    assert np.isneginf(field[:14]).all()
    assert np.isneginf(field[:, 17:]).all()
    assert (field[14:, :17] == 7).all()
    page = np.asarray(Image.open(io.BytesIO(page_png([field], captions=["x"], window=(0.0, 10.0)))))
    assert page[10, 10] == 0
    assert page[100, 20] == 255


def test_of_three_planes_the_middle_one_is_shown():
    planes = np.stack([np.full((100, 120), value) for value in (1, 2, 3)])
    assert (field_around(planes, row=ROW | {"center_row_px": 40.0}) == 2).all()


def test_a_page_has_a_tile_for_every_sample_and_its_caption():
    field = np.full((9, 9), 5.0, np.float32)
    page = np.asarray(Image.open(io.BytesIO(page_png([field] * 5, captions=list("abcde"), window=(5.0, 10.0)))))
    assert page.shape == (2 * PITCH_PX[1], COLUMNS * PITCH_PX[0])
    assert (page[:TILE_PX, :TILE_PX] == 128).all()
    assert (page[:TILE_PX, TILE_PX : PITCH_PX[0]] == 255).all()
    assert page[TILE_PX : PITCH_PX[1], :40].min() < 128  # ink of the caption
    assert (page[PITCH_PX[1] :, 2 * PITCH_PX[0] :] == 255).all()
