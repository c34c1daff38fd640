import numpy as np
import pandas as pd
import pytest

from helpers.cohort.truth import Truth
from helpers.error_analysis import SaliencyMaps, localisation_table, localise, pick_typical, target_masks
from helpers.error_analysis.localisation import BODY, FRACTURE, ratio_of_sums
from helpers.preprocessing import Field
from helpers.study import EvaluationParams, PreprocessingParams

NAMES = {"A": "compression", "B": "burst", "C": "normal"}
PARAMS = EvaluationParams(n_bootstrap=200)


def known_truth(labels: str, tmp_path) -> Truth:
    table = pd.DataFrame({"sample_id": [f"s{i}" for i in range(len(labels))], "label": list(labels)})
    return Truth(table.assign(PatientID=[f"p{i // 2}" for i in range(len(labels))]), tmp_path)


def saliency(maps: np.ndarray, *, targets: str) -> SaliencyMaps:
    table = pd.DataFrame({"sample_id": [f"s{i}" for i in range(len(maps))], "target": list(targets)})
    return SaliencyMaps(table, np.zeros_like(maps), maps)


@pytest.fixture
def quadrant() -> np.ndarray:
    """The upper left quarter of a crop of 20 x 20 pixels."""
    mask = np.zeros((20, 20), dtype=bool)
    mask[:10, :10] = True
    return mask


def test_shares_of_an_even_map_are_those_of_the_area(quadrant, tmp_path):
    masks = {BODY: quadrant[None], FRACTURE: np.zeros((1, 20, 20), dtype=bool)}
    even = saliency(np.ones((1, 20, 20), dtype=np.float32), targets="A")
    (row,) = localise(even, masks=masks, truth=known_truth("A", tmp_path), spacing_mm=1.0).to_dict("records")
    assert row["region"] == BODY
    assert not row["is_error"]
    assert [row[name] for name in ("map_share", "area_share", "average_share")] == pytest.approx([0.25] * 3)


def test_each_map_is_told_from_the_average_one(quadrant, tmp_path):
    maps = np.zeros((2, 20, 20), dtype=np.float32)
    maps[0][quadrant] = 0.5
    maps[1][~quadrant] = 1.0
    masks = {BODY: np.stack([quadrant, ~quadrant])}
    found = localise(saliency(maps, targets="AB"), masks=masks, truth=known_truth("AA", tmp_path), spacing_mm=1.0)
    assert found["map_share"].tolist() == pytest.approx([1, 1])
    assert found["average_share"].tolist() == pytest.approx([0.5, 0.5])
    assert found["area_share"].tolist() == pytest.approx([0.25, 0.75])
    assert found["is_error"].tolist() == [False, True]


@pytest.mark.parametrize(("column", "spacing_mm", "hit"), [(5, 1.0, True), (12, 1.0, True), (13, 1.0, False),
                                                           (15, 0.5, True), (16, 0.5, False)])  # fmt: skip
def test_a_peak_hits_up_to_three_millimetres_beside_the_mask(quadrant, column, spacing_mm, hit, tmp_path):
    maps = np.full((1, 20, 20), 0.1, dtype=np.float32)
    maps[0, 4, column] = 1
    found = localise(
        saliency(maps, targets="A"),
        masks={BODY: quadrant[None]},
        truth=known_truth("A", tmp_path),
        spacing_mm=spacing_mm,
    )
    assert found["hit"].tolist() == [hit]
    assert found["hit_area_share"].item() > 0.25


def test_a_map_without_evidence_counts_for_nothing(quadrant, tmp_path):
    maps = np.zeros((2, 20, 20), dtype=np.float32)
    maps[1] = 1
    masks = {BODY: np.stack([quadrant] * 2)}
    found = localise(saliency(maps, targets="AA"), masks=masks, truth=known_truth("AA", tmp_path), spacing_mm=1.0)
    assert found["sample_id"].tolist() == ["s1"]
    assert found["average_share"].item() == pytest.approx(0.25)


