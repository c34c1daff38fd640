import dataclasses

import numpy as np
import pytest

from helpers.cohort import decoding
from helpers.cohort.decoding import chunked, decode, decode_all
from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.picture import View
from helpers.cohort.sources import DicomTree


@pytest.fixture
def tree(folder, write_ct, write_series, dicom_params):
    for number in range(12):
        write_ct(folder / f"{number:02}.dcm")
    (folder / "05.dcm").write_bytes(b"text")
    write_series(folder / "series")
    return DicomTree(folder, None, params=dicom_params)


VIEWS = [View(f"{number:02}.dcm") for number in range(12)] + [View("series", slice_index=index) for index in range(5)]


def plain(result):
    if isinstance(result, NotUsable):
        return result.reason, result.detail
    return {**dataclasses.asdict(result), "thumbnail": result.thumbnail.tolist()}


def test_a_picture_is_described_and_a_finding_returned(tree):
    picture = decode(tree, VIEWS[0])
    assert picture.shape == (12, 10)
    assert {picture.columns[key] for key in ("Rows", "Columns", "bits")} == {12, 10, 16}
    assert decode(tree, VIEWS[5]).reason is Reason.NOT_DICOM


def test_the_number_of_processes_does_not_change_the_results(tree, monkeypatch):
    alone = [plain(result) for result in decode_all(tree, VIEWS, workers=1)]
    assert len(alone) == len(VIEWS)
    monkeypatch.setattr(decoding, "WORTH_STARTING_S", 0.0)
    shared = [plain(result) for result in decode_all(tree, VIEWS, workers=2)]
    np.testing.assert_equal(shared, alone)


def test_few_pictures_start_no_process(tree, monkeypatch):
    monkeypatch.setattr(decoding, "share_out", lambda function, chunks, *, workers: iter([chunks] if chunks else []))
    assert len(list(decode_all(tree, VIEWS, workers=8))) == len(VIEWS)


def test_planes_of_one_volume_stay_together():
    chunks = chunked(VIEWS, most=4)
    assert [view for chunk in chunks for view in chunk] == VIEWS
    assert [len(chunk) for chunk in chunks] == [4, 4, 4, 5]
    assert {view.source for view in chunks[-1]} == {"series"}
