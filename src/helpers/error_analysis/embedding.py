"""What one network makes of all images: its last features, what can be read from them, and which images lie near.

Networks of different folds order their features differently, so all is seen with one of them, that of the first fold
and seed. It has learned from its training part, which therefore lies closer together than images of its test part.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from helpers.error_analysis.clustered import ratio_of_sums
from helpers.error_analysis.held_out import HeldOut
from helpers.error_analysis.subgroups import MIN_PATIENTS, grouped
from helpers.error_analysis.wording import COLUMN_TITLES, with_interval
from helpers.study import EvaluationParams
from helpers.training.stages import backbone_stages

#: Columns of the cohort table that a network for fractures has no need to know.
PROBED = ("ManufacturerModelName", "ConvolutionKernel", "SliceThickness", "PatientSex")
PROBE_FOLDS = 5
SEED = 0


@dataclass(frozen=True)
class FeatureSpace:
    """All samples as one network sees them.

    Attributes
    ----------
    table
        N rows: sample_id, PatientID, label, and the `split` that the network had the sample in.
    features
        (N, D) float32, see `of`.
    extractor
        The part of the network that gives them.
    held_out
        Where it comes from.
    """

    table: pd.DataFrame
    features: np.ndarray
    extractor: nn.Module
    held_out: HeldOut

    @classmethod
    def of(cls, held_out: HeldOut, *, predictions: pd.DataFrame, stage: str | None = None) -> Self:
        """See all samples with the network of the first seed and fold.

        Parameters
        ----------
        held_out
            The networks and what they read.
        predictions
            All predictions; they tell which part each sample was in.
        stage
            Features are the means of this stage's maps; None: the input of the last layer.
        """
        first = predictions.sort_values(["seed", "fold"]).iloc[0]
        fold, seed = int(first["fold"]), int(first["seed"])
        own = predictions[(predictions["fold"] == fold) & (predictions["seed"] == seed)]
        table = held_out.samples.table[["sample_id", "PatientID", "label"]].merge(
            own[["sample_id", "split"]], how="left", on="sample_id", validate="1:1"
        )
        network = held_out.network(fold=fold, seed=seed)
        backbone = held_out.transform.params.backbone
        extractor = without_last_layer(network) if stage is None else up_to_stage(network, stage, backbone=backbone)
        return cls(table, held_out.logits(extractor, held_out.samples.images), extractor, held_out)

    def rows(self, split: str) -> np.ndarray:
        """Positions of the samples of one part."""
        return np.flatnonzero(self.table["split"] == split)

    def of_test_part(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows of a table with sample_id whose samples this network was tested on."""
        return table[table["sample_id"].isin(self.table["sample_id"].iloc[self.rows("test")])]

    def read(self, pixels: np.ndarray) -> np.ndarray:
        """Features of other cached images, (M, ..., H, W) int16 HU or uint8 grey: (M, D) float32."""
        transform = replace(self.held_out.transform, is_hu=pixels.dtype != np.uint8)
        return replace(self.held_out, transform=transform).logits(self.extractor, pixels)


def without_last_layer(network: nn.Module) -> nn.Module:
    """A copy of a network of this study that gives the input of its last layer: (N, 3, S, S) → (N, D)."""
    extractor = copy.deepcopy(network)
    extractor.fc[-1] = nn.Identity()
    return extractor


