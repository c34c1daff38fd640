"""The Chinese summary: the same numbers, the terms of the field, marked as Chinese, and never less careful."""

import json
import re

import pytest
from bs4 import BeautifulSoup

from helpers.evaluation.baselines import HEIGHTS, START
from helpers.reporting import build_report
from helpers.reporting.chinese import class_in_chinese, share, summarise_in_chinese
from helpers.reporting.record import read_run
from helpers.reporting.summary import summarise

ZH = {"name": "fabricated", "language": "zh"}
LATIN_SENTENCE = re.compile(r"[a-z]+ [a-z]+ [a-z]+")


def in_chinese(folder):
    record = read_run(folder)
    return summarise_in_chinese(record, summary=summarise(record, headings=()))


def words(summary) -> str:
    return "".join((summary.question, summary.answer, *summary.reading, *summary.columns, *summary.caveats))


def test_numbers_are_those_of_the_metrics(make_run):
    folder = make_run(notebooks=0)
    accuracy = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["overall"]["accuracy"]
    summary = in_chinese(folder)
    low, high = 100 * accuracy["ci_low"], 100 * accuracy["ci_high"]
    assert f"准确率为 {100 * accuracy['estimate']:.1f}%（{low:.1f}%–{high:.1f}%）" in summary.answer
    assert "共 120 幅图像、60 名模拟患者" in summary.answer
    assert "95% 置信区间" in summary.answer
    assert summary.columns == ("压缩骨折 (A)", "爆裂骨折 (B)", "正常 (C)")
    assert [sum(cell.count for cell in row.cells) for row in summary.matrix] == [40, 40, 40]


def test_a_rival_that_is_not_beaten_is_named_here_too(make_run, change_json):
    folder = make_run(notebooks=0)
    rivals = [
        {"rival": HEIGHTS, "rival_value": 0.9, "ci_low": -0.03},
        {"rival": START, "rival_value": 0.3, "ci_low": 0.5},
    ]
    change_json(folder / "metrics.json", lambda metrics: metrics.update(comparisons={"balanced_accuracy": rivals}))
    assert "未能证明平衡准确率高于仅用椎体高度（90.0%）的简单分类器。" in in_chinese(folder).reading


@pytest.mark.parametrize(
    "term", ["胸腰椎骨折", "压缩骨折", "爆裂骨折", "正常", "平衡准确率", "迁移学习", "医疗器械", "模拟"]
)
def test_terms_of_the_field_are_used(make_run, term):
    assert term in words(in_chinese(make_run(notebooks=0)))


def test_a_simulated_cohort_is_said_to_be_one_and_bursts_unchecked(make_run):
    caveats = "".join(in_chinese(make_run(notebooks=0)).caveats)
    assert "图像由计算机模拟" in caveats
    assert "爆裂骨折从未在真实 CT 上验证" in caveats
    assert "没有外部测试" in caveats


def test_a_real_cohort_is_not_called_simulated(make_run):
    assert "模拟" not in words(in_chinese(make_run(notebooks=0, cohort={"source": "images", "labels": "l.csv"})))


def test_no_caveat_is_left_in_english(make_run):
    assert not LATIN_SENTENCE.search("".join(in_chinese(make_run(notebooks=0)).caveats))


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"training": {"weights": "none", "batch_norm": "learned"}}, "未使用迁移学习"),
        ({"training": {"weights": "imagenet"}}, "以 ImageNet 权重作迁移学习"),
        ({"training": {"weights": "mine.pt"}}, "以外部权重作迁移学习"),
        ({"training": {"shuffle_labels": True}}, "对照运行"),
        ({"training": {"train_patients": 20}}, "20 名训练患者"),
        ({"splits": {"split_method": "image_kfold"}}, "准确率可能偏高"),
    ],
)
def test_what_changes_the_meaning_is_told(make_run, sections, expected):
    assert expected in words(in_chinese(make_run(notebooks=0, **sections)))


def test_external_tests_are_told(make_run, change_json):
    folder = make_run(notebooks=0)
    rate = {"estimate": 0.9, "ci_low": 0.8, "ci_high": 0.95}
    fracture = {"sensitivity": rate, "specificity": rate, "auroc": rate}
    found = {"n_samples": 15, "n_patients": 9, "fracture_vs_normal": fracture, "by_class": None}
    change_json(folder / "metrics.json", lambda metrics: metrics.update(external={"far": found}))
    summary = in_chinese(folder)
    assert "外部测试 far" in summary.reading[-1]
    assert "敏感度 90.0%（80.0%–95.0%）" in summary.reading[-1]
    assert not any("没有外部测试" in line for line in summary.caveats)


def test_a_run_without_result_says_so(make_run):
    folder = make_run(notebooks=1)
    (folder / "metrics.json").unlink()
    summary = in_chinese(folder)
    assert summary.answer.startswith("尚无结果")
    assert any("尚未完成" in line for line in summary.caveats)


def test_unknown_names_and_missing_intervals():
    assert class_in_chinese("X", {"X": "Chance"}) == "Chance (X)"
    assert class_in_chinese("X", {}) == "X"
    assert share({"estimate": None, "ci_low": None, "ci_high": None}) == "无法计算"
    assert share({"estimate": 0.5, "ci_low": None, "ci_high": None}) == "50.0%（无置信区间）"


def test_page_marks_the_summary_as_chinese_and_the_rest_as_english(make_run, hostile):
    names = {"A": hostile, "B": "burst"}
    folder = make_run(notebooks=0, study=ZH, cohort={"class_names": names, "normal_class": None})
    text = build_report(folder).read_text(encoding="utf-8")
    soup = BeautifulSoup(text, "html.parser")
    section = soup.find(id="summary-zh").find_parent("section")
    assert section["lang"] == "zh-Hans"
    assert soup.html["lang"] == "en"
    assert soup.find(id="summary-zh").sourceline < soup.find(id="summary").sourceline
    assert soup.find("a", href="#summary-zh")["lang"] == "zh-Hans"
    assert hostile not in text


def test_an_english_report_has_no_chinese(complete_report):
    assert not re.search(r"[\u4e00-\u9fff]", BeautifulSoup(complete_report.read_text("utf-8"), "html.parser").main.text)
