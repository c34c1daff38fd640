"""Which samples the study gets wrong, the most confident mistakes first, and right ones to compare with."""

from collections.abc import Sequence

import pandas as pd

from helpers.evaluation import out_of_fold
from helpers.evaluation.predictions import probability_column
from helpers.evaluation.temperature import fit_temperatures, scaled_samples

#: Images that are explained at most: their maps, masks and shares lie in memory together, half a megabyte for each.
EXPLAINED = 2000
SEED = 0
KEPT_COLUMNS = ("PatientAge", "PatientSex", "ConvolutionKernel", "SliceThickness", "ManufacturerModelName")


def calibrated_out_of_fold(predictions: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """The held-out table of `out_of_fold`, its probabilities after temperature scaling, its predictions as they were.

    Averages over seeds that are scaled differently may favour another class; errors stay those that were counted.
    """
    temperatures = fit_temperatures(predictions, classes=classes)
    scaled = scaled_samples(predictions, temperatures=temperatures, classes=classes)
    columns = [probability_column(key) for key in classes]
    return out_of_fold(predictions, classes=classes).assign(**{name: scaled[name] for name in columns})


def rank_predictions(tested: pd.DataFrame, *, cohort: pd.DataFrame) -> pd.DataFrame:
    """Join predictions with what is known of each sample and order them by confidence.

    Parameters
    ----------
    tested
        One row per tested sample: sample_id, PatientID, y_true, y_pred, p_<class>.
    cohort
        The cohort table; level and acquisition columns are taken along where they exist.

    Returns
    -------
    Table with `kind` (reference → prediction), `confidence` (probability of the predicted class), `p_true`
    (probability of the reference class) and `is_error`, the most confident first.
    """
    table = tested.copy()
    table["confidence"] = [row[f"p_{row['y_pred']}"] for _, row in table.iterrows()]
    table["p_true"] = [row[f"p_{row['y_true']}"] for _, row in table.iterrows()]
    table["is_error"] = table["y_true"] != table["y_pred"]
    table["kind"] = table["y_true"] + " → " + table["y_pred"]
    known = [name for name in ("level", *KEPT_COLUMNS) if name in cohort and cohort[name].notna().any()]
    table = table.merge(cohort[["sample_id", *known]], on="sample_id", how="left", validate="one_to_one")
    return table.sort_values(["confidence", "sample_id"], ascending=[False, True]).reset_index(drop=True)


def ranked_errors(ranked: pd.DataFrame) -> pd.DataFrame:
    """The errors alone, with their rank from 1; empty if there are none."""
    errors = ranked[ranked["is_error"]].drop(columns="is_error").reset_index(drop=True)
    errors.insert(0, "rank", range(1, len(errors) + 1))
    return errors


def count_kinds(ranked: pd.DataFrame, *, class_names: dict[str, str]) -> pd.DataFrame:
    """How often each reference class was taken for each other one, and the share of that class."""
    rows = []
    for reference, name in class_names.items():
        of_class = ranked[ranked["y_true"] == reference]
        for predicted, other in class_names.items():
            errors = of_class[of_class["y_pred"] == predicted]
            if predicted != reference and len(errors):
                share = len(errors) / len(of_class)
                rows.append(
                    (f"{reference} {name}", f"{predicted} {other}", len(errors), errors["PatientID"].nunique(), share)
                )
    columns = ["reference", "predicted", "images", "patients", "share of the class"]
    return pd.DataFrame(rows, columns=columns).sort_values("images", ascending=False, ignore_index=True)


def pick_correct(ranked: pd.DataFrame, *, n: int) -> pd.DataFrame:
    """Right predictions to set beside the errors: the most confident of each class in turn, `n` in all."""
    correct = ranked[~ranked["is_error"]]
    place_in_class = correct.groupby("y_true").cumcount()
    order = correct.assign(place=place_in_class).sort_values(["place", "y_true"], kind="stable")
    return order.drop(columns="place").head(n).reset_index(drop=True)


def pick_explained(ranked: pd.DataFrame, *, shown: pd.DataFrame) -> pd.DataFrame:
    """All of them; of more than `EXPLAINED` those that are shown, and as many others, drawn by lot, as make it that.

    Parameters
    ----------
    ranked
        Result of `rank_predictions`.
    shown
        Some of its rows, which are taken in any case.
    """
    if len(ranked) <= EXPLAINED:
        return ranked
    is_shown = ranked["sample_id"].isin(shown["sample_id"])
    drawn = ranked[~is_shown].sample(EXPLAINED - int(is_shown.sum()), random_state=SEED)
    return ranked[is_shown | ranked.index.isin(drawn.index)].reset_index(drop=True)