def up_to_stage(network: nn.Module, stage: str, *, backbone: str) -> nn.Module:
    """The part of a network that ends with a stage and gives the means of its maps: (N, 3, S, S) → (N, C)."""
    stages = backbone_stages(network, name=backbone)
    kept = list(stages.values())[: list(stages).index(stage) + 1]
    return nn.Sequential(*kept, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def nearest_training(space: FeatureSpace, *, sample_ids: Sequence[str], n: int) -> pd.DataFrame:
    """The training images that the network finds most like some others, never of the same patient.

    Parameters
    ----------
    space
        All samples as one network sees them.
    sample_ids
        Samples to find neighbours of.
    n
        Neighbours of each; fewer if there are not so many training images of other patients.

    Returns
    -------
    sample_id, neighbour (sample_id), label of the neighbour, distance (1 - cosine, from 0), the nearest first.
    """
    training = space.table.iloc[space.rows("train")]
    asked = space.held_out.samples.rows(sample_ids)
    if not len(asked):
        return pd.DataFrame(columns=["sample_id", "neighbour", "label", "distance"])
    found = NearestNeighbors(n_neighbors=len(training), metric="cosine").fit(space.features[space.rows("train")])
    parts = []
    for row, distances, places in zip(asked, *found.kneighbors(space.features[asked]), strict=True):
        near = training.iloc[places].assign(distance=distances)
        near = near[near["PatientID"] != space.table["PatientID"].iloc[row]].head(n)
        near = near.rename(columns={"sample_id": "neighbour"})[["neighbour", "label", "distance"]]
        parts.append(near.assign(sample_id=space.table["sample_id"].iloc[row]))
    return pd.concat(parts, ignore_index=True)[["sample_id", "neighbour", "label", "distance"]]


def neighbour_gallery(near: pd.DataFrame, *, ranked: pd.DataFrame) -> pd.DataFrame:
    """Each sample followed by its neighbours, with titles, in the order of a gallery: sample_id, title.

    Parameters
    ----------
    near
        Result of `nearest_training`.
    ranked
        Result of `rank_predictions`; gives reference and prediction.
    """
    kinds = ranked.set_index("sample_id")["kind"]
    rows = []
    for sample, part in near.groupby("sample_id", sort=False):
        rows.append((sample, f"error: {kinds[sample]}\n{sample}"))
        rows += [(row.neighbour, f"trained on: {row.label}\ndistance {row.distance:.3f}") for row in part.itertuples()]
    return pd.DataFrame(rows, columns=["sample_id", "title"])


def probe_table(space: FeatureSpace, *, cohort: pd.DataFrame, params: EvaluationParams) -> pd.DataFrame:
    """Can the scanner be read from the features? A logistic regression for each of `PROBED`, tested on other patients.

    Parameters
    ----------
    space
        All samples as one network sees them.
    cohort
        The cohort table.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per column of which at least two values have `MIN_PATIENTS` patients, for reading: values, images, share
    read right with interval by patients resampled, and that of always naming the most frequent value.
    """
    rows = []
    for column in PROBED:
        known = space.table.merge(cohort[["sample_id", *({column} & set(cohort))]], on="sample_id", how="left")
        values = grouped(known[column]) if column in known else pd.Series(np.nan, index=known.index)
        patients_of = known.groupby(values, observed=True)["PatientID"].nunique()
        kept = values.isin(patients_of.index[patients_of >= MIN_PATIENTS]).to_numpy()
        if values[kept].nunique() > 1:
            read = _probe(space.features[kept], known[kept], values[kept], params)
            rows.append({"column": COLUMN_TITLES[column], **read})
    return pd.DataFrame(rows, columns=["column", "values", "images", "read right", "most frequent value"])


def _probe(features: np.ndarray, known: pd.DataFrame, values: pd.Series, params: EvaluationParams) -> dict[str, object]:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    folds = StratifiedGroupKFold(PROBE_FOLDS, shuffle=True, random_state=SEED)
    read = cross_val_predict(model, features, values, groups=known["PatientID"], cv=folds)
    right = (read == values).to_numpy(dtype=float)
    accuracy = ratio_of_sums(right, np.ones(len(right)), patients=known["PatientID"], params=params)
    most_frequent = values.value_counts(normalize=True).iloc[0]
    return {
        "values": values.nunique(),
        "images": len(values),
        "read right": with_interval(accuracy, decimals=3),
        "most frequent value": f"{most_frequent:.3f}",
    }
