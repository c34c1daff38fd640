import pytest
import torch
from torch import nn
from torchvision.models import get_model

from helpers.training.stages import backbone_stages, stock_backbone


@pytest.mark.parametrize("backbone", ["resnet18", "densenet121"])
def test_a_backbone_is_torchvisions_up_to_its_pooling(backbone):
    """Against torchvision's own forward pass, classifier and pooling aside."""
    stock = get_model(backbone, weights=None).eval()
    body, channels = stock_backbone(backbone)
    body.load_state_dict(stock.state_dict(), strict=False)
    images = torch.randn(2, 3, 64, 64)
    seen = {}
    name = "fc" if backbone == "resnet18" else "classifier"
    getattr(stock, name).register_forward_hook(lambda module, given, out: seen.update(features=given[0]))
    with torch.inference_mode():
        stock(images)
        maps = nn.Sequential(*backbone_stages(body.eval(), name=backbone).values())(images)
    assert maps.shape[1] == channels
    torch.testing.assert_close(maps.mean((2, 3)), seen["features"])


@pytest.mark.parametrize(
    ("backbone", "channels", "halvings"),
    [("resnet50", 2048, 5), ("convnext_tiny", 768, 5), ("efficientnet_v2_s", 1280, 5), ("densenet121", 1024, 5)],
)
def test_stages_end_with_the_stated_channels_at_a_thirty_second_of_the_side(backbone, channels, halvings):
    body, stated = stock_backbone(backbone)
    stages = nn.Sequential(*backbone_stages(body.eval(), name=backbone).values())
    with torch.inference_mode():
        maps = stages(torch.zeros(1, 3, 64, 64))
    assert stated == channels
    assert maps.shape == (1, channels, 64 >> halvings, 64 >> halvings)
