import numpy as np
import pytest
from PIL import Image

from helpers.cohort import read_cohort
from helpers.cohort.external import external_summary, read_external, stacked
from helpers.study import CohortParams, ExternalCohort
from helpers.study.schemas import EXTERNAL, EXTERNAL_EXCLUSIONS

CLASSES = {"A": "compression", "C": "normal"}


@pytest.fixture
def make_images(tmp_path):
    """make_images(name, seeds, labels) -> parameters of an image cohort, one patient an image."""

    def make(folder_name, *, seeds, labels="AC" * 3, model=CohortParams, **more):
        folder = tmp_path / folder_name
        folder.mkdir()
        rows = ["file,PatientID,label"]
        for seed, label in zip(seeds, labels, strict=False):
            pixels = np.random.default_rng(seed).integers(0, 255, (64, 64), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{seed}.png")
            rows.append(f"{seed}.png,{folder_name}{seed},{label}")
        (tmp_path / f"{folder_name}.csv").write_text("\n".join(rows))
        given = {"source": "images", "folder": folder_name, "labels": f"{folder_name}.csv", "mm_per_px": 0.5} | more
        return model(**({"class_names": CLASSES} | given))

    return make


def test_an_external_cohort_is_audited_and_may_lack_a_class(make_images):
    own = read_cohort(make_images("own", seeds=range(6)))
    far = make_images("far", seeds=range(10, 13), labels="AAA", model=ExternalCohort, name="far")
    (audited,) = read_external([far], development=own)
    assert audited.audit["verdicts"]["overlap"]["status"] == "pass"
    assert not {"leakage", "classes_per_split"} & set(audited.audit["verdicts"])
    assert external_summary([audited]).to_dict("records") == [
        {"cohort": "far", "class": "A", "samples": 3, "patients": 3, "left out of the cohort": 0}
    ]


def test_images_that_were_trained_on_are_found_in_it(make_images):
    own = read_cohort(make_images("own", seeds=range(6)))
    far = make_images("far", seeds=[10, 2, 11], model=ExternalCohort, name="far")
    (audited,) = read_external([far], development=own)
    verdict = audited.audit["verdicts"]["overlap"]
    assert verdict["status"] == "fail"
    assert verdict["found"] >= 1


def test_tables_are_stacked_with_the_name_in_front(make_images):
    own = read_cohort(make_images("own", seeds=range(6)))
    cohorts = []
    for name, seeds in (("near", range(10, 13)), ("far", range(20, 24))):
        cohorts.append(make_images(name, seeds=seeds, model=ExternalCohort, name=name))
    audited = read_external(cohorts, development=own)
    table = EXTERNAL.validate(stacked(audited))
    assert table["cohort"].value_counts().to_dict() == {"near": 3, "far": 4}
    assert EXTERNAL_EXCLUSIONS.validate(stacked(audited, exclusions=True)).empty


def test_numbers_of_simulated_patients_say_nothing_about_overlap(tmp_path):
    small = {"folder": "sim", "phantom_images": {"A": 1, "B": 1, "C": 1}, "phantom_patients": 3}
    own = read_cohort(CohortParams(**small, phantom_seed=1))
    (other,) = read_external([ExternalCohort(**small, phantom_seed=2, name="other")], development=own)
    assert other.audit["verdicts"]["overlap"]["status"] == "pass"
    (same,) = read_external([ExternalCohort(**small, phantom_seed=1, name="same")], development=own)
    assert same.audit["verdicts"]["overlap"]["status"] == "fail"
