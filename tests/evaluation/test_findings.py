"""The whole of metrics.json from one run folder: invented logits, two external cohorts."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from helpers.evaluation import findings as findings_module
from helpers.evaluation.baselines import MOST_FREQUENT, START
from helpers.evaluation.findings import Findings
from helpers.study import EvaluationParams, Run, Study
from helpers.study.artefacts import record_study

PARAMS = EvaluationParams(n_bootstrap=100)
SCHEMA = json.loads(Path(findings_module.__file__).with_name("metrics.schema.json").read_text(encoding="utf-8"))
GEOMETRY = dict.fromkeys(("center_row_px", "center_col_px", "row_spacing_mm", "column_spacing_mm"), 1.0)


def as_cohort(samples: pd.DataFrame) -> pd.DataFrame:
    """The table of notebook 01 for some rows of predictions."""
    known = samples.drop_duplicates("sample_id").rename(columns={"y_true": "label"})
    known = known[[name for name in ("cohort", "sample_id", "PatientID", "label") if name in known]]
    return known.assign(source="a", level="L1", Rows=9, Columns=9, bits=16, pixel_sha256=known["sample_id"], **GEOMETRY)


def write_run(folder: Path, predictions: pd.DataFrame, **sections: list) -> Run:
    """What notebook 04 reads of the study's own cohort; `sections` are those of a parameter file."""
    predictions.to_parquet(folder / "predictions.parquet")
    as_cohort(predictions).to_parquet(folder / "cohort.parquet")
    order = sorted(predictions["sample_id"].unique())
    index = {"row": range(len(order)), "sample_id": order, "sha256": "0", "padded_fraction": 0.0}
    pd.DataFrame(index).to_parquet(folder / "image_index.parquet")
    np.save(folder / "start_features.npy", np.random.default_rng(0).normal(size=(len(order), 2)))
    record_study(folder, Study.model_validate({"study": {"name": "any"}} | sections))
    return Run(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_study) -> Run:
    folder, predictions = tmp_path_factory.mktemp("run"), make_study(n_patients=30)
    in_validation = predictions["PatientID"].str[-1].isin(["3", "6"]) & (predictions["split"] == "train")
    predictions["split"] = predictions["split"].mask(in_validation, "validation")
    asked = predictions[predictions["PatientID"] < "P010"].drop(columns="split").drop_duplicates(["sample_id", "fold"])
    unknown = asked.assign(cohort="unknown", y_true=asked["y_true"].where(asked["y_true"] == "C", "fracture"))
    external = pd.concat([asked.assign(cohort="known"), unknown])
    external.to_parquet(folder / "external_predictions.parquet")
    tables = [as_cohort(part) for _, part in external.groupby("cohort", sort=False)]
    pd.concat(tables).to_parquet(folder / "external.parquet")
    index = pd.concat(tables)[["cohort", "sample_id"]].assign(sha256="0", padded_fraction=0.0)
    index.insert(1, "row", index.groupby("cohort").cumcount())
    index.to_parquet(folder / "external_index.parquet")
    np.save(folder / "external_start_features.npy", np.random.default_rng(1).normal(size=(len(index), 2)))
    return write_run(
        folder, predictions, external=[{"name": name, "source": "phantom"} for name in ("known", "unknown")]
    )


@pytest.fixture(scope="module")
def found(run) -> Findings:
    return Findings(run, PARAMS)


@pytest.fixture(scope="module")
def document(found) -> dict:
    return json.loads(json.dumps(found.to_json_dict(), allow_nan=False))


