import itertools
import json

import nibabel as nib
import numpy as np
import pytest

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.nifti import Grid
from helpers.cohort.labels.centroids import LEVELS, center_mm, read_centroids

SHAPE = (5, 6, 7)
ORIENTATIONS = [codes for pairs in itertools.permutations(("RL", "AP", "SI")) for codes in itertools.product(*pairs)]


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def vertebra(label=20, place=(1.0, 2.0, 3.0)):
    return {"label": label, **dict(zip("XYZ", place, strict=True))}


def grid_of(codes, *, spacing=(0.5, 0.8, 2.0)):
    """A volume whose axes run towards these directions."""
    affine = np.zeros((4, 4))
    for column, (code, step) in enumerate(zip(codes, spacing, strict=True)):
        row, sign = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}[code]
        affine[row, column] = sign * step
    affine[:3, 3], affine[3, 3] = (12.0, -34.0, 56.0), 1
    return Grid(SHAPE, affine)


@pytest.mark.parametrize("stored", [("L", "P", "S"), ("P", "I", "R"), ("A", "R", "I"), ("S", "L", "P")])
@pytest.mark.parametrize("direction", ORIENTATIONS)
def test_a_voxel_is_found_whichever_way_centroids_are_counted(tmp_path, stored, direction):
    """Independent: nibabel turns a volume with one marked voxel to the direction of the file, where it is looked up."""
    grid = grid_of(stored)
    marked = np.zeros(SHAPE, np.uint8)
    marked[4, 1, 2] = 1
    image = nib.Nifti1Image(marked, grid.affine)
    turn = nib.orientations.ornt_transform(nib.io_orientation(grid.affine), nib.orientations.axcodes2ornt(direction))
    place = np.argwhere(np.asarray(image.as_reoriented(turn).dataobj))[0]
    path = write(tmp_path / "x_ctd.json", [{"direction": direction}, vertebra(20, [float(value) for value in place])])
    right, anterior, superior = nib.affines.apply_affine(grid.affine, (4, 1, 2))
    assert center_mm(read_centroids(path), "L1", grid=grid) == pytest.approx((-right, -anterior, superior))


def test_the_isotropic_files_of_the_challenge_count_mm(tmp_path):
    path = write(tmp_path / "verse500_CT-ax_iso-ctd.json", [vertebra(20, (1.0, 1.6, 8.0))])
    centroids = read_centroids(path)
    assert (centroids.direction, centroids.in_mm) == (("P", "I", "R"), True)
    # Voxel (2, 2, 4) of a volume that is stored along P, I, R.
    grid = grid_of(("P", "I", "R"))
    right, anterior, superior = nib.affines.apply_affine(grid.affine, (2, 2, 4))
    assert center_mm(centroids, "L1", grid=grid) == pytest.approx((-right, -anterior, superior))


def test_labels_are_those_of_verse():
    assert [LEVELS[number] for number in (1, 7, 8, 19, 20, 25, 28)] == ["C1", "C7", "T1", "T12", "L1", "L6", "T13"]
    assert 26 not in LEVELS


def test_what_is_no_vertebra_or_has_no_place_is_left_out(tmp_path):
    entries = [{"label": 26}, {"label": 21, "X": float("nan")}, {"label": 22.0}]
    entries = [{"X": 1, "Y": 2, "Z": 3} | entry for entry in entries]
    content = [{"direction": ["P", "I", "R"]}, *entries]
    assert read_centroids(write(tmp_path / "a_ctd.json", content)).places == {"L3": (1, 2, 3)}


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "{}",
        "[1, 2]",
        [vertebra()],
        [{"direction": ["P", "I"]}, vertebra()],
        [{"direction": ["P", "I", "S"]}, vertebra()],
        [{"direction": ["x", "y", "z"]}, vertebra()],
        [{"direction": 3}, vertebra()],
        [{"direction": ["P", "I", "R"]}, {"direction": ["L", "P", "S"]}, vertebra()],
        [{"direction": ["P", "I", "R"]}, {"label": 20, "X": 1, "Y": 2}],
        [{"direction": ["P", "I", "R"]}, vertebra(place=(1, 2, "three"))],
        [{"direction": ["P", "I", "R"]}, vertebra(label=20.5)],
        [{"direction": ["P", "I", "R"]}, vertebra(label="L1")],
        [{"direction": ["P", "I", "R"]}, vertebra(), vertebra(place=(1, 2, 4))],
    ],
)
def test_other_files_are_refused(tmp_path, content):
    with pytest.raises(NotUsable) as caught:
        read_centroids(write(tmp_path / "a_ctd.json", content))
    assert caught.value.reason is Reason.UNREADABLE_CENTROIDS


@pytest.mark.parametrize(
    ("level", "place", "reason"),
    [
        ("L2", (1, 2, 3), Reason.NO_CENTROID),
        ("L1", (4.6, 2, 3), Reason.CENTER_OUTSIDE_VOLUME),
        ("L1", (1, 2, -0.6), Reason.CENTER_OUTSIDE_VOLUME),
    ],
)
def test_a_vertebra_that_is_not_there_is_told(tmp_path, level, place, reason):
    centroids = read_centroids(write(tmp_path / "a_ctd.json", [{"direction": ["P", "I", "R"]}, vertebra(20, place)]))
    with pytest.raises(NotUsable, match=level) as caught:
        center_mm(centroids, level, grid=grid_of(("P", "I", "R")))
    assert caught.value.reason is reason


@pytest.mark.shared
def test_real_centroid_files_run_down_the_spine(shared_data):
    folder = shared_data / "verse19" / "centroid_example"
    body, whole = (read_centroids(folder / f"sub-verse004_seg-{part}_ctd.json") for part in ("vb", "subreg"))
    assert list(whole.places) == ["T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5"]
    assert whole.direction == ("P", "I", "R")
    grid = Grid((130, 310, 62), grid_of(("P", "I", "R"), spacing=(1.0, 1.0, 2.0)).affine)
    heights = [center_mm(whole, level, grid=grid)[2] for level in whole.places]
    assert (np.diff(heights) < 0).all()
    apart = [
        np.subtract(center_mm(whole, level, grid=grid), center_mm(body, level, grid=grid)) for level in body.places
    ]
    assert np.linalg.norm(apart, axis=1).max() < 3
