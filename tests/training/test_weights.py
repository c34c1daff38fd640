import importlib.util
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import WeightsEnum, get_model

from helpers.study.params import TrainingParams
from helpers.training import weights as module
from helpers.training.weights import Initialisation, WeightsError, check_input, deflate, load_initialisation

needs_ct = pytest.mark.skipif(importlib.util.find_spec(module.CT_SHARDS[0]) is None, reason="the extra [ct] is absent")


def test_none_is_never_transfer_learning():
    start = load_initialisation("none", backbone="resnet18")
    assert not start.is_transfer
    assert "no transfer learning" in start.note


def test_deflated_kernel_is_exact_on_volumes_constant_along_depth():
    torch.manual_seed(0)
    conv3d = nn.Conv3d(2, 4, 3, padding=(0, 1, 1), bias=False)
    kernel = deflate({"layer1.0.conv1.weight": conv3d.weight.detach()}, blocks=(1, 1, 1, 1))["layer1.0.conv1.weight"]
    image = torch.randn(1, 2, 9, 9)
    volume = image[:, :, None].expand(-1, -1, 5, -1, -1)
    expected = conv3d(volume)
    for depth in range(expected.shape[2]):
        torch.testing.assert_close(nn.functional.conv2d(image, kernel, padding=1), expected[:, :, depth])


def test_deflate_keeps_the_first_blocks_of_each_stage():
    inflated = {f"layer{stage}.{block}.bn1.bias": torch.ones(1) for stage in (1, 2) for block in range(4)}
    assert sorted(deflate(inflated, blocks=(1, 3, 1, 1))) == [
        "layer1.0.bn1.bias", "layer2.0.bn1.bias", "layer2.1.bn1.bias", "layer2.2.bn1.bias",
    ]  # fmt: skip


@needs_ct
def test_ct_weights_fill_every_backbone_tensor_of_resnet50():
    start = load_initialisation("ct", backbone="resnet50")
    expected = {name for name in get_model("resnet50").state_dict() if not name.startswith("fc.")}
    assert set(start.state) == expected
    assert start.sha256 == module.CT_SHA256
    assert start.is_transfer
    assert "imagenet" not in start.note.lower()


def test_ct_refuses_a_backbone_it_does_not_fit():
    with pytest.raises(WeightsError, match="resnet18"):
        load_initialisation("ct", backbone="resnet18")


def test_absent_ct_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(module, "CT_SHARDS", ("no_such_package_of_weights",))
    with pytest.raises(WeightsError, match=r"extra \[ct\]"):
        load_initialisation("ct", backbone="resnet50")


def test_altered_ct_weights_are_refused(monkeypatch):
    monkeypatch.setattr(module, "_shard", lambda package: b"not the weights")
    with pytest.raises(WeightsError, match="sha256"):
        load_initialisation("ct", backbone="resnet50")


def test_imagenet_without_internet_names_the_file_to_fetch(monkeypatch):
    def offline(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(WeightsError, match=r"https://\S+resnet18\S+\.pth.*training\.weights"):
        load_initialisation("imagenet", backbone="resnet18")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_file_gives_back_its_tensors(tmp_path, suffix):
    state = get_model("resnet18").state_dict()
    file = tmp_path / f"weights.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, file)
    start = load_initialisation(str(file), backbone="resnet18")
    torch.testing.assert_close(start.state["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
    assert start.is_transfer


def test_torchvision_file_is_known_by_its_hash_and_gets_its_normalisation(tmp_path, monkeypatch):
    file = tmp_path / "renamed.pth"
    torch.save(get_model("resnet18").state_dict(), file)
    published = module.get_model_weights("resnet18").DEFAULT.url.rpartition("-")[2].removesuffix(".pth")
    monkeypatch.setattr(module, "file_sha256", lambda path: published.ljust(64, "0"))
    start = load_initialisation(str(file), backbone="resnet18")
    assert (start.name, start.mean) == ("imagenet", module.IMAGENET_MEAN)


def test_file_of_another_backbone_is_refused_by_name(tmp_path):
    file = tmp_path / "w.pth"
    torch.save(get_model("resnet18").state_dict(), file)
    with pytest.raises(WeightsError, match="do not fit resnet34"):
        load_initialisation(str(file), backbone="resnet34")


@pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x04\x95\x10\x00\x00\x00"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_broken_file_is_refused_by_name(tmp_path, content, suffix):
    file = tmp_path / f"broken.{suffix}"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="broken"):
        load_initialisation(str(file), backbone="resnet18")


def test_missing_file_lists_the_choices():
    with pytest.raises(WeightsError, match="nor a file"):
        load_initialisation("no/such/file.pth", backbone="resnet18")


def test_absent_phantom_weights_name_the_two_commands_that_make_them(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "phantom_weights", lambda backbone: tmp_path / f"phantom_{backbone}.safetensors")
    with pytest.raises(WeightsError, match=r"study run .*backbone=resnet18.*study register-weights"):
        load_initialisation("phantom", backbone="resnet18")


def test_weights_made_for_other_input_are_refused_parameter_by_parameter():
    start = Initialisation("phantom", "", "", window=(300.0, 1000.0), intensity="image", spacing_mm=0.5)
    here = TrainingParams(intensity="image", window_center=300.0, window_width=1000.0)
    check_input(start, here, spacing_mm=0.5)
    other = here.model_copy(update={"intensity": "window", "window_width": 2000.0})
    with pytest.raises(
        WeightsError, match="intensity is window, then image; training.window_width is 2000.0, then 1000"
    ):
        check_input(start, other, spacing_mm=0.5)
    with pytest.raises(WeightsError, match="spacing_mm is 0.714, then 0.5"):
        check_input(start, here, spacing_mm=0.714)


def test_weights_that_know_no_input_fit_any():
    check_input(Initialisation("ct", "", "", window=(0.0, 2000.0)), TrainingParams(window_center=40.0), spacing_mm=3.0)


def test_every_enum_of_torchvision_can_be_named(monkeypatch):
    stock = get_model("resnet50").state_dict()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda enum, **_: stock)
    first, second = (load_initialisation(f"IMAGENET1K_V{number}", backbone="resnet50") for number in (1, 2))
    assert first.name == second.name == "imagenet"
    assert first.sha256 != second.sha256
    assert first.mean == (0.485, 0.456, 0.406)
    with pytest.raises(WeightsError, match="one of torchvision's enums for resnet18"):
        load_initialisation("IMAGENET1K_V2", backbone="resnet18")  # has only V1