def test_document_follows_the_published_schema(document):
    jsonschema.validate(document, SCHEMA)
    assert set(document) == set(SCHEMA["properties"]) == set(SCHEMA["required"])


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ("calibration", ("as trained", "A", "slope")),
        ("abstention", ("all images", "aurc")),
        ("prediction_sets", ("all images", "by_patient")),
        ("decisions", ("any fracture", 0)),
        ("comparisons", ("accuracy", 0)),
        ("sample_size", ("patients", 0)),
        ("external", ("known", "comparisons", "accuracy", 0)),
        ("external", ("known", "sample_size")),
        ("external", ("known", "drop", "accuracy")),
        ("external", ("unknown", "prediction_sets", "all images", "by_patient")),
        ("external", ("unknown", "decisions", "any fracture", 0)),
    ],
)
def test_schema_knows_every_section_down_to_its_numbers(document, section, place):
    changed = json.loads(json.dumps(document))
    node = changed[section]
    for key in place:
        node = node[key]
    node["surplus"] = 1
    with pytest.raises(jsonschema.ValidationError, match="surplus"):
        jsonschema.validate(changed, SCHEMA)


@pytest.mark.parametrize(
    ("key", "value"), [("n_patients", None), ("estimate", "0.9"), ("ci_method", None), ("surplus", 1)]
)
def test_schema_refuses_a_number_without_what_belongs_to_it(document, key, value):
    changed = json.loads(json.dumps(document))
    changed["overall"]["accuracy"][key] = value
    with pytest.raises(jsonschema.ValidationError) as refusal:
        jsonschema.validate(changed, SCHEMA)
    assert list(refusal.value.absolute_path)[:2] == ["overall", "accuracy"]


def test_every_table_can_be_written_as_parquet(found, tmp_path):
    tables = found.tables()
    external = {"external", "external_prediction_sets", "external_comparisons"}
    assert {"calibration", "comparisons"} | external < set(tables)
    for name, table in tables.items():
        table.to_parquet(tmp_path / name, index=False)
        assert len(pd.read_parquet(tmp_path / name)) == len(table) > 0


def test_tables_hold_the_numbers_of_the_document(found, document):
    tables = found.tables()
    curve = tables["decision_curves"].query("question == 'any fracture'")
    assert curve["net_benefit"].tolist() == [row["net_benefit"] for row in document["decisions"]["any fracture"]]
    accuracy = tables["comparisons"].query("measure == 'accuracy'")
    assert accuracy["p_holm"].tolist() == [row["p_holm"] for row in document["comparisons"]["accuracy"]]
    slope = tables["calibration"].query("stage == 'after scaling' and of == 'B' and metric == 'slope'")["estimate"]
    assert slope.item() == document["calibration"]["after scaling"]["B"]["slope"]["estimate"]


def test_sample_size_of_an_external_cohort_without_an_error_is_not_known(found, document):
    assert document["external"]["known"]["sample_size"]["patients"] == []
    assert "external_patients_needed" not in found.tables()


def test_an_external_cohort_of_unknown_kinds_has_no_rivals(found, document):
    unknown, known = document["external"]["unknown"], document["external"]["known"]
    assert unknown["comparisons"] == {}
    assert unknown["sample_size"] is None
    rivals = [row["rival"] for row in known["comparisons"]["accuracy"]]
    assert rivals == [MOST_FREQUENT, START]
    assert known["comparisons"]["accuracy"][0]["n_samples"] == known["n_samples"]
    assert set(found.tables()["external_comparisons"]["cohort"]) == {"known"}


def test_a_study_without_external_cohorts_reads_none(tmp_path):
    record_study(tmp_path, Study.model_validate({"study": {"name": "any"}}))
    assert Findings(Run(tmp_path), PARAMS).external == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table[table["PatientID"] == "P000"],
        lambda table: table[table["y_true"] != "B"].assign(logit_A=0, logit_B=-50, logit_C=1),
        lambda table: table.assign(**{f"logit_{key}": 9 * (table["y_true"] == key) for key in "ABC"}),
    ],
    ids=["one patient", "a class absent, all answers equal", "every answer right"],
)
def test_every_section_survives_what_leaves_numbers_undefined(make_study, tmp_path, change):
    predictions = change(make_study(n_patients=8))
    logits = [name for name in predictions if name.startswith("logit_")]
    run = write_run(tmp_path, predictions.astype(dict.fromkeys(logits, "float32")))
    document = json.loads(json.dumps(Findings(run, PARAMS).to_json_dict(), allow_nan=False))
    jsonschema.validate(document, SCHEMA)