def test_no_maps_give_no_rows(tmp_path):
    empty = saliency(np.zeros((0, 20, 20), dtype=np.float32), targets="")
    masks = {BODY: np.zeros((0, 20, 20), dtype=bool)}
    found = localise(empty, masks=masks, truth=known_truth("", tmp_path), spacing_mm=1.0)
    assert found.empty
    assert localisation_table(found, class_names=NAMES, params=PARAMS).empty
    assert pick_typical(found, n=4) == []


def test_table_has_a_row_for_each_class_and_region(quadrant, tmp_path):
    maps = np.ones((4, 20, 20), dtype=np.float32)
    broken = np.stack([quadrant, quadrant, np.zeros_like(quadrant), np.zeros_like(quadrant)])
    masks = {BODY: np.stack([quadrant] * 4), FRACTURE: broken}
    found = localise(saliency(maps, targets="AACC"), masks=masks, truth=known_truth("AACC", tmp_path), spacing_mm=1.0)
    table = localisation_table(found, class_names=NAMES, params=PARAMS)
    assert table[["class", "region", "images", "patients"]].to_numpy().tolist() == [
        ["A compression", BODY, 2, 1],
        ["C normal", BODY, 2, 1],
        ["A compression", FRACTURE, 2, 1],
    ]
    assert table["× area"].tolist() == ["1.00"] * 3  # one patient has no interval


def test_ratio_draws_patients_and_not_images():
    """Images of one patient that are all alike add nothing: as wide as with one image of each patient."""
    values, patients = np.array([0.1, 0.4, 0.3, 0.9, 0.5]), np.array(list("abcde"))
    once = ratio_of_sums(values, np.ones(5), patients=patients, params=PARAMS)
    often = ratio_of_sums(np.repeat(values, 7), np.ones(35), patients=np.repeat(patients, 7), params=PARAMS)
    assert once.estimate == pytest.approx(values.mean())
    assert (often.ci_low, often.ci_high) == pytest.approx((once.ci_low, once.ci_high))
    assert once.ci_low < once.estimate < once.ci_high
    assert (often.n_samples, often.n_patients) == (35, 5)


def test_typical_maps_take_the_classes_in_turn_nearest_to_the_median():
    found = pd.DataFrame(
        {
            "sample_id": ["a1", "a2", "a3", "b1", "b2", "b3", "a2"],
            "label": [*"AAABBB", "A"],
            "region": [BODY] * 6 + [FRACTURE],
            "map_share": [0.1, 0.2, 0.9, 0.5, 0.4, 0.0, 0.2],
        }
    )
    assert pick_typical(found, n=3) == ["a2", "b2", "a1"]


class TestTargetMasks:
    @pytest.fixture
    def masks(self, simulated):
        cohort, truth = simulated
        params = PreprocessingParams(spacing_mm=0.5, image_size=192)
        rows = []
        for sample in cohort.itertuples():
            center = (sample.center_row_px, sample.center_col_px)
            field = Field(center, (sample.row_spacing_mm, sample.column_spacing_mm), 0.5, 192)
            (top, left), (height, width) = field.offset - field.scale / 2, 192 * field.scale
            rows.append((sample.sample_id, left, top, left + width, top + height))
        index = pd.DataFrame(rows, columns=["sample_id", "field_x0", "field_y0", "field_x1", "field_y1"])
        return target_masks(cohort["sample_id"], truth=truth, image_index=index, params=params, size=160)

    def test_the_body_lies_in_the_middle_of_the_crop(self, masks):
        for body in masks[BODY]:
            rows, columns = np.nonzero(body)
            assert abs(rows.mean() - 79.5) < 20
            assert abs(columns.mean() - 79.5) < 20

    def test_areas_are_those_of_the_simulator(self, masks, simulated):
        cohort, truth = simulated
        spacing = cohort["row_spacing_mm"] * cohort["column_spacing_mm"]
        for body, sample, pixel_mm2 in zip(masks[BODY], cohort["sample_id"], spacing, strict=True):
            assert body.sum() * 0.25 == pytest.approx(truth.masks(sample)["body"].sum() * pixel_mm2, rel=0.03)

    def test_only_fractures_have_a_broken_structure_which_is_part_of_the_body(self, masks, truth):
        fractured = truth.table["simulated_label"] != "C"
        assert (masks[FRACTURE].any((1, 2)) == fractured).all()
        assert not (masks[FRACTURE] & ~masks[BODY]).any()
