"""All that notebook 04 finds: the one place where metrics.json and its tables are put together.

The notebook shows the parts one after the other, and `study verify` computes them again: both get the same numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from helpers.evaluation import calibration, conformal, decision, sample_size, selective
from helpers.evaluation.baselines import external_baselines, standard_baselines
from helpers.evaluation.comparison import comparison_table
from helpers.evaluation.estimates import Metric
from helpers.evaluation.external import ExternalEvaluation, evaluate_external
from helpers.evaluation.external_tables import external_tables
from helpers.evaluation.metric_table import EVERY_IMAGE, metric_table, plain_rows, plain_values, stacked
from helpers.evaluation.summary import Evaluation, evaluate
from helpers.evaluation.tables import external_table
from helpers.evaluation.temperature import fit_temperatures, scaled_samples
from helpers.study import EvaluationParams, Run

COMPARED = ("accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class Findings:
    """Every number of the evaluation of a run; each part is computed when it is first asked for.

    Attributes
    ----------
    run
        Folder with the artefacts of notebooks 01 to 03.
    params
        Bootstrap and choices of the evaluation.
    """

    run: Run
    params: EvaluationParams

    @cached_property
    def cohort(self) -> pd.DataFrame:
        """`cohort.parquet`."""
        return self.run.read_table("cohort")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """`predictions.parquet`."""
        return self.run.read_table("predictions")

    @cached_property
    def evaluation(self) -> Evaluation:
        """Confusion matrix, metrics and clinical questions of the held-out images."""
        study = self.run.study.cohort
        return evaluate(
            self.predictions,
            class_names=study.class_names,
            normal_class=study.normal_class,
            **self.params.model_dump(),
        )

    @property
    def classes(self) -> list[str]:
        """Class keys in reporting order."""
        return list(self.evaluation.class_names)

    @cached_property
    def temperatures(self) -> pd.DataFrame:
        """Temperature of each fold and seed, see `helpers.evaluation.temperature`."""
        return fit_temperatures(self.predictions, classes=self.classes)

    @cached_property
    def stages(self) -> dict[str, pd.DataFrame]:
        """Held-out probabilities before and after temperature scaling."""
        scaled = scaled_samples(self.predictions, temperatures=self.temperatures, classes=self.classes)
        return {calibration.AS_TRAINED: self.evaluation.samples, calibration.SCALED: scaled}

    @cached_property
    def calibration(self) -> dict[str, dict[str, dict[str, Metric]]]:
        """Calibration by stage, by forecast, by name."""
        return {
            stage: calibration.calibration_metrics(samples, classes=self.classes, params=self.params)
            for stage, samples in self.stages.items()
        }

    @cached_property
    def brier_parts(self) -> pd.DataFrame:
        """What the Brier score is made of, as trained."""
        return calibration.brier_decomposition(self.evaluation.samples, classes=self.classes)

    @cached_property
    def abstention(self) -> dict[str, Metric]:
        """Area under the risk-coverage curve, beside the best and the useless order of the same errors."""
        return selective.acceptance_metrics(self.evaluation.samples, params=self.params)

    @cached_property
    def risk_at_coverage(self) -> pd.DataFrame:
        """Errors among the surest images."""
        return selective.risk_at_coverage(self.evaluation.samples, params=self.params)

    @cached_property
    def prediction_sets(self) -> conformal.SetCoverage:
        """What the sets of classes promise, and what they keep."""
        sets = conformal.conformal_sets(self.predictions, classes=self.classes)
        return conformal.SetCoverage.of(sets, words=self.evaluation.words, params=self.params)

    @cached_property
    def decisions(self) -> dict[str, pd.DataFrame]:
        """Decision curve of each question."""
        asked = decision.decision_questions(self.evaluation.words, normal_class=self.evaluation.normal_class)
        return {
            question: decision.decision_curve(self.evaluation.samples, positive=classes, params=self.params)
            for question, classes in asked.items()
        }

    @cached_property
    def start_features(self) -> pd.DataFrame:
        """What the network saw of each sample of the cohort before it was trained."""
        return self._features("start_features", order=self.run.read_table("image_index"))

    @cached_property
    def comparisons(self) -> dict[str, pd.DataFrame]:
        """The model beside what needs no network, by measure."""
        rivals = standard_baselines(
            self.cohort, splits=self.predictions, classes=self.classes, start_features=self.start_features
        )
        return self._compare(self.evaluation, rivals)

    @cached_property
    def half_widths(self) -> pd.DataFrame:
        """Half width of intervals by number of patients."""
        return self._half_widths(self.evaluation)

    @cached_property
    def patients_needed(self) -> pd.DataFrame:
        """Smallest number of patients for intervals as narrow as wished."""
        return sample_size.patients_needed(self.half_widths)

    @cached_property
    def external(self) -> Mapping[str, ExternalEvaluation]:
        """External cohorts by name; empty where the study has none."""
        if not self.run.study.external.external:
            return {}
        return evaluate_external(
            self.run.read_table("external_predictions"),
            internal=self.evaluation,
            development=self.predictions,
            samples=self.run.read_table("external"),
            params=self.params,
        )

    @cached_property
    def told_apart(self) -> dict[str, Evaluation]:
        """External cohorts that know the study's classes."""
        return {name: found.by_class for name, found in self.external.items() if found.by_class is not None}

    @cached_property
    def external_comparisons(self) -> dict[str, dict[str, pd.DataFrame]]:
        """As `comparisons`, of each of `told_apart`: what needs no network has learned from this study's cohort too."""
        if not self.told_apart:
            return {}
        table, index = self.run.read_table("external"), self.run.read_table("external_index")
        features = self._features("external_start_features", order=index).groupby(index["cohort"].to_numpy())
        return {
            name: self._compare(found, self._external_rivals(table[table["cohort"] == name], features.get_group(name)))
            for name, found in self.told_apart.items()
        }

    @cached_property
    def external_patients_needed(self) -> dict[str, pd.DataFrame]:
        """As `patients_needed`, of each of `told_apart`."""
        return {name: sample_size.patients_needed(self._half_widths(found)) for name, found in self.told_apart.items()}

    def _features(self, name: str, *, order: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(self.run.read_array(name), index=order["sample_id"]).add_prefix("feature_")

    def _external_rivals(self, external: pd.DataFrame, features: pd.DataFrame) -> dict[str, pd.DataFrame]:
        return external_baselines(
            external,
            cohort=self.cohort,
            splits=self.predictions,
            classes=self.classes,
            start_features=(self.start_features, features),
        )

    def _compare(self, model: Evaluation, rivals: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        return {
            measure: comparison_table(model.samples, rivals, measure=measure, params=self.params)
            for measure in COMPARED
        }

    def _half_widths(self, found: Evaluation) -> pd.DataFrame:
        return sample_size.half_width_curves(found.samples, classes=self.classes, params=self.params)

    def _external_json_dict(self, name: str) -> dict[str, Any]:
        compared, needed = self.external_comparisons.get(name, {}), self.external_patients_needed.get(name)
        return self.external[name].to_json_dict() | {
            "comparisons": {measure: plain_rows(table) for measure, table in compared.items()},
            "sample_size": None if needed is None else sample_size.sample_size_json(needed),
        }

    def to_json_dict(self) -> dict[str, Any]:
        """Content of metrics.json."""
        return self.evaluation.to_json_dict() | {
            "calibration": {stage: plain_values(found) for stage, found in self.calibration.items()},
            "abstention": plain_values({EVERY_IMAGE: self.abstention}),
            "prediction_sets": self.prediction_sets.to_json_dict(),
            "decisions": {question: plain_rows(curve) for question, curve in self.decisions.items()},
            "comparisons": {measure: plain_rows(table) for measure, table in self.comparisons.items()},
            "sample_size": sample_size.sample_size_json(self.patients_needed),
            "external": {name: self._external_json_dict(name) for name in self.external},
        }

    def tables(self) -> dict[str, pd.DataFrame]:
        """Tables of the folder `tables/` by name."""
        by_stage = {stage: metric_table(found, titles=calibration.TITLES) for stage, found in self.calibration.items()}
        return self.evaluation.tables() | {
            "calibration": stacked(by_stage, name="stage"),
            "brier_decomposition": self.brier_parts,
            "abstention": self.risk_at_coverage,
            "prediction_sets": metric_table({EVERY_IMAGE: self.prediction_sets.overall}, titles=conformal.TITLES),
            "decision_curves": stacked(self.decisions, name="question"),
            "comparisons": stacked(self.comparisons, name="measure"),
            "half_widths": self.half_widths,
            "patients_needed": self.patients_needed,
            "external": external_table(self.external),
            **external_tables(self.external),
            **self._external_rival_tables(),
        }

    def _external_rival_tables(self) -> dict[str, pd.DataFrame]:
        """Comparisons and sample sizes of external cohorts; only those with rows."""
        if not self.told_apart:
            return {}
        compared = {name: stacked(found, name="measure") for name, found in self.external_comparisons.items()}
        tables = {
            "external_comparisons": stacked(compared, name="cohort"),
            "external_patients_needed": stacked(self.external_patients_needed, name="cohort"),
        }
        return {name: table for name, table in tables.items() if len(table)}
