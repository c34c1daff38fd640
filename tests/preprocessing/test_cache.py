import numpy as np
import pytest
from PIL import Image

from helpers.cohort import CohortError, load_pixels
from helpers.cohort.sources import ImageFolder
from helpers.preprocessing.cache import cache_images, cache_summary, matches_index
from helpers.preprocessing.geometry import Field, cut_field
from helpers.study import PreprocessingParams
from helpers.study.schemas import IMAGE_INDEX

PARAMS = PreprocessingParams(spacing_mm=1.0, image_size=32)


def test_rows_of_the_cache_are_rows_of_the_cohort(cohort, run):
    seen = []
    report = lambda done, total: seen.append((done, total))  # noqa: E731
    index = IMAGE_INDEX.validate(cache_images(cohort.table, PARAMS, source=cohort.source, run=run, report=report))
    images = run.read_array("images")
    assert images.shape == (6, 32, 32)
    assert images.dtype == np.uint8
    assert index["sample_id"].tolist() == cohort.table["sample_id"].tolist()
    assert index["row"].tolist() == list(range(6))
    assert seen == [(done, 6) for done in range(1, 7)]
    for number, row in cohort.table.iterrows():
        center = (row["center_row_px"], row["center_col_px"])
        alone, _ = cut_field(load_pixels(row, source=cohort.source), Field(center, (1.0, 1.0), 1.0, 32))
        np.testing.assert_array_equal(images[number], alone)


def test_the_field_is_noted_in_source_pixels(cohort, run):
    index = cache_images(cohort.table, PARAMS, source=cohort.source, run=run)
    row, sample = index.iloc[0], cohort.table.iloc[0]
    # 32 pixels around the centre of the box, whose outer edges lie half a pixel beyond the outer centres.
    assert (row["field_y0"], row["field_y1"]) == (sample["center_row_px"] - 16, sample["center_row_px"] + 16)
    assert (row["field_x0"], row["field_x1"]) == (sample["center_col_px"] - 16, sample["center_col_px"] + 16)


def test_hashes_tell_a_changed_cache(cohort, run):
    index = cache_images(cohort.table, PARAMS, source=cohort.source, run=run)
    images = np.array(run.read_array("images"))
    assert matches_index(images, index)
    images[3, 5, 5] ^= 1
    assert not matches_index(images, index)


def test_two_runs_are_identical(cohort, run):
    first = cache_images(cohort.table, PARAMS, source=cohort.source, run=run)
    content = run.path("images").read_bytes()
    second = cache_images(cohort.table, PARAMS, source=cohort.source, run=run)
    assert run.path("images").read_bytes() == content
    assert first.equals(second)


def test_each_picture_is_decoded_once(cohort, run, monkeypatch):
    read, original = [], ImageFolder.read

    def counted(self, view):
        read.append(view.source)
        return original(self, view)

    monkeypatch.setattr(ImageFolder, "read", counted)
    cache_images(cohort.table, PARAMS, source=cohort.source, run=run)
    assert sorted(read) == ["0.png", "1.png", "2.png"]


def test_a_changed_image_stops_and_keeps_the_old_cache(cohort, run, tmp_path):
    cache_images(cohort.table, PARAMS, source=cohort.source, run=run)
    before = run.path("images").read_bytes()
    Image.fromarray(np.zeros((60, 80), np.uint8)).save(tmp_path / "images" / "2.png")
    with pytest.raises(CohortError, match=r"2\.png: its pixels are not those that were audited"):
        cache_images(cohort.table, PARAMS, source=cohort.source, run=run)
    assert run.path("images").read_bytes() == before
    assert [path.name for path in run.folder.glob(".*")] == []


def test_units_are_never_mixed(cohort, run):
    table = cohort.table.assign(bits=[8, 8, 8, 16, 8, 8])
    with pytest.raises(ValueError, match=r"\[8, 16\] bits"):
        cache_images(table, PARAMS, source=cohort.source, run=run)


def test_hu_are_cached_as_hu(cohort, run, monkeypatch):
    monkeypatch.setattr("helpers.preprocessing.cache.load_pixels", lambda row, source: np.full((60, 80), -990.4, "f4"))
    cache_images(cohort.table.assign(bits=16), PARAMS, source=cohort.source, run=run)
    images = run.read_array("images")
    assert images.dtype == np.int16
    assert set(np.unique(images)) <= {-1024, -990}


def test_summary_tells_scale_and_padding(cohort, run):
    index = cache_images(cohort.table, PARAMS, source=cohort.source, run=run)
    summary = cache_summary(run.read_array("images"), cohort=cohort.table, index=index, params=PARAMS)
    told = dict(zip(summary["property"], summary["value"], strict=True))
    assert told["side of the square"] == "32 mm at 1 mm per pixel"
    assert told["values"].startswith("uint8, 8-bit grey values")
    assert told["squares with padding"] == "0"
