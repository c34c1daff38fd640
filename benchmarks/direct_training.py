"""How fast ResNet-50 is fine-tuned from pixels, beside what users of fastai and MONAI would write.

    .tools/bin/uv venv --python 3.11 /tmp/peers
    .tools/bin/uv pip install --python /tmp/peers fastai monai
    .venv/bin/python benchmarks/direct_training.py --peers /tmp/peers/bin/python

All layers learn, at 224 pixels and batches of 32, on two threads. The scripts of the peers stand in peer_training.py;
they keep the libraries' own defaults, and a random start, since speed does not depend on it. Each way is timed several
times in turn, and the best counts: other work on a machine only ever adds to a time. Without --peers only this project
is timed. The last lines set the arithmetic of a training step beside the machine's own matrix product, and say what
share of an epoch waits for input.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from crossvalidation_speed import CPU, Slice, matrix_flops_per_second, noise

from helpers.study import Study
from helpers.training import InputTransform, load_initialisation
from helpers.training.crossvalidation import make_deterministic
from helpers.training.inputs import PixelInputs

BATCH, SIZE, THREADS, TURNS = 32, 224, 2, 3
PEERS = ("fastai", "monai")
SCRIPT = Path(__file__).with_name("peer_training.py")


def direct_study() -> Study:
    """The default study, but all layers learn from pixels at the size that torchvision's weights were made for."""
    study = Study()
    training = study.training.model_copy(
        update={
            "frozen_stages": 0,
            "batch_norm": "learned",
            "input_size": SIZE,
            "batch_size": BATCH,
            "threads": THREADS,
        }
    )
    preprocessing = study.preprocessing.model_copy(update={"image_size": SIZE + 32})
    return study.model_copy(update={"training": training, "preprocessing": preprocessing})


def this_project() -> Slice:
    """One batch of training, ready to be timed."""
    study = direct_study()
    start = load_initialisation("none", backbone=study.training.backbone)
    transform = InputTransform(study.training, study.preprocessing.spacing_mm, True, start.mean, start.std)
    samples = noise(study)
    return Slice(study.training, inputs=PixelInputs(samples, transform, CPU), samples=samples)


def own_seconds(part: Slice) -> float:
    """Time of one batch, its input included."""
    return part.step_seconds() + part.input_seconds()


def peer_seconds(python: str, *, peer: str) -> float:
    """Time of one batch in the script of a peer, run by its own interpreter."""
    command = [python, str(SCRIPT), peer, str(BATCH), str(SIZE), str(THREADS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="an interpreter that has fastai and monai")
    parser.add_argument("--turns", type=int, default=TURNS, help="how often each way is timed")
    options = parser.parse_args()
    make_deterministic(THREADS)
    part = this_project()
    ways: dict[str, Callable[[], float]] = {"this project": lambda: own_seconds(part)}
    if options.peers:
        ways |= {peer: lambda peer=peer: peer_seconds(options.peers, peer=peer) for peer in PEERS}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.turns):
        for name, seconds in ways.items():
            times[name].append(seconds())
    own = min(times["this project"])
    sys.stdout.write(f"ResNet-50, all layers, {SIZE} px, batch {BATCH}, {THREADS} threads\n")
    for name, found in times.items():
        best = min(found)
        sys.stdout.write(f"{name:14s} {BATCH / best:6.1f} images/s; this project is {best / own:.1f} times as fast\n")
    step, waiting = part.step_seconds(), part.input_seconds()
    reached, peak = part.step_flops() / step, matrix_flops_per_second(torch.bfloat16)
    sys.stdout.write(
        f"training step: {reached / 1e9:.0f} GFLOP/s, {reached / peak:.0%} of the {peak / 1e9:.0f} GFLOP/s of a matrix "
        f"product; input takes {waiting / (step + waiting):.1%} of the time\n"
    )


if __name__ == "__main__":
    main()
