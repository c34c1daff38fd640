"""Whether images that are nothing like those the network has learned from are noticed.

The score is the distance to the nearest training images in the network's features (Sun et al. 2022, arXiv:2204.06507),
but in those of an earlier stage: the last ones keep little beside the answer, and of the simulated cohort they take
images that are turned by a quarter, or black for white, for ordinary ones. From which distance on to warn is set on
validation images; planted strangers show what it finds.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from sklearn.neighbors import NearestNeighbors

from helpers.error_analysis.clustered import patient_codes, ratio_of_sums, resampled_metric
from helpers.error_analysis.embedding import FeatureSpace
from helpers.error_analysis.held_out import HeldOut
from helpers.error_analysis.other_views import VIEWS, simulated_views
from helpers.error_analysis.wording import with_interval
from helpers.evaluation.metrics import weighted_auroc
from helpers.study import EvaluationParams, PreprocessingParams

STAGE, NEIGHBOUR = "layer3", 10
#: Share of validation images that a warning is allowed to meet.
FALSE_WARNINGS = 0.05
SEED = 0
LEAVES = 150
#: Share of a bone window (250 of 1400 HU) at which air, fat, muscle, marrow, cortical bone and metal lie → grey on T1.
TISSUES, T1_GREY = (0.0, 0.25, 0.35, 0.45, 0.75, 1.0), (0.05, 0.9, 0.4, 0.7, 0.05, 0.0)
#: Simulated patients who are shown in other views; drawing one takes a tenth of a second.
VIEWED = 20


@dataclass(frozen=True)
class Novelty:
    """Distance from the training images, and from where on it is a warning.

    Attributes
    ----------
    space
        All samples as the stage `STAGE` of one network sees them.
    neighbours
        Index of the training features.
    threshold
        The distance that `FALSE_WARNINGS` of the validation images exceed.
    """

    space: FeatureSpace
    neighbours: NearestNeighbors
    threshold: float

    @classmethod
    def of(cls, held_out: HeldOut, *, predictions: pd.DataFrame) -> Self:
        """See all samples with one network, see `FeatureSpace.of`."""
        return cls.within(FeatureSpace.of(held_out, predictions=predictions, stage=STAGE))

    @classmethod
    def within(cls, space: FeatureSpace) -> Self:
        """Index the training features and set the threshold."""
        training = space.features[space.rows("train")]
        neighbours = NearestNeighbors(n_neighbors=min(NEIGHBOUR, len(training)), metric="cosine").fit(training)
        known = cls(space, neighbours, np.nan)
        scores = known.score(space.features[space.rows("validation")])
        return cls(space, neighbours, float(np.quantile(scores, 1 - FALSE_WARNINGS)))

    def score(self, features: np.ndarray) -> np.ndarray:
        """1 - cosine to the tenth nearest training image: (M,), from 0."""
        return self.neighbours.kneighbors(features)[0][:, -1]


def turned(shares: np.ndarray) -> np.ndarray:
    """Turned by a quarter."""
    return np.rot90(shares, axes=(-2, -1))


def inverted(shares: np.ndarray) -> np.ndarray:
    """Black for white."""
    return 1 - shares.clip(0, 1)


def mri_like(shares: np.ndarray) -> np.ndarray:
    """Grey values in the order of a T1-weighted MRI: fat and marrow bright, muscle between, cortical bone and air dark.

    The places of the tissues are those of a bone window; MRI of the same spine would need a second scan.
    """
    return np.interp(shares, TISSUES, T1_GREY)


def noise(shares: np.ndarray) -> np.ndarray:
    """Independent grey values."""
    return np.random.default_rng(SEED).random(shares.shape)


def photograph(shares: np.ndarray) -> np.ndarray:
    """Discs of all sizes that cover each other, whose statistics are those of photographs (Lee et al. 2001)."""
    rng = np.random.default_rng(SEED)
    size = shares.shape[-1]
    rows, columns = np.indices((size, size))
    pictures = np.zeros((len(shares), size, size))
    for picture in pictures:
        radii = size / 40 / rng.uniform(1 / 400, 1, LEAVES) ** 0.5  # density falls with the cube of the radius
        for radius, row, column, grey in zip(
            radii, *rng.uniform(0, size, (2, LEAVES)), rng.random(LEAVES), strict=True
        ):
            picture[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = grey
    smooth = gaussian_filter(pictures, 0.7, axes=(-2, -1))
    return np.broadcast_to(np.expand_dims(smooth, tuple(range(1, shares.ndim - 2))), shares.shape)


STRANGERS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "turned by 90°": turned,
        "black for white": inverted,
        "MRI-like contrast": mri_like,
        "noise": noise,
        "photograph-like texture": photograph,
    }
)


def planted(pixels: np.ndarray, *, kind: str, window: tuple[float, float]) -> np.ndarray:
    """Strangers in the type and window of cached images.

    Parameters
    ----------
    pixels
        (N, ..., H, W) int16 HU or uint8 grey.
    kind
        Name in `STRANGERS`.
    window
        Centre and width of what the network sees, in the unit of the pixels.
    """
    center, width = window
    low = center - width / 2
    shares = STRANGERS[kind]((pixels.astype(np.float32) - low) / width)
    limits = np.iinfo(pixels.dtype)
    return np.rint(shares * width + low).clip(limits.min, limits.max).astype(pixels.dtype)


Groups = dict[str, tuple[np.ndarray, pd.Series]]


def planted_groups(known: Novelty, *, n: int, preprocessing: PreprocessingParams) -> Groups:
    """Strangers made of held-out images, and simulated images of other views.

    Parameters
    ----------
    known
        Distance from the training images.
    n
        Held-out images that are made strangers of, at most.
    preprocessing
        Section `preprocessing` of the parameters.

    Returns
    -------
    Name → images of the type of the cached ones, and the PatientID of each.
    """
    tested = known.space.rows("test")
    chosen = np.sort(np.random.default_rng(SEED).permutation(tested)[:n])
    pixels, whose = np.asarray(known.space.held_out.samples.images[chosen]), known.space.table["PatientID"].iloc[chosen]
    window = known.space.held_out.window
    groups: Groups = {kind: (planted(pixels, kind=kind, window=window), whose) for kind in STRANGERS}
    viewed = pd.Series([f"simulated {number}" for number in range(VIEWED)])
    return groups | {
        name: (simulated_views(name, n=VIEWED, like=pixels, params=preprocessing), viewed) for name in VIEWS
    }


def novelty_table(known: Novelty, *, groups: Groups, params: EvaluationParams) -> pd.DataFrame:
    """What is warned of: held-out images, planted strangers, and external cohorts.

    Parameters
    ----------
    known
        Distance from the training images.
    groups
        Name → cached images and their PatientID.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per group, for reading: images, share with a warning, whether this is more than `FALSE_WARNINGS` beyond
    chance, and AUROC against the held-out images; intervals by patients resampled.
    """
    tested = known.space.rows("test")
    own = known.score(known.space.features[tested]), known.space.table["PatientID"].iloc[tested]
    scored = {"held-out images of the study": own}
    scored |= {name: (known.score(known.space.read(images)), whose) for name, (images, whose) in groups.items()}
    return pd.DataFrame(
        {"images": name, **_warned(scores, whose, known=known, own=own, params=params)}
        for name, (scores, whose) in scored.items()
    )


def _warned(
    scores: np.ndarray, whose: pd.Series, *, known: Novelty, own: tuple[np.ndarray, pd.Series], params: EvaluationParams
) -> dict[str, str | int | bool]:
    warned = ratio_of_sums(scores > known.threshold, np.ones(len(scores)), patients=whose, params=params)
    is_unlike = warned.ci_low is not None and warned.ci_low > FALSE_WARNINGS
    row = {
        "number": len(scores),
        "share with a warning": with_interval(warned, decimals=2),
        "unlike the training images": is_unlike,
        "AUROC": "–",
    }
    if scores is own[0]:
        return row
    values, is_stranger = np.concatenate([own[0], scores]), np.repeat([False, True], [len(own[0]), len(scores)])
    codes = patient_codes([*own[1], *whose])
    auroc = resampled_metric(
        lambda weights: weighted_auroc(values, is_stranger, weights=weights[:, codes]),
        codes=codes,
        params=params,
        undefined="a group is not drawn",
    )
    return row | {"AUROC": with_interval(auroc, decimals=3)}


def warn_of_strangers(table: pd.DataFrame, *, names: Iterable[str]) -> str:
    """A sentence for each external cohort that is unlike the training images; empty where there is none.

    Parameters
    ----------
    table
        Result of `novelty_table`, in which an external cohort is called so and by its name.
    names
        The external cohorts.
    """
    rows = table.set_index("images")
    found = rows.loc[[f"external cohort {name}" for name in names]]
    return "\n\n".join(
        f"**Warning:** images of {name} are unlike those that the network has learned from (share with a warning "
        f"{row['share with a warning']}). What it says of them rests on little."
        for name, row in found[found["unlike the training images"]].iterrows()
    )
