import pytest
import torch

from helpers.training.precision import autocast


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_products_have_the_precision_that_was_asked_for(precision, dtype):
    ones = torch.ones(2, 2)
    with autocast(torch.device("cpu"), precision):
        assert (ones @ ones).dtype == dtype
