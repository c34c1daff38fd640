from dataclasses import replace

import numpy as np
import pytest

from helpers.phantom.acquisition import AIR_HU
from helpers.phantom.anatomy import LEVELS, TARGET_LEVELS
from helpers.phantom.canvas import ORIENTATIONS
from helpers.phantom.metal import Metal
from helpers.phantom.patient import (
    PATIENTS,
    ImageRequest,
    draw_plane,
    frame_image,
    plan_images,
    render_image,
    sample_patient,
)
from helpers.phantom.simulation import PhantomSpec, plan_cohort
from helpers.phantom.truth import STRUCTURES

FRACTURES = {"L1": "A", "L3": "B"}


def render(patient, label="A", level="L1", *, seed=0, **request):
    return render_image(patient, request=ImageRequest(label, level, **request), rng=np.random.default_rng(seed))


def make_patient(seed, fractures=FRACTURES):
    return sample_patient(np.random.default_rng(seed), patient_id="SIM0001", fractures=fractures)


@pytest.fixture(scope="module")
def patient():
    return replace(make_patient(2), metal=Metal())


@pytest.mark.parametrize("labels", [("A",), ("A", "A", "A", "A"), ("C", "C", "C"), ("B", "C", "B"), ("A", "B", "C")])
def test_plans_keep_the_labels_and_never_share_a_level_between_classes(labels):
    for seed in range(40):
        fractures, requests = plan_images(np.random.default_rng(seed), labels=labels)
        assert tuple(r.label for r in requests) == labels
        for r in requests:
            assert r.level in TARGET_LEVELS
            assert fractures.get(r.level, "C") == r.label


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_planes_of_one_level_lie_apart_and_within_the_body(orientation):
    low, high = PATIENTS.offsets(orientation)
    for seed in range(60):
        _, requests = plan_images(np.random.default_rng(seed), labels=("B",) * 4, orientation=orientation)
        assert {r.orientation for r in requests} == {orientation}
        assert all(low <= r.offset_mm <= high for r in requests)
        for i, a in enumerate(requests):
            for b in requests[:i]:
                assert a.level != b.level or abs(a.offset_mm - b.offset_mm) >= PATIENTS.offset_apart_mm


def test_levels_are_imaged_as_often_as_they_weigh():
    weights = {"T12": 1.0, "L1": 2.0, "L2": 0.0, "L5": 1.0}
    plans = (plan_images(np.random.default_rng(s), labels=("A",), level_weights=weights) for s in range(400))
    levels = [requests[0].level for _, requests in plans]
    assert levels.count("L1") / 400 == pytest.approx(0.5, abs=0.08)
    assert set(levels) == {"T12", "L1", "L5"}


def test_a_quarter_of_the_targets_have_a_fractured_neighbour_and_fewer_of_the_bursts():
    beside = {label: [] for label in "ABC"}
    for task in (task for seed in range(3) for task in plan_cohort(PhantomSpec(seed=seed))):
        fractures, requests = plan_images(np.random.default_rng(task.seed), labels=task.labels)
        for r in requests:
            index = LEVELS.index(r.level)
            beside[r.label].append(LEVELS[index - 1] in fractures or LEVELS[index + 1] in fractures)
    share = {label: np.mean(found) for label, found in beside.items()}
    assert share["A"] == pytest.approx(0.25, abs=0.05)
    assert share["B"] == pytest.approx(0.13, abs=0.05)
    assert share["C"] == pytest.approx(0.28, abs=0.06)


def test_a_patients_images_share_anatomy_and_differ_in_noise(patient):
    first, again, other = (render(patient, seed=s) for s in (1, 1, 2))
    assert (first.hu == again.hu).all()
    spread = (first.hu.astype(float) - other.hu)[first.hu > -900].std()
    assert spread == pytest.approx(np.sqrt(2) * patient.acquisition.noise_hu, rel=0.15)


def test_the_same_seed_gives_the_same_patient():
    one, two, other = (make_patient(seed) for seed in (5, 5, 6))
    for patient, equal in ((two, True), (other, False)):
        plane = frame_image(one, request=ImageRequest("A", "L1"))
        pictures = [draw_plane(p, plane=replace(plane, rows=60, columns=60)) for p in (one, patient)]
        assert (pictures[0].shape == pictures[1].shape and np.array_equal(*pictures)) == equal


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_image_has_the_scanners_matrix_and_complete_truth(patient, orientation):
    image, settings = render(patient, "B", "L3", orientation=orientation), patient.acquisition
    assert image.hu.dtype == np.int16
    assert image.hu.shape == (settings.rows, settings.columns) == (image.plane.rows, image.plane.columns)
    assert image.plane.pixel_mm == settings.pixel_mm
    assert image.plane.thickness_mm == (settings.slice_mm if orientation == "axial" else settings.reformat_mm)
    assert tuple(image.masks) == STRUCTURES
    assert all(mask.shape == image.hu.shape for mask in image.masks.values())
    assert image.masks["body"].any()


@pytest.mark.parametrize(
    ("orientation", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)], ids=["left", "posterior", "caudal"]
)
def test_an_offset_moves_the_plane_across_the_slices_only(patient, orientation, axis):
    requests = (ImageRequest("A", "L1", offset, orientation=orientation) for offset in (0.0, 3.0))
    middle, moved = (np.array(frame_image(patient, request=r).centre_mm) for r in requests)
    assert moved - middle == pytest.approx(3.0 * (np.arange(3) == axis))
    assert middle[axis] == pytest.approx(patient.spine.at("L1").frame.origin_mm[axis])


