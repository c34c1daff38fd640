from dataclasses import replace

import numpy as np

from helpers.error_analysis.held_out import HeldOut
from helpers.evaluation.predictions import logit_column


def test_each_sample_has_a_network_that_tested_it(held_out, trained):
    _, predictions, _, _ = trained
    split = predictions.set_index(["sample_id", "fold", "seed"])["split"]
    assert held_out.tested["sample_id"].is_unique
    assert all(split[tuple(row)] == "test" for row in held_out.tested.itertuples(index=False))
    assert set(held_out.tested["sample_id"]) == set(predictions.loc[predictions["split"] == "test", "sample_id"])


def test_groups_give_every_tested_sample_once_with_its_place(held_out, trained):
    _, predictions, _, _ = trained
    asked = ["s12", "s0", "s7", "s10", "s1"]  # s7 is tested by no network
    found = {}
    for network, places in held_out.groups(asked):
        pixels = held_out.samples.images[held_out.samples.rows([asked[place] for place in places])]
        found |= dict(zip(places.tolist(), held_out.logits(network, pixels), strict=True))
    assert sorted(found) == [0, 1, 3, 4]
    tested = predictions[predictions["split"] == "test"].set_index("sample_id")
    for place, logits in found.items():
        expected = tested.loc[asked[place], [logit_column(key) for key in "AB"]].to_numpy(dtype=float)
        np.testing.assert_allclose(logits, expected, atol=0.03)


def test_first_seed_and_fold_are_taken(held_out, trained):
    samples, predictions, _, folder = trained
    twice = predictions.assign(seed=1).merge(predictions, how="outer")
    again = HeldOut.of(twice, samples=samples, transform=held_out.transform, checkpoints=folder)
    assert (again.tested["seed"] == 0).all()


def test_window_is_that_of_the_pixels(held_out):
    params = held_out.transform.params
    assert held_out.window == (params.window_center, params.window_width)
    assert replace(held_out, transform=replace(held_out.transform, is_hu=False)).window == (127.5, 255.0)
