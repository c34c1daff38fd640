"""Features on a plane: what varies most, and who lies near whom.

Principal components keep distances and lose neighbours; t-SNE (van der Maaten & Hinton 2008, JMLR 9:2579) keeps
neighbours, and its distances between groups, their sizes and its axes mean nothing. How far a map can be believed is
told by its trustworthiness (Venna & Kaski 2001, 10.1007/3-540-44668-0_68): 1 where nobody is near who was not before.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS = 15
PERPLEXITY = 30
SEED = 0
#: Images on a map at most: its trustworthiness needs the distance of each from each, and more dots hide each other.
MAPPED = 2000


def pick_mapped(n_images: int) -> np.ndarray:
    """Positions of all images; of more than `MAPPED` those of so many, drawn by lot, in order."""
    drawn = np.random.default_rng(SEED).permutation(n_images)[:MAPPED]
    return np.sort(drawn)


def map_colourings(table: pd.DataFrame, *, cohort: pd.DataFrame, ranked: pd.DataFrame) -> dict[str, pd.Series]:
    """By what images on a map are coloured: class, part, whether the held-out prediction is wrong, and the scanner.

    Parameters
    ----------
    table
        N rows of the table of a `FeatureSpace`.
    cohort
        The cohort table; without the column ManufacturerModelName there is no scanner.
    ranked
        Result of `rank_predictions`.

    Returns
    -------
    Title → N values.
    """
    facts = table[["sample_id", "label", "split"]].merge(ranked[["sample_id", "is_error"]], on="sample_id", how="left")
    found = {"class": facts["label"], "part": facts["split"]}
    found["held-out prediction"] = facts["is_error"].map({True: "wrong", False: "right"})
    if "ManufacturerModelName" in cohort:
        found["scanner"] = facts["sample_id"].map(cohort.set_index("sample_id")["ManufacturerModelName"])
    return found


def principal_map(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two directions in which (N, D) features vary most: (N, 2) coordinates and the (2,) shares of variance."""
    analysis = PCA(2, random_state=SEED).fit(features)
    return analysis.transform(features), analysis.explained_variance_ratio_


def neighbour_map(features: np.ndarray) -> np.ndarray:
    """(N, 2) places at which images lie near that are near among the (N, D) features, N at least 4: t-SNE."""
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=SEED).fit_transform(features)


def trust(coordinates: np.ndarray, *, features: np.ndarray) -> float:
    """Trustworthiness in [0, 1] of (N, 2) places for the `NEIGHBOURS` nearest of (N, D) features."""
    n_neighbors = min(NEIGHBOURS, (len(features) - 1) // 2)
    return float(trustworthiness(features, coordinates, n_neighbors=n_neighbors))


def describe_map(coordinates: np.ndarray, *, colourings: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Where the groups of a map lie, how far they spread, and how much they keep to themselves.

    Parameters
    ----------
    coordinates
        (N, 2) places.
    colourings
        Title → N values.

    Returns
    -------
    One row per title and value, for reading: images, mean and standard deviation along both axes, the mean share of an
    image's `NEIGHBOURS` nearest on the map that have its value, and that share if neighbours were drawn by lot.
    """
    places = pd.DataFrame(coordinates, columns=["1st axis", "2nd axis"])
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(places) - 1)).fit(coordinates)
    near = nearest.kneighbors(return_distance=False)
    rows = []
    for title, values in colourings.items():
        codes = pd.factorize(values)[0]
        alike = (codes[near] == codes[:, None]).mean(axis=1)
        for group, part in places.groupby(values.to_numpy()):
            described = {name: f"{part[name].mean():.1f} ± {part[name].std(ddof=0):.1f}" for name in places}
            described |= {"neighbours alike": alike[part.index].mean(), "by lot": (len(part) - 1) / (len(places) - 1)}
            rows.append({"coloured by": title, "group": group, "images": len(part), **described})
    return pd.DataFrame(rows)
