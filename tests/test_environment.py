"""One environment in three files: pyproject.toml asks, requirements.lock pins, environment.yml tells conda the same."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.study import load_study
from helpers.sweep import load_sweep

ROOT = Path(__file__).parents[1]
SWEEPS = ("ablation.yaml",)
STUDY_CARDS = ("study_card.example.yaml",)  # tested with the room that reads them
ADDRESS = re.compile(r"https?://|file://|^\s*(-i|-f|--index-url|--extra-index-url|--find-links)\b", re.MULTILINE)


@pytest.fixture(scope="module")
def asked() -> list[Requirement]:
    """Direct dependencies of pyproject.toml: of the study, of its extras, and of developers."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    texts = [
        *content["project"]["dependencies"],
        *(text for extra in content["project"]["optional-dependencies"].values() for text in extra),
        *content["dependency-groups"]["dev"],
    ]
    return [Requirement(text) for text in texts]


@pytest.fixture(scope="module")
def locked() -> list[Requirement]:
    """Pinned packages of requirements.lock, with their markers."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [Requirement(line.removesuffix("\\").strip()) for line in lines if re.match(r"[A-Za-z0-9]", line)]


@pytest.fixture(scope="module")
def conda() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def pip_section(conda: dict) -> list[str]:
    (section,) = (entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    return section


def named(requirement: Requirement) -> str:
    extras = ",".join(sorted(requirement.extras))
    return f"{requirement.name}[{extras}]" if extras else requirement.name


def pinned(locked: list[Requirement], *, python: str) -> dict[str, str]:
    """Version of each locked package under a Python version, on Linux."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    return {
        canonicalize_name(entry.name): str(entry.specifier)
        for entry in locked
        if entry.marker is None or entry.marker.evaluate(environment)
    }


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_lock_satisfies_what_is_asked_for(asked, locked, python):
    versions = pinned(locked, python=python)
    for requirement in asked:
        version = versions[canonicalize_name(requirement.name)].removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement} but {version} is locked: run `make lock`"


def test_every_locked_package_has_one_version_and_hashes():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    assert not [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]


def test_conda_environment_pins_the_locked_versions(asked, locked, conda):
    (python,) = (entry.removeprefix("python=") for entry in conda["dependencies"] if "python=" in entry)
    versions = pinned(locked, python=python)
    expected = [f"{named(requirement)}{versions[canonicalize_name(requirement.name)]}" for requirement in asked]
    assert pip_section(conda) == [*expected, "--editable ."]


def test_conda_environment_has_a_python_that_the_project_supports(conda):
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (python,) = (entry for entry in conda["dependencies"] if str(entry).startswith("python="))
    assert Requirement(f"python{content['project']['requires-python']}").specifier.contains(python.split("=")[1])


@pytest.mark.parametrize("name", ["requirements.lock", "environment.yml", "pyproject.toml", "Makefile", ".ci/run"])
def test_no_registry_address_is_written(name):
    assert not ADDRESS.search((ROOT / name).read_text(encoding="utf-8"))


def test_there_is_no_uv_lock():
    assert not (ROOT / "uv.lock").exists()


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (ROOT / "params").glob("*.yaml") if path.name not in STUDY_CARDS),
    ids=lambda path: path.name,
)
def test_parameter_files_are_valid_and_explained(path):
    name = load_sweep(str(path)).name if path.name in SWEEPS else load_study(path).study.name
    # an example is copied under a name of the user's, who should not have to rename the run as well
    assert name == path.stem or path.stem.endswith(".example")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert sum("#" in line for line in lines) >= 5


def test_the_four_parameter_files_are_there():
    names = {path.name for path in (ROOT / "params").glob("*.yaml")}
    assert names >= {"default.yaml", "smoke.yaml", "paper.yaml", "dicom.example.yaml", "images.example.yaml"}


def test_ablations_differ_from_the_default_study_in_what_they_say_alone():
    sweep = load_sweep(str(ROOT / "params" / "ablation.yaml"))
    assert {row.against for row in sweep.rows} == {None, "reference", "phantom-input", "shuffled"}
    assert {"random-start", "by-image", "shuffled-by-image", "patients-50"} <= {row.name for row in sweep.rows}
    default = load_study(ROOT / "params" / "default.yaml")
    assert sweep.reference.study.cohort == default.cohort
    assert sweep.reference.study.training.weights == default.training.weights


def test_default_study_is_the_one_of_the_article_by_patient_and_offline():
    study = load_study(ROOT / "params" / "default.yaml")
    assert study.cohort.phantom_images == {"A": 279, "B": 295, "C": 124}
    assert (study.splits.split_method, study.splits.n_folds) == ("patient_kfold", 5)
    assert study.training.weights != "imagenet"


def test_paper_study_divides_588_and_110_images():
    study = load_study(ROOT / "params" / "paper.yaml")
    assert study.splits.split_method == "image_holdout"
    assert sum(study.cohort.phantom_images.values()) - study.splits.test_images == 588
    assert (study.training.backbone, study.training.weights) == ("resnet50", "imagenet")


def test_help_lists_the_targets():
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = re.findall(r"make (\w+)", done.stdout)
    assert {"help", "env", "study", "test", "lab", "lint", "clean"} <= set(listed)
