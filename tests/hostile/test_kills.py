"""The benchmark that kills studies: where it kills, and that it would notice."""

import importlib.util
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "kills.py"


@pytest.fixture(scope="module")
def kills():
    spec = importlib.util.spec_from_file_location("kills", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_folder(folder: Path, *, metrics: str = "{}") -> Path:
    (folder / "notebooks").mkdir(parents=True)
    (folder / "metrics.json").write_text(metrics)
    (folder / "notebooks" / "01.ipynb").write_text(folder.name)
    pd.DataFrame({"y": [1]}).to_parquet(folder / "predictions.parquet")
    return folder


def test_every_stage_is_killed_as_often_within_the_time_it_took(kills, tmp_path):
    took = {"01_data_audit": 10.0, "02_preprocessing": 1.0, "report": 4.0}
    lines = [json.dumps({"stage": stage, "event": "done", "seconds": seconds}) for stage, seconds in took.items()]
    (tmp_path / "journal.jsonl").write_text("\n".join([*lines, '{"torn']))
    moments = list(kills.moments(tmp_path, n=12))
    assert Counter(moment.stage for moment in moments) == dict.fromkeys(took, 4)
    assert [moment.seconds for moment in moments[:4]] == pytest.approx([1.25, 3.75, 6.25, 8.75])
    assert all(0 < moment.seconds < took[moment.stage] for moment in moments)


def test_a_torn_artefact_is_noticed_and_a_temporary_file_is_none(kills, tmp_path):
    run = run_folder(tmp_path / "run")
    (run / ".predictions.parquet.x.tmp").write_text("half")
    assert kills.damaged(run) == []
    content = (run / "predictions.parquet").read_bytes()
    (run / "predictions.parquet").write_bytes(content[: len(content) // 2])
    (run / "metrics.json").write_text('{"a": ')
    assert [line.partition(":")[0] for line in kills.damaged(run)] == ["metrics.json", "predictions.parquet"]


def test_the_order_of_a_header_is_no_difference(kills, tmp_path):
    calm, shaken = (run_folder(tmp_path / name) for name in ("calm", "shaken"))
    for run, metadata in ((calm, '{"a":"1","b":"2"}'), (shaken, '{"b":"2","a":"1"}')):
        header = f'{{"__metadata__":{metadata}}}'.encode()
        (run / "fold.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert kills.differences(calm, shaken) == []


def test_runs_are_equal_but_for_what_tells_the_time(kills, tmp_path):
    calm, shaken = (run_folder(tmp_path / name) for name in ("calm", "shaken"))
    assert kills.differences(calm, shaken) == []
    (shaken / "metrics.json").write_text('{"a": 1}')
    (shaken / ".left.tmp").touch()
    (calm / "report.html").touch()
    assert kills.differences(calm, shaken) == [".left.tmp", "metrics.json", "report.html"]
