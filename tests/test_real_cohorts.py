"""Notebook 01 and its report on real CT of every kind: a DICOM series, NIfTI volumes with VerSe labels, image files."""

import csv
import json
import shutil
from pathlib import Path

import nibabel
import pytest
import yaml

from helpers.study import Run

SMOKE = Path(__file__).parents[1] / "params" / "smoke.yaml"
# Centres of six vertebral bodies of one patient, in voxels, as a reader clicked them. Their classes are only "upper"
# and "lower": nobody has graded them, and one patient cannot be divided: this asks whether the audit runs.
CENTRES = [(250, 332, 101), (250, 323, 82), (250, 312, 63), (250, 303, 43), (250, 300, 22), (250, 306, 3)]


@pytest.fixture
def project(shared_data, tmp_path, make_project) -> Path:
    (tmp_path / "shared").symlink_to(shared_data.parent)
    return make_project(tmp_path / "project")


@pytest.fixture
def audited(project, study):
    """audited(params): run notebook 01 and build its report; gives the run and the report's text."""

    def audit(params: dict) -> tuple[Run, str]:
        name = params["study"]["name"]
        (project / "params" / f"{name}.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        study(project, "run", f"params/{name}.yaml", "--only", "01")
        study(project, "report", name)
        run = Run(project / "runs" / name)
        return run, " ".join((run.folder / "report.html").read_text(encoding="utf-8").split())

    return audit


@pytest.mark.slow
@pytest.mark.shared
def test_a_dicom_series_gives_a_sample_for_each_centre(project, audited):
    columns = ["file", "PatientID", "label", "center_column", "center_row", "center_slice"]
    with (project / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for number, centre in enumerate(CENTRES):
            writer.writerow(["PATIENT_DICOM", "17", "U" if number < 3 else "W", *centre])
    params = {
        "study": {"name": "series"},
        "cohort": {
            "source": "dicom",
            "folder": "../shared/data/ircadb01_case17",
            "labels": "labels.csv",
            "class_names": {"U": "upper", "W": "lower"},
            "normal_class": None,
            "n_planes": 3,
        },
        "splits": {
            "split_method": "image_holdout",
            "test_images": 2,
            "intended_leakage": "one patient only: this run asks whether the audit can read a series",
        },
    }
    run, report = audited(params)
    cohort, audit = run.read_table("cohort"), run.read_json("audit")
    assert len(cohort) == 6
    assert cohort["PatientID"].nunique() == 1
    assert set(cohort["PatientOrientation"]) == {"P\\F"}
    assert cohort["row_spacing_mm"].round(2).eq(1.6).all()
    assert audit["verdicts"]["hounsfield"]["status"] == "pass"
    assert audit["verdicts"]["leakage"]["status"] == "warn"
    assert "this run asks whether the audit can read a series" in report


@pytest.mark.slow
@pytest.mark.shared
def test_nifti_volumes_with_verse_labels_are_used_as_far_as_they_are_there(project, shared_data, audited):
    """One VerSe scan is at hand; the other 1,400 rows of the published table say why they are not used."""
    scan = shared_data / "nifti" / "bonelab_verse004"
    volume = project / "verse" / "rawdata" / "sub-verse004" / "sub-verse004_ct.nii.gz"
    centroids = project / "verse" / "derivatives" / "sub-verse004" / "sub-verse004_seg-subreg_ctd.json"
    for file in (volume, centroids):
        file.parent.mkdir(parents=True)
    shutil.copy(next(path for path in scan.iterdir() if path.name.endswith("_im.nii.gz")), volume)
    centroids.write_text(json.dumps(middle_of(volume)), encoding="utf-8")
    params = yaml.safe_load(SMOKE.read_text(encoding="utf-8"))
    params["study"] = {"name": "verse"}
    params["external"] = [
        {
            "name": "verse19",
            "source": "verse",
            "folder": "verse",
            "labels": "../shared/data/verse19/ryai190138_AppendixE1.xlsx",
            "label_values": {"none": "C", "wedge": "A", "biconcave": "A"},
        }
    ]
    run, report = audited(params)
    external, exclusions = run.read_table("external"), run.read_table("external_exclusions")
    assert external[["level", "label"]].to_numpy().tolist() == [["L2", "C"]]
    assert exclusions["reason"].value_counts()["file_missing"] > 1000
    assert "overlap" in run.read_json("audit")["external"]["verse19"]["verdicts"]
    assert "verse19" in report


def middle_of(volume: Path) -> list[dict]:
    """A centroid file with L2 in the middle of the volume, in the volume's own directions."""
    image = nibabel.load(volume)
    codes = nibabel.aff2axcodes(image.affine)
    center = dict(zip("XYZ", (float(size // 2) for size in image.shape), strict=True))
    return [{"direction": ["I" if code == "S" else code for code in codes]}, {"label": 21, **center}]


@pytest.mark.slow
@pytest.mark.shared
def test_the_transfer_study_scores_real_vertebrae_and_trains_on_none(project, study):
    # As small as it can be: this asks whether the way is open from simulated training to real scores, not how good.
    params = yaml.safe_load((project / "params" / "transfer_xvertseg.example.yaml").read_text(encoding="utf-8"))
    params["cohort"] |= {"phantom_images": {"A": 14, "B": 14, "C": 14}, "phantom_patients": 28}
    params["splits"] |= {"test_fraction": 0.2, "validation_fraction": 0.25}
    params["training"] |= {"epochs": 1, "batch_size": 16, "seeds": [0]}
    params["evaluation"] = {"n_bootstrap": 100}
    shared = "../shared/data/xvertseg"
    params["external"][0] |= {"folder": f"{shared}/roi", "labels": f"{shared}/vertebrae.csv"}
    (project / "params" / "transfer.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    study(project, "run", "params/transfer.yaml")

    run = Run(project / "runs" / params["study"]["name"])
    cohort, scores = run.read_table("cohort"), run.read_table("external_scores")
    assert cohort["PatientID"].str.startswith("SIM").all()
    assert (len(scores), scores["PatientID"].nunique()) == (75, 15)
    assert scores["score"].between(0, 1).all()
    found = run.read_json("metrics")["external"]["xvertseg"]
    assert found["samples_by_label"] == {"A": 49, "C": 26}
    assert found["fracture_score"]["moderate_or_severe_counts"] == {"fractures": 10, "normal": 26, "left_out": 39}
