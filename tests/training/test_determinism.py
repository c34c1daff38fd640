"""What may differ between two computations of one study, and by how much; docs/numbers.md gives the sizes.

That the same computation gives the same numbers, here and in other processes, stands with the code that trains.
"""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from helpers.training import cross_validate, inputs, load_initialisation


@pytest.fixture
def probabilities(samples, splits, params, tmp_path_factory):
    """Train with changed parameters; gives every probability of every fit."""

    def call(**changes) -> np.ndarray:
        changed = params.model_copy(update=changes)
        start = load_initialisation("none", backbone=params.backbone)
        result = cross_validate(
            samples, splits[splits["fold"] == 0], params=changed, initialisation=start, spacing_mm=0.5,
            folder=tmp_path_factory.mktemp("fits"), report=lambda line: None,
        )  # fmt: skip
        return softmax(result.predictions.filter(like="logit_").to_numpy(), axis=1)

    return call


def test_the_number_of_threads_moves_probabilities_by_the_order_of_sums_alone(probabilities):
    one, two = (probabilities(threads=threads, precision="fp32", epochs=1) for threads in (1, 2))
    assert torch.get_num_threads() == 2
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_the_number_of_images_read_at_once_moves_them_less(probabilities, monkeypatch):
    usual = probabilities(precision="fp32", epochs=1)
    monkeypatch.setattr(inputs, "PREDICT_BATCH", 5)
    np.testing.assert_allclose(usual, probabilities(precision="fp32", epochs=1), atol=1e-5)
