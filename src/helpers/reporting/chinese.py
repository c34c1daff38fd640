"""A summary of the first screen in Chinese (simplified), from the same numbers as the English one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from helpers.evaluation.baselines import HEIGHTS, METADATA, MOST_FREQUENT, START
from helpers.reporting.record import RunRecord
from helpers.reporting.start import KNOWN, starting_point
from helpers.reporting.summary import MatrixRow, Summary, network_name, unbeaten

CLASSES = {"compression": "压缩骨折", "burst": "爆裂骨折", "normal": "正常", "fracture": "骨折", "any fracture": "骨折"}
STARTS = {
    KNOWN["none"].name: "从随机权重开始训练（未使用迁移学习）",
    KNOWN["ct"].name: "以源自 CT 的权重作迁移学习",
    KNOWN["imagenet"].name: "以 ImageNet 权重作迁移学习",
    KNOWN["phantom"].name: "以模拟 CT 训练的权重作迁移学习",
}
RIVALS = {
    MOST_FREQUENT: "最常见的类别",
    METADATA: "采集参数、年龄和性别",
    HEIGHTS: "椎体高度",
    START: "未经训练的初始权重",
}
# What the English first screen says that the study is not; a line that is not here stays in English.
CAVEATS = {
    "Not a medical device: not for diagnosis or any decision about a patient.": (
        "本研究不是医疗器械，不得用于诊断或任何涉及患者的决定。"
    ),
    "Simulated images: no patient was scanned, and the numbers say nothing about patients.": (
        "图像由计算机模拟，没有扫描任何患者；结果不能说明患者、设备或医院的情况。"
    ),
    "Burst fractures have never been checked on real CT.": "爆裂骨折从未在真实 CT 上验证。",
}


@dataclass(frozen=True)
class ChineseSummary:
    """Question, answer, how to read it, the confusion matrix, and what the study is not; empty parts are not there."""

    question: str
    answer: str
    reading: tuple[str, ...]
    columns: tuple[str, ...]
    matrix: tuple[MatrixRow, ...]
    caveats: tuple[str, ...]


def summarise_in_chinese(record: RunRecord, *, summary: Summary) -> ChineseSummary:
    """Say in Chinese what the English first screen, `summary`, says."""
    metrics = record.metrics or {}
    keys = metrics["confusion"]["classes"] if metrics else ()
    labels = tuple(class_in_chinese(key, metrics["cohort"]["class_names"]) for key in keys)
    return ChineseSummary(
        question=_question(record),
        answer=_answer(record) if metrics else "尚无结果：本次运行还没有进行评价。",
        reading=tuple(_reading(record)),
        columns=labels,
        matrix=tuple(replace(row, label=label) for row, label in zip(summary.matrix, labels, strict=True)),
        caveats=tuple(_caveats(record, summary=summary)),
    )


def class_in_chinese(key: str, names: Mapping[str, str]) -> str:
    """A class by its Chinese name and its key; a name that is not known here stays as it is."""
    name = names.get(key, key)
    known = CLASSES.get(name.lower(), name)
    return known if known == key else f"{known} ({key})"


def share(metric: Mapping[str, Any]) -> str:
    """A share in percent with its interval, for example 90.4%（87.6%–92.6%）."""
    if metric["estimate"] is None:
        return "无法计算"
    value = f"{100 * metric['estimate']:.1f}%"
    if metric["ci_low"] is None:
        return f"{value}（无置信区间）"
    return f"{value}（{100 * metric['ci_low']:.1f}%–{100 * metric['ci_high']:.1f}%）"


def _question(record: RunRecord) -> str:
    names = record.study.cohort.class_names
    *first, last = (class_in_chinese(key, names) for key in names)
    classes = f"{'、'.join(first)} 与{last}"
    start = starting_point(record)
    how = STARTS.get(start.name, f"以外部权重作迁移学习（{start.name}）")
    images = "胸腰椎模拟 CT 图像" if record.is_simulated else "胸腰椎 CT 图像"
    unseen = (
        "测试图像未用于训练，但可能与训练图像来自同一患者" if record.tests_known_patients else "测试患者均未用于训练"
    )
    return f"胸腰椎骨折分类：改良的 {network_name(record)}（{how}）能否在{images}上区分{classes}？{unseen}。"


def _answer(record: RunRecord) -> str:
    metrics = record.metrics
    accuracy, balanced = (metrics["overall"][name] for name in ("accuracy", "balanced_accuracy"))
    trivial = 100 * metrics["baseline"]["accuracy"]["estimate"]
    return (
        f"留出图像的准确率为 {share(accuracy)}，平衡准确率为 {share(balanced)}；{_basis(record, accuracy)}。"
        f"括号内为 {100 * metrics['bootstrap']['confidence']:g}% 置信区间，按患者重抽样。"
        f"若一律回答最常见的类别，准确率为 {trivial:.1f}%。"
    )


def _basis(record: RunRecord, metric: Mapping[str, Any]) -> str:
    patients = "名模拟患者" if record.is_simulated else "名患者"
    return f"共 {metric['n_samples']} 幅图像、{metric['n_patients']} {patients}"


def _reading(record: RunRecord) -> Iterator[str]:
    """What else the answer stands on: controls, a leaking split, external cohorts."""
    training = record.study.training
    if training.shuffle_labels:
        yield "对照运行：标签已在患者之间随机打乱，准确率应当接近随机水平。"
    if training.train_patients is not None:
        yield f"每个网络只使用了 {training.train_patients} 名训练患者。"
    if record.tests_known_patients:
        yield "同一患者的图像可能同时出现在训练集和测试集中，准确率可能偏高。"
    metrics = record.metrics or {}
    if metrics:
        yield f"各类敏感度：{'；'.join(_sensitivities(metrics))}。"
    if rivals := [f"{RIVALS[rival['rival']]}（{100 * rival['rival_value']:.1f}%）" for rival in unbeaten(metrics)]:
        yield f"未能证明平衡准确率高于仅用{'、'.join(rivals)}的简单分类器。"
    for name, found in metrics.get("external", {}).items():
        yield _external(name, found)


def _sensitivities(metrics: Mapping[str, Any]) -> Iterator[str]:
    for key, found in metrics["per_class"].items():
        yield f"{class_in_chinese(key, metrics['cohort']['class_names'])} {share(found['sensitivity'])}"


def _external(name: str, found: Mapping[str, Any]) -> str:
    basis = f"外部测试 {name}（{found['n_samples']} 幅图像、{found['n_patients']} 个患者编号）"
    if fracture := found["fracture_vs_normal"]:
        rates = f"敏感度 {share(fracture['sensitivity'])}，特异度 {share(fracture['specificity'])}"
        return f"{basis}：区分骨折与正常，{rates}。"
    if by_class := found["by_class"]:
        return f"{basis}：准确率 {share(by_class['overall']['accuracy'])}。"
    return f"{basis}：只有一个类别，无法评价。"


def _caveats(record: RunRecord, *, summary: Summary) -> Iterator[str]:
    yield from (CAVEATS.get(line, line) for line in summary.caveats)
    if not (record.metrics and record.metrics["external"]):
        yield "没有外部测试：测试图像与训练图像来自同一队列。"
    if summary.missing:
        yield "本次运行尚未完成，缺少的部分见英文摘要。"
    yield "报告其余部分为英文；如有出入，以英文为准。"