@pytest.mark.parametrize("level", ["T12", "L1", "L2", "L3"])
@pytest.mark.parametrize("offset", [0.0, 5.0, -5.0])
def test_the_box_encloses_the_body_mask(level, offset):
    for seed in range(4):
        patient = make_patient(seed)
        image = render(patient, patient.spine.at(level).label, level, offset_mm=offset)
        body = np.argwhere(image.masks["body"] & ~image.masks["fragment"])[:, ::-1]
        # The box is that of the unbroken midline: pieces that slid and side bends may reach 1.5 mm beyond.
        slack = 1.5 / image.plane.pixel_mm + 0.5
        x0, y0, x1, y1 = image.box
        assert (body.min(axis=0) >= np.array([x0, y0]) - slack).all()
        assert (body.max(axis=0) <= np.array([x1, y1]) + slack).all()
        if image.target.label == "C":
            extent = np.ptp(body, axis=0)
            assert extent == pytest.approx(np.array([x1 - x0, y1 - y0]), abs=4 / image.plane.pixel_mm)
            area = len(body) / ((x1 - x0) * (y1 - y0))
            assert 0.55 < area < 1.0


@pytest.mark.parametrize("orientation", ["coronal", "axial"])
def test_other_planes_have_a_box_around_the_body_too(patient, orientation):
    image = render(patient, "C", "L2", orientation=orientation)
    body = np.argwhere(image.masks["body"])[:, ::-1]
    x0, y0, x1, y1 = image.box
    assert (body.min(axis=0) >= np.array([x0, y0]) - 1).all()
    assert (body.max(axis=0) <= np.array([x1, y1]) + 1).all()
    assert np.ptp(body, axis=0)[0] > 0.85 * (x1 - x0)


def test_the_body_is_brighter_than_what_lies_before_it(patient):
    image = render(patient)
    before = np.roll(image.masks["body"], -round(25 / image.plane.pixel_mm), axis=1) & ~image.masks["body"]
    assert np.median(image.hu[image.masks["body"]]) > np.median(image.hu[before]) + 20


def test_a_displaced_fragment_does_not_widen_the_box(patient):
    image = render(patient, "B", "L3")
    target = image.target
    corners = [(0.0, *target.shape.corner(posterior=True, lower=lower)) for lower in (False, True)]
    wall = image.plane.to_pixels(target.frame.to_patient(np.array(corners)))[:, 0].max()
    assert target.fragment_mm > 1.3
    assert image.box[2] == pytest.approx(wall, abs=1.3 / image.plane.pixel_mm)


@pytest.mark.parametrize("jitter", [(0.0, 0.0), (4.0, -4.0)])
def test_the_target_is_in_the_middle_give_or_take_the_jitter(patient, jitter):
    image = render(patient, jitter_mm=jitter)
    pixel = image.plane.pixel_mm
    x = (image.box[0] + image.box[2] - image.hu.shape[1] + 1) / 2 * pixel
    y = (image.box[1] + image.box[3] - image.hu.shape[0] + 1) / 2 * pixel
    assert x == pytest.approx(-PATIENTS.centre_behind_mm - jitter[0], abs=2.5)
    assert y == pytest.approx(-jitter[1], abs=4)


@pytest.mark.parametrize("orientation", ["sagittal", "coronal"])
@pytest.mark.parametrize("cut_mm", [50.0, -50.0])
def test_a_cut_blanks_the_rows_beyond_it(patient, orientation, cut_mm):
    whole, cut = (render(patient, orientation=orientation, cut_mm=c) for c in (None, cut_mm))
    rows = whole.plane.corner_mm[2] + whole.plane.pixel_mm * np.arange(whole.plane.rows)
    away = (rows - whole.target.frame.origin_mm[2]) * np.sign(cut_mm)
    assert (cut.hu[away > 50] == AIR_HU).all()
    assert (away > 50).sum() > 10
    assert (cut.hu[away <= 50] == whole.hu[away <= 50]).all()


def test_an_axial_image_has_no_end_along_the_patient(patient):
    whole, cut = (render(patient, orientation="axial", cut_mm=c) for c in (None, 50.0))
    assert (cut.hu == whole.hu).all()


def test_a_wrong_label_is_refused(patient):
    with pytest.raises(ValueError, match="SIM0001 L2 is of class C, not A"):
        render(patient, level="L2")


def test_an_unknown_level_and_an_unknown_orientation_are_refused_by_name(patient):
    with pytest.raises(ValueError, match="level: 'L6'"):
        render(patient, level="L6")
    with pytest.raises(ValueError, match="orientation: 'oblique'"):
        render(patient, orientation="oblique")
    with pytest.raises(ValueError, match="orientation: 'oblique'"):
        plan_images(np.random.default_rng(0), labels=("A",), orientation="oblique")


@pytest.mark.parametrize("fractures", [{"L9": "A"}, {"L1": "C"}, {"S1": "A"}])
def test_impossible_fractures_are_refused_by_name(fractures):
    with pytest.raises(ValueError, match=f"fractures: '{next(iter(fractures))}'"):
        make_patient(0, fractures)
