import numpy as np
import pandas as pd
import pytest

from helpers.error_analysis.feature_maps import (
    MAPPED,
    describe_map,
    map_colourings,
    neighbour_map,
    pick_mapped,
    principal_map,
    trust,
)


@pytest.fixture(scope="module")
def curve() -> np.ndarray:
    """60 places along a curve that fills ten dimensions: no plane through them keeps who is near whom."""
    along = np.linspace(0, 4 * np.pi, 60)[:, None]
    return np.hstack([np.sin(along * frequency) for frequency in (0.5, 1, 1.5, 2, 2.5)] * 2)


def test_map_shows_the_widest_directions():
    rng = np.random.default_rng(0)
    features = rng.normal(0, [10, 5, 0.1], (200, 3))
    coordinates, shares = principal_map(features)
    assert abs(np.corrcoef(coordinates[:, 0], features[:, 0])[0, 1]) > 0.99
    assert shares.sum() == pytest.approx(1, abs=0.001)


def test_trust_is_whole_where_nothing_is_lost_and_lower_where_places_are_drawn_by_lot(curve):
    plane = np.random.default_rng(0).random((60, 2))
    assert trust(plane, features=plane @ [[2.0, 0.0], [0.0, 2.0]]) == 1
    assert trust(plane, features=curve) < 0.7


def test_neighbours_are_kept_better_than_by_principal_components_and_each_time_alike(curve):
    places = neighbour_map(curve)
    assert places.shape == (60, 2)
    assert trust(places, features=curve) > trust(principal_map(curve)[0], features=curve)
    np.testing.assert_array_equal(places, neighbour_map(curve))


def test_few_images_have_a_map():
    assert np.isfinite(neighbour_map(np.random.default_rng(0).random((4, 3)))).all()


def test_map_in_words_has_the_centre_and_spread_of_each_group():
    places = np.array([[0.0, 1.0], [2.0, 1.0], [5.0, -1.0], [7.0, 8.0]])
    colourings = {"class": pd.Series(["A", "A", "B", None]), "scanner": pd.Series([None] * 4, dtype=object)}
    table = describe_map(places, colourings=colourings)
    assert table[["coloured by", "group", "images"]].to_numpy().tolist() == [["class", "A", 2], ["class", "B", 1]]
    assert table["1st axis"].tolist() == ["1.0 ± 1.0", "5.0 ± 0.0"]


def test_groups_apart_have_neighbours_of_their_own_and_mixed_ones_as_many_as_by_lot():
    rng = np.random.default_rng(0)
    places = rng.normal(0, 1, (200, 2)) + np.repeat([[0, 0], [20, 0]], 100, axis=0)
    colourings = {"apart": pd.Series(np.repeat(["x", "y"], 100)), "mixed": pd.Series(rng.permutation(["x", "y"] * 100))}
    table = describe_map(places, colourings=colourings).set_index("coloured by")
    assert (table.loc["apart", "neighbours alike"] == 1).all()
    assert table.loc["mixed", "neighbours alike"].to_numpy() == pytest.approx(0.5, abs=0.1)
    assert table["by lot"].to_numpy() == pytest.approx(99 / 199)


def test_all_images_are_mapped_unless_they_are_too_many():
    assert pick_mapped(50).tolist() == list(range(50))
    drawn = pick_mapped(3 * MAPPED)
    assert len(np.unique(drawn)) == MAPPED
    assert (np.diff(drawn) > 0).all()
    assert np.mean(drawn) == pytest.approx(1.5 * MAPPED, rel=0.05)


def test_images_are_coloured_by_what_is_known_of_them_whatever_the_order_of_tables():
    table = pd.DataFrame({"sample_id": ["x", "y"], "label": ["A", "B"], "split": ["train", "test"]}, index=[7, 3])
    cohort = pd.DataFrame({"sample_id": ["y", "z", "x"], "ManufacturerModelName": ["of y", "of z", "of x"]})
    ranked = pd.DataFrame({"sample_id": ["z", "y"], "is_error": [False, True]})
    found = {title: values.tolist() for title, values in map_colourings(table, cohort=cohort, ranked=ranked).items()}
    assert found["class"] == ["A", "B"]
    assert found["scanner"] == ["of x", "of y"]
    assert found["held-out prediction"][1] == "wrong"
    assert pd.isna(found["held-out prediction"][0])
    assert "scanner" not in map_colourings(table, cohort=cohort[["sample_id"]], ranked=ranked)
