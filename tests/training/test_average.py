import copy

import torch
from torch import nn

from helpers.training.average import MovingAverage


def test_average_forgets_the_start_and_then_follows_at_its_decay():
    network = nn.BatchNorm1d(1)
    average = MovingAverage(network, decay=0.5)
    values, expected = [3.0, -1.0, 4.0, 2.0] * 5, 1.0
    for step, value in enumerate(values):
        network.weight.data.fill_(value)
        network.num_batches_tracked += 1
        average.update(network, step=step)
        kept = min(0.5, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
    torch.testing.assert_close(average.network.weight.item(), expected, rtol=1e-5, atol=0)
    assert average.network.num_batches_tracked == len(values)


def test_average_of_a_network_that_stays_is_that_network():
    network = nn.Linear(3, 2)
    average = MovingAverage(network, decay=0.9)
    before = copy.deepcopy(network.state_dict())
    for step in range(5):
        average.update(network, step=step)
    assert all(torch.equal(before[name], tensor) for name, tensor in average.network.state_dict().items())
    assert not any(p.requires_grad for p in average.network.parameters())
