import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers.training.convolution import SMALL_MAP, SmallMapConv2d, quicken_small_maps


def outcome(convolution, maps):
    """Output and gradients of a convolution."""
    maps = maps.clone().requires_grad_()
    result = convolution(maps)
    generator = torch.Generator().manual_seed(1)
    (result * torch.randn(result.shape, generator=generator)).sum().backward()
    return {"output": result.detach(), "input": maps.grad} | {n: p.grad for n, p in convolution.named_parameters()}


@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    bias=st.booleans(),
)
def test_matrix_product_is_the_convolution(kernel, stride, padding, size, bias):
    """Against torch's own: output, and the gradients of input, weight and bias, to rounding."""
    torch.manual_seed(0)
    shape = {"kernel_size": kernel, "stride": stride, "padding": padding, "bias": bias, "dtype": torch.float64}
    usual, quick = nn.Conv2d(3, 4, **shape), SmallMapConv2d(3, 4, **shape)
    quick.load_state_dict(usual.state_dict())
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    expected, found = outcome(usual, maps), outcome(quick, maps)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)


@pytest.mark.parametrize("side", [4, 8, 9])
def test_output_is_channels_last_and_of_the_type_that_autocast_gives(side):
    assert SMALL_MAP == 8 * 8
    convolution = SmallMapConv2d(4, 8, 3, padding=1).to(memory_format=torch.channels_last)
    maps = torch.randn(2, 4, side, side).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = convolution(maps)
    assert found.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_only_plain_convolutions_are_changed_and_keep_their_weights():
    stage = nn.Sequential(
        nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"), nn.Conv2d(4, 4, 3, padding_mode="reflect", padding=1),
    )  # fmt: skip
    before = {name: tensor.clone() for name, tensor in stage.state_dict().items()}
    quicken_small_maps(stage)
    assert [type(module) is SmallMapConv2d for module in stage] == [True, False, False, False, False]
    assert before.keys() == stage.state_dict().keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in stage.state_dict().items())
