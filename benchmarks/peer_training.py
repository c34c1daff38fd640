"""Fine-tuning of ResNet-50 as fastai's and MONAI's documentation shows it; prints the seconds of one batch.

    /tmp/peers/bin/python benchmarks/peer_training.py fastai|monai BATCH SIZE THREADS

Run by direct_training.py with an interpreter that has these packages; it imports nothing of this project.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

N_CLASSES = 3
BATCHES = 2


def invented_images(n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """8-bit pictures of noise and their classes."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8), np.resize(np.arange(N_CLASSES), n)


def fastai_epoch(batch: int, size: int) -> Callable[[], None]:
    """A vision learner with its default augmentation, all layers unfrozen."""
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        ImageBlock,
        PILImage,
        RandomSplitter,
        aug_transforms,
        resnet50,
        vision_learner,
    )

    images, labels = invented_images(2 * batch * BATCHES, size)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_x=lambda place: PILImage.create(images[place]),
        get_y=lambda place: int(labels[place]),
        splitter=RandomSplitter(valid_pct=0.5, seed=0),
        batch_tfms=aug_transforms(size=size),
    )
    loaders = block.dataloaders(list(range(len(images))), bs=batch, num_workers=0, device=torch.device("cpu"))
    learner = vision_learner(loaders, resnet50, pretrained=False, n_out=N_CLASSES)
    learner.unfreeze()
    learner.create_opt()
    learner.model.train()

    def epoch() -> None:
        for inputs, targets in loaders.train:
            loss = learner.loss_func(learner.model(inputs), targets)
            loss.backward()
            learner.opt.step()
            learner.opt.zero_grad()

    return epoch


def monai_epoch(batch: int, size: int) -> Callable[[], None]:
    """The loop of MONAI's classification tutorial, with its data set, transforms and loader."""
    from monai.data import DataLoader, Dataset
    from monai.networks.nets import TorchVisionFCModel
    from monai.transforms import Compose, EnsureChannelFirst, RandRotate, RandZoom, ScaleIntensity

    images, labels = invented_images(batch * BATCHES, size)
    changes = Compose(
        [
            EnsureChannelFirst(channel_dim=-1),
            ScaleIntensity(),
            RandRotate(range_x=np.pi / 12, prob=0.5, keep_size=True),
            RandZoom(min_zoom=0.9, max_zoom=1.1, prob=0.5),
        ]
    )

    class Pictures(Dataset):
        def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
            return changes(images[place]), int(labels[place])

    loader = DataLoader(Pictures(list(range(len(images)))), batch_size=batch, shuffle=True, num_workers=0)
    network = TorchVisionFCModel("resnet50", num_classes=N_CLASSES, pretrained=False).train()
    optimizer, loss_function = torch.optim.Adam(network.parameters(), 1e-5), torch.nn.CrossEntropyLoss()

    def epoch() -> None:
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss_function(network(inputs), targets).backward()
            optimizer.step()

    return epoch


def main() -> None:
    """Warm up with one epoch, time another."""
    name, batch, size, threads = sys.argv[1], *map(int, sys.argv[2:5])
    torch.set_num_threads(threads)
    epoch = {"fastai": fastai_epoch, "monai": monai_epoch}[name](batch, size)
    epoch()
    start = time.perf_counter()
    epoch()
    sys.stdout.write(f"{(time.perf_counter() - start) / BATCHES}\n")


if __name__ == "__main__":
    main()
