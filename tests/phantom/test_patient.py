from dataclasses import replace

import numpy as np
import pytest

from helpers.phantom.acquisition import AIR_HU
from helpers.phantom.anatomy import LEVELS, TARGET_LEVELS
from helpers.phantom.patient import PATIENTS, ImageRequest, plan_images, render_image, sample_patient


def request(label="A", level="L1", **changes):
    return replace(ImageRequest(label, level, 0.0, (0.0, 0.0), None), **changes)


@pytest.fixture(scope="module")
def patient():
    return sample_patient(np.random.default_rng(2), patient_id="SIM0001", fractures={"L1": "A", "L3": "B"})


@pytest.mark.parametrize("labels", [("A",), ("A", "A", "A", "A"), ("C", "C", "C"), ("B", "C", "B"), ("A", "B", "C")])
def test_plans_keep_the_labels_and_never_share_a_level_between_classes(labels):
    for seed in range(40):
        fractures, requests = plan_images(np.random.default_rng(seed), labels=labels)
        assert tuple(r.label for r in requests) == labels
        for r in requests:
            assert r.level in TARGET_LEVELS
            assert fractures.get(r.level, "C") == r.label


def test_planes_of_one_level_lie_apart():
    for seed in range(60):
        _, requests = plan_images(np.random.default_rng(seed), labels=("B",) * 4)
        for i, a in enumerate(requests):
            for b in requests[:i]:
                if a.level == b.level:
                    assert abs(a.offset_mm - b.offset_mm) >= PATIENTS.offset_apart_mm


def test_about_a_quarter_of_the_targets_have_a_fractured_neighbour_in_every_class():
    for labels in (("A", "A"), ("B", "B"), ("C", "C")):
        beside = []
        for seed in range(400):
            fractures, requests = plan_images(np.random.default_rng(seed), labels=labels)
            for r in requests:
                index = LEVELS.index(r.level)
                beside.append(LEVELS[index - 1] in fractures or LEVELS[index + 1] in fractures)
        assert np.mean(beside) == pytest.approx(0.25, abs=0.09), labels


def test_a_patients_images_share_anatomy_and_differ_in_noise(patient):
    first, again, other = (render_image(patient, request=request(), rng=np.random.default_rng(s)) for s in (1, 1, 2))
    assert (first.hu == again.hu).all()
    spread = (first.hu.astype(float) - other.hu)[first.hu > -900].std()
    assert spread == pytest.approx(np.sqrt(2) * patient.acquisition.noise_hu, rel=0.1)


def test_the_box_sits_on_the_body(patient):
    image = render_image(patient, request=request(), rng=np.random.default_rng(0))
    x0, y0, x1, y1 = image.box
    pixel, shape = patient.acquisition.pixel_mm, image.target.shape
    assert (x1 - x0) * pixel == pytest.approx(2 * shape.half_depth_mm, abs=8)
    assert 0 <= x0 < x1 < image.hu.shape[1]
    assert 0 <= y0 < y1 < image.hu.shape[0]
    columns, rows = slice(int(x0) + 3, int(x1) - 2), slice(int(y0) + 3, int(y1) - 2)
    anterior = image.hu[rows, max(int(x0) - 12, 0) : int(x0) - 4]
    assert np.median(image.hu[rows, columns]) > np.median(anterior) + 20


def test_a_displaced_fragment_does_not_widen_the_box(patient):
    image = render_image(patient, request=request("B", "L3"), rng=np.random.default_rng(0))
    frame = image.target.frame
    corners = [image.target.shape.corner(posterior=True, lower=lower) for lower in (False, True)]
    wall = (frame.to_plane(np.array(corners))[:, 0].max() - image.origin_mm[0]) / patient.acquisition.pixel_mm
    assert image.target.fragment_mm > 1.5
    assert image.box[2] == pytest.approx(wall, abs=1.0 / patient.acquisition.pixel_mm)


def test_the_target_is_in_the_middle_give_or_take_the_jitter(patient):
    for jitter in ((0.0, 0.0), (4.0, -4.0)):
        image = render_image(patient, request=request(jitter_mm=jitter), rng=np.random.default_rng(0))
        pixel = patient.acquisition.pixel_mm
        x = (image.box[0] + image.box[2] - image.hu.shape[1] + 1) / 2 * pixel
        y = (image.box[1] + image.box[3] - image.hu.shape[0] + 1) / 2 * pixel
        assert x == pytest.approx(-PATIENTS.centre_behind_mm - jitter[0], abs=2.5)
        assert y == pytest.approx(-jitter[1], abs=4)


def test_a_cut_blanks_the_rows_beyond_it(patient):
    whole = render_image(patient, request=request(), rng=np.random.default_rng(0))
    cut = render_image(patient, request=request(cut_mm=50.0), rng=np.random.default_rng(0))
    blank = (cut.hu == AIR_HU).all(axis=1)
    first = np.flatnonzero(blank)[0]
    assert blank[first:].all()
    below = whole.origin_mm[1] + first * patient.acquisition.pixel_mm - whole.target.frame.c_mm
    assert below == pytest.approx(50, abs=patient.acquisition.pixel_mm)
    assert (cut.hu[:first] == whole.hu[:first]).all()


def test_a_wrong_label_is_refused(patient):
    with pytest.raises(ValueError, match="SIM0001 L2 is of class C, not A"):
        render_image(patient, request=request(level="L2"), rng=np.random.default_rng(0))


@pytest.mark.parametrize("fractures", [{"L9": "A"}, {"L1": "C"}, {"S1": "A"}])
def test_impossible_fractures_are_refused_by_name(fractures):
    with pytest.raises(ValueError, match=f"fractures: '{next(iter(fractures))}'"):
        sample_patient(np.random.default_rng(0), patient_id="SIM0001", fractures=fractures)
