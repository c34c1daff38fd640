import numpy as np
import pandas as pd
import pytest

from helpers.cohort.truth import Truth
from helpers.error_analysis import (
    SaliencyMaps,
    describe_localisation,
    localisation_table,
    localise,
    measure_localisation,
    pick_typical,
    target_masks,
)
from helpers.error_analysis.localisation import BODY, CANAL, FRACTURE, REGIONS, Localisation, map_shares, over_others
from helpers.evaluation.bootstrap import patient_weights
from helpers.evaluation.estimates import Metric
from helpers.preprocessing import Field
from helpers.study import EvaluationParams, PreprocessingParams

NAMES = {"A": "compression", "B": "burst", "C": "normal"}
PARAMS = EvaluationParams(n_bootstrap=200)


def known_truth(labels: str, tmp_path) -> Truth:
    table = pd.DataFrame({"sample_id": [f"s{i}" for i in range(len(labels))], "label": list(labels)})
    return Truth(table.assign(PatientID=[f"p{i // 2}" for i in range(len(labels))]), tmp_path)


def saliency(maps: np.ndarray, *, targets: str, cells: np.ndarray | None = None) -> SaliencyMaps:
    """Maps whose cells are their pixels, unless others are given."""
    table = pd.DataFrame({"sample_id": [f"s{i}" for i in range(len(maps))], "target": list(targets)})
    return SaliencyMaps(table, np.zeros_like(maps), maps if cells is None else cells, maps)


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
    assert [row[name] for name in ("map_share", "area_share")] == pytest.approx([0.25] * 2)


def test_wrong_predictions_are_left_out(quadrant, tmp_path):
    maps = np.ones((3, 20, 20), dtype=np.float32)
    masks = {BODY: np.stack([quadrant] * 3)}
    found = localise(saliency(maps, targets="BAC"), masks=masks, truth=known_truth("AAC", tmp_path), spacing_mm=1.0)
    assert found["sample_id"].tolist() == ["s1", "s2"]
    assert found["row"].tolist() == [1, 2]


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


def test_chance_knows_that_peaks_lie_on_a_grid(tmp_path):
    """A mask around the middle of five cells in a row covers little of the crop, but the centre of one in 25 cells."""
    middle = np.zeros((1, 40, 40), dtype=bool)
    middle[:, 18:22, 18:22] = True
    maps = saliency(np.ones((1, 40, 40), dtype=np.float32), targets="A", cells=np.ones((1, 5, 5), dtype=np.float32))
    found = localise(maps, masks={BODY: middle}, truth=known_truth("A", tmp_path), spacing_mm=1.0)
    assert found["hit_by_chance"].item() == pytest.approx(1 / 25)
    assert found["area_share"].item() == pytest.approx(16 / 1600)


def test_the_average_peak_is_that_of_the_class(tmp_path):
    """Two maps point to the corner and one to the middle: their average points to the corner, that of others does not
    matter, and a strong map counts no more than a faint one.
    """
    cells = np.zeros((4, 5, 5), dtype=np.float32)
    cells[[0, 1], 0, 0] = 1
    cells[[2, 3], 2, 2] = 50
    middle = np.zeros((4, 40, 40), dtype=bool)
    middle[:, 18:22, 18:22] = True
    maps = saliency(np.ones((4, 40, 40), dtype=np.float32), targets="AAAB", cells=cells)
    found = localise(maps, masks={BODY: middle}, truth=known_truth("AAAB", tmp_path), spacing_mm=1.0)
    assert found["hit"].tolist() == [False, False, True, True]
    assert found["hit_by_average"].tolist() == [False, False, False, True]


def test_a_map_without_evidence_counts_for_nothing(quadrant, tmp_path):
    maps = np.zeros((2, 20, 20), dtype=np.float32)
    maps[1] = 1
    masks = {BODY: np.stack([quadrant] * 2)}
    found = localise(saliency(maps, targets="AA"), masks=masks, truth=known_truth("AA", tmp_path), spacing_mm=1.0)
    assert found["sample_id"].tolist() == ["s1"]


def test_no_maps_give_no_rows(tmp_path):
    empty = saliency(np.zeros((0, 20, 20), dtype=np.float32), targets="")
    masks = {BODY: np.zeros((0, 20, 20), dtype=bool)}
    found = localise(empty, masks=masks, truth=known_truth("", tmp_path), spacing_mm=1.0)
    assert found.empty
    measured = measure_localisation(found, maps=empty, masks=masks, class_names=NAMES, params=PARAMS)
    assert localisation_table(measured).empty
    assert "nothing can be said" in describe_localisation(measured)
    assert pick_typical(found, n=4) == []


