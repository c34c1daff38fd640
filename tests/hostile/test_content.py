"""Texts of strangers in file names, labels and parameters: they stay text, and stay where they belong."""

import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.cli import main
from helpers.cohort import read_cohort, split_cohort
from helpers.cohort.audit import copy_list, leak_list
from helpers.cohort.splits.manifest import split_manifest
from helpers.study import ArtefactError, CohortParams, ParameterError, Run, SplitParams, load_study
from helpers.study.spreadsheets import FORMULA_STARTS
from helpers.study.stages import STAGES

REPOSITORY = Path(__file__).parents[2]
HOSTILE_NAMES = (
    "=cmd|' calc'!A1", "+1", "-2+3", "@SUM(A1)", "<script>alert(1)<script>", "{{7*7}}", "\x1b[2J\x1b]0;x\x07", "a\nb",
    "a\rb", "\u202egnp", "\uff1dHYPERLINK(0)", "'=1", '"', "a,b;c", "%s%n", "$(id)", "\t=1",
)  # fmt: skip


@pytest.fixture
def params(tmp_path, monkeypatch):
    """An image folder whose files have hostile names, sorted into class folders."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    for place, name in enumerate(HOSTILE_NAMES):
        file = tmp_path / "pictures" / "ABC"[place % 3] / f"{name} patient{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8)).save(file)
        (tmp_path / "pictures" / f"{name}.txt").write_text("no image")
    (tmp_path / "pictures" / os.fsdecode(b"A/\xff\xfe patient99.png")).write_bytes(file.read_bytes())
    return CohortParams(source="images", folder="pictures", mm_per_px=0.5, workers=1)


@pytest.fixture
def cohort(params):
    return read_cohort(params)


def cells(table):
    return [cell for row in csv.reader(table.to_csv(index=False).splitlines()) for cell in row]


def test_no_cell_of_a_written_table_is_a_formula(cohort, params):
    splits = split_cohort(cohort.table, SplitParams(split_method="image_holdout", test_images=6))
    written = (
        cohort.exclusions, copy_list(cohort), leak_list(cohort, splits, params=params),
        split_manifest(cohort.table, splits),
    )  # fmt: skip
    assert len(cohort.table) == sum(name.isprintable() or "\u202e" in name for name in HOSTILE_NAMES)
    starts = [cell for table in written for cell in cells(table) if cell.startswith(FORMULA_STARTS)]
    assert [cell for cell in starts if not re.fullmatch(r"-?\d+(\.\d+)?", cell)] == []


def test_a_table_of_hostile_names_is_read_back_as_it_was(cohort, params, tmp_path):
    splits = split_cohort(cohort.table, SplitParams(split_method="image_holdout", test_images=6))
    split_manifest(cohort.table, splits).to_csv(tmp_path / "labels.csv", index=False)
    again = read_cohort(params.model_copy(update={"labels": "labels.csv"}))
    assert again.table["source"].tolist() == cohort.table["source"].tolist()


def test_exclusions_show_what_is_invisible(cohort):
    listed = "".join(cohort.exclusions["source"])
    assert listed.isprintable()
    assert r"\x1b[2J" in listed
    assert r"\u202egnp" in listed


def test_a_name_that_is_no_text_is_told(cohort):
    told = set(cohort.exclusions.query("reason == 'name_not_text'")["source"])
    assert r"A/\udcff\udcfe patient99.png" in told
    assert r"B/a\x0ab patient7.png" in told


@pytest.mark.parametrize("text", ["\x1b[31m", "\x9b2J", "\u202e", "\x07", "\r"])
@pytest.mark.parametrize("place", ["study: {{name: {0}}}", "{0}: 1", "cohort: {{label_values: {{a: {0}}}}}"])
def test_messages_hold_nothing_invisible(tmp_path, monkeypatch, capsys, text, place):
    monkeypatch.chdir(tmp_path)
    quoted = '"' + "".join(f"\\u{ord(char):04x}" for char in f"{text}owned") + '"'
    (tmp_path / "hostile.yaml").write_text(place.format(quoted))
    assert main(["check", "hostile.yaml"]) == 1
    said = capsys.readouterr().err
    assert "owned" in said
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "..", ".hidden", "", "x\n", "x\0", "a\\b", "~", "x/../y"])
def test_a_study_cannot_be_called_like_a_path(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    quoted = '"' + "".join(f"\\u{ord(char):04x}" for char in name) + '"'
    (tmp_path / "study.yaml").write_text(f"study: {{name: {quoted}}}")
    with pytest.raises(ParameterError, match=r"study\.name"):
        load_study("study.yaml")


@pytest.mark.parametrize("key", ["A\n", "../A", "=A", "A B", "A\u202e", ""])
def test_a_class_cannot_be_called_like_anything(key):
    with pytest.raises(ValueError, match="class_names needs"):
        CohortParams(class_names={key: "x", "C": "normal"})


@pytest.mark.parametrize("name", ["tables/../../x", "checkpoints//etc/passwd", "../cohort", "cohort/../x"])
def test_no_artefact_lies_outside_the_run_folder(tmp_path, name):
    run = Run(tmp_path, stage=STAGES[2].key)
    with pytest.raises(ArtefactError):
        run.output(name)


def test_jupyterlab_listens_to_this_machine_only_and_asks_for_its_token():
    (line,) = re.findall(r"jupyter lab (.*)", (REPOSITORY / "Makefile").read_text())
    assert "--ip=127.0.0.1" in line
    assert not re.search(r"token|password|allow_origin|disable_check_xsrf|allow_remote_access|allow-root", line)