def test_table_has_a_row_for_each_class_and_region(quadrant, tmp_path):
    maps = saliency(np.ones((6, 20, 20), dtype=np.float32), targets="AAACCC")
    broken = np.stack([quadrant] * 3 + [np.zeros_like(quadrant)] * 3)
    masks = {BODY: np.stack([quadrant] * 6), FRACTURE: broken}
    found = localise(maps, masks=masks, truth=known_truth("AAACCC", tmp_path), spacing_mm=1.0)
    measured = measure_localisation(found, maps=maps, masks=masks, class_names=NAMES, params=PARAMS)
    table = localisation_table(measured)
    assert table[["class", "region", "images", "patients"]].to_numpy().tolist() == [
        ["A compression", BODY, 3, 2],
        ["C normal", BODY, 3, 2],
        ["A compression", FRACTURE, 3, 2],
    ]
    assert table["% of the area"].tolist() == ["25.0"] * 3
    assert table["× average map"].str.startswith("1.00").all()


def measured(region: str, over_area: float, *over_average: float | None, name: str = "A compression") -> Localisation:
    ratios = [Metric(over_area, None, None, None, 9, 5), Metric(*over_average, "percentile", 9, 5)]
    share = Metric(0.2, None, None, None, 9, 5)
    return Localisation(name, region, share, 0.1, *ratios, share, 0.1, 0.1)


class TestDescribeLocalisation:
    def test_maps_like_the_average_of_their_class_explain_no_image(self):
        text = describe_localisation(
            [
                measured(BODY, 1.75, 1.01, 1.004, 1.02),
                measured(BODY, 1.95, 1.0, 0.99, 1.01, name="B burst"),
                measured(FRACTURE, 2.5, 1.0, 0.99, 1.01),
                measured(CANAL, 9.0, 9.0, 8.0, 10.0),
            ]
        )
        assert "in the vertebral body 1.75 to 1.95 times as much as an even map would" in text
        assert "in the structures that break 2.50 times" in text
        assert "1.00 to 1.01 times as much as the average map of their class" in text
        assert "explain no single image" in text
        assert "9.00" not in text

    def test_maps_that_follow_their_image_are_named(self):
        text = describe_localisation([measured(BODY, 2, 1.3, 1.1, 1.5), measured(FRACTURE, 2, 1.0, 0.9, 1.1)])
        assert text.endswith("in: A compression, vertebral body (1.30 times).")

    def test_few_patients_leave_it_open(self):
        text = describe_localisation([measured(BODY, 2, 1.3, 0.8, 1.7)])
        assert "not shown" in text
        assert "hardly" not in text

    def test_without_other_patients_there_is_nothing_to_compare_with(self):
        assert "no average map" in describe_localisation([measured(BODY, 2, np.nan, None, None)])


class TestOverOthers:
    @pytest.fixture
    def drawn(self):
        rng = np.random.default_rng(5)
        maps = rng.random((9, 6, 6)).astype(np.float32)
        return map_shares(maps), rng.random((9, 6, 6)) < 0.3, np.array(list("aabbbcdee"))

    def test_matches_the_average_of_other_patients_drawn_again(self, drawn):
        """Replicates spelled out: each drawn patient's maps against the mean of all maps of other drawn patients."""
        shares, inside, patients = drawn
        names = np.unique(patients)

        def spelled_out(weights):
            times = weights[np.searchsorted(names, patients)]
            own = expected = 0.0
            for index in range(9):
                others = times * (patients != patients[index])
                average = (shares * others[:, None, None]).sum(0) / others.sum() if others.sum() else np.nan
                own += times[index] * shares[index][inside[index]].sum()
                expected += (times[index] * average[inside[index]].sum()) if times[index] else 0.0
            return own / expected

        drawn_weights = patient_weights(5, n_replicates=200, rng=np.random.default_rng(PARAMS.seed))
        values = np.array([spelled_out(weights) for weights in drawn_weights if weights.max() < 5])
        found = over_others(shares, inside=inside, patients=patients, params=PARAMS)
        assert found.estimate == pytest.approx(spelled_out(np.ones(5)), rel=1e-5)
        assert (found.ci_low, found.ci_high) == pytest.approx(np.quantile(values, [0.025, 0.975]), rel=1e-4)

    def test_maps_of_the_class_alone_are_no_better_than_their_average(self, drawn):
        shares, inside, patients = drawn
        found = over_others(np.stack([shares[0]] * 9), inside=inside, patients=patients, params=PARAMS)
        assert found.estimate == pytest.approx(1)

    def test_one_patient_has_no_others(self, drawn):
        shares, inside, _ = drawn
        assert np.isnan(over_others(shares, inside=inside, patients=["a"] * 9, params=PARAMS).estimate)


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

    def test_the_canal_lies_behind_the_body(self, masks):
        assert list(masks) == list(REGIONS)
        for body, canal in zip(masks[BODY], masks[CANAL], strict=True):
            assert not (body & canal).any()
            if canal.any():
                assert np.nonzero(canal)[1].mean() > np.nonzero(body)[1].mean()
