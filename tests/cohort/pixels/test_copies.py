import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter, rotate

from helpers.cohort.pixels.copies import MAX_BITS, ORIENTATIONS, _close_hashes, copy_groups, find_copies
from helpers.cohort.pixels.measures import thumbnail
from helpers.phantom import PhantomSpec, plan_cohort
from helpers.phantom.simulation import simulate_patient


def jpeg(pixels, quality=50):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def resized(pixels, factor):
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def noisy(pixels):
    noise = np.random.default_rng(0).normal(0, 10, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def sharpened(pixels):
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.UnsharpMask(2, 150)))


def tilted(pixels, angle=7):
    return rotate(pixels, angle, reshape=False, order=1, mode="constant")


ALTERED = {
    "smaller": lambda pixels: resized(pixels, 0.5),
    "larger": lambda pixels: resized(pixels, 1.6),
    "squeezed": lambda pixels: np.asarray(Image.fromarray(pixels).resize((128, 128))),
    "jpeg": jpeg,
    "brighter": lambda pixels: np.clip(pixels.astype(int) + 40, 0, 255).astype(np.uint8),
    "flat": lambda pixels: (pixels * 0.6 + 50).astype(np.uint8),
    "harder": lambda pixels: np.clip((pixels - 128.0) * 1.3 + 128, 0, 255).astype(np.uint8),
    "noisy": noisy,
    "sharpened": sharpened,
    "blurred": lambda pixels: gaussian_filter(pixels, 1.5),
    "in HU": lambda pixels: pixels * np.float32(9) - 1000,
}
TURNED = {
    "quarter": np.rot90,
    "half": lambda pixels: np.rot90(pixels, 2),
    "three quarters": lambda pixels: np.rot90(pixels, 3),
    "mirrored": np.fliplr,
    "upside down": np.flipud,
    "transposed": np.transpose,
    "turned, mirrored and compressed": lambda pixels: jpeg(np.ascontiguousarray(np.rot90(pixels)[:, ::-1])),
}


@pytest.fixture(scope="module")
def simulated():
    """Images of eight simulated patients in HU and who they show."""
    spec = PhantomSpec(images={"A": 6, "B": 4, "C": 4}, patients=8, seed=5)
    shown = [(task.patient_id, image) for task in plan_cohort(spec) for image in simulate_patient(task)[1]]
    return [image.hu.astype(np.float32) for _, image in shown], [patient for patient, _ in shown]


@pytest.fixture(scope="module")
def greys(simulated):
    """The same windowed to 8 bits."""
    return [np.clip((pixels + 400) / 1400 * 255, 0, 255).astype(np.uint8) for pixels in simulated[0]]


@pytest.fixture
def find():
    """find(pictures, names=...) -> pairs; the sample of each picture is called by its place in the list."""

    def run(pictures, names=None, hashes=None):
        hashes = hashes or [f"h{number}" for number in range(len(pictures))]
        names = names or [f"{number}.png" for number in range(len(pictures))]
        table = pd.DataFrame(
            {
                "sample_id": [f"S{number:02d}" for number in range(len(pictures))],
                "source": names,
                "pixel_sha256": hashes,
            }
        )
        thumbnails = {
            name: thumbnail(np.ascontiguousarray(pixels)) for name, pixels in zip(hashes, pictures, strict=True)
        }
        return find_copies(table, thumbnails=thumbnails)

    return run


def pairs(copies):
    return list(copies[["sample_a", "sample_b", "kind"]].itertuples(index=False, name=None))


def test_images_of_different_patients_are_no_copies(simulated, find):
    pictures, patients = simulated
    found = find(pictures)
    whose = dict(zip([f"S{number:02d}" for number in range(len(pictures))], patients, strict=True))
    assert [(a, b) for a, b, _ in pairs(found) if whose[a] != whose[b]] == []


def test_black_borders_make_no_copies(simulated, find):
    """Pictures of one export often have the same border, the strongest edge of all."""
    pictures, patients = simulated
    framed = [pixels.copy() for pixels in pictures]
    for pixels in framed:
        rows, columns = pixels.shape
        pixels[: rows // 5] = pixels[-rows // 5 :] = pixels[:, : columns // 7] = pixels.min()
    whose = dict(zip([f"S{number:02d}" for number in range(len(framed))], patients, strict=True))
    assert [(a, b) for a, b, _ in pairs(find(framed)) if whose[a] != whose[b]] == []
    copy = jpeg(np.clip((framed[2] + 400) / 1400 * 255, 0, 255).astype(np.uint8))
    assert f"S{len(framed)}" in set(find([*framed, copy])["sample_b"])


@pytest.mark.parametrize("how", ALTERED)
def test_altered_copies_are_near(greys, find, how):
    found = find([*greys[:8], ALTERED[how](greys[3])])
    assert ("S03", "S08", "near") in pairs(found)
    assert found["correlation"].between(0.85, 1).all()


@pytest.mark.parametrize("how", TURNED)
def test_turned_copies_are_augmented(greys, find, how):
    assert ("S02", "S08", "augmented") in pairs(find([*greys[:8], TURNED[how](greys[2])]))


def test_a_tilted_copy_is_told_by_its_name(greys, find):
    pictures = [*greys[:4], tilted(greys[1])]
    names = ["a.png", "b.png", "c.png", "d.png", "sub/b-rotated7.png"]
    assert ("S01", "S04", "augmented") in pairs(find(pictures, names))
    assert "S04" not in set(find(pictures)["sample_b"])


def test_a_near_copy_whose_name_tells_of_it_is_augmented(greys, find):
    pictures = [*greys[:4], sharpened(greys[1])]
    names = ["a.png", "b.png", "c.png", "d.png", "b-sharpened.png"]
    assert ("S01", "S04", "near") in pairs(find(pictures))
    found = [pair for pair in pairs(find(pictures, names)) if pair[:2] == ("S01", "S04")]
    assert found == [("S01", "S04", "augmented")]


def test_a_name_alone_makes_no_copy(simulated, greys, find):
    patients = simulated[1]
    other = next(number for number, patient in enumerate(patients) if patient != patients[0])
    assert pairs(find([greys[0], greys[other]], ["a.png", "a-rotated2.png"])) == []


def test_the_same_pixels_in_three_files_are_paired_with_the_first(greys, find):
    found = find([greys[0]] * 3, hashes=["h"] * 3)
    assert pairs(found) == [("S00", "S01", "identical"), ("S00", "S02", "identical")]
    assert found["correlation"].tolist() == [1, 1]


def test_two_samples_of_one_picture_are_no_copies(greys, find):
    assert pairs(find([greys[0]] * 2, names=["a.png"] * 2, hashes=["h"] * 2)) == []


def test_blank_pictures_resemble_nothing(find):
    blank = np.zeros((40, 40), np.uint8)
    assert pairs(find([blank, blank + 9, np.eye(40, dtype=np.uint8)])) == []


def test_an_empty_cohort_and_one_without_thumbnails_have_no_near_copies(find):
    assert find([]).empty
    table = pd.DataFrame({"sample_id": ["a", "b"], "source": ["1", "2"], "pixel_sha256": ["h", "h"]})
    assert pairs(find_copies(table, thumbnails={})) == [("a", "b", "identical")]


def test_the_order_of_the_rows_does_not_matter(greys, find):
    pictures = [*greys[:5], jpeg(greys[0]), np.fliplr(greys[1])]
    table = pd.DataFrame(
        {"sample_id": list("abcdefg"), "source": list("1234567"), "pixel_sha256": [f"h{number}" for number in range(7)]}
    )
    thumbnails = {f"h{number}": thumbnail(np.ascontiguousarray(pixels)) for number, pixels in enumerate(pictures)}
    found = find_copies(table, thumbnails=thumbnails)
    again = find_copies(table.sample(frac=1, random_state=3), thumbnails=thumbnails)
    pd.testing.assert_frame_equal(found, again)


def test_groups_follow_chains_and_take_in_all_samples_of_a_picture():
    table = pd.DataFrame({"sample_id": list("abcdefg"), "pixel_sha256": ["1", "1", "2", "3", "4", "5", "6"]})
    copies = pd.DataFrame({"sample_a": ["a", "c", "e", "z"], "sample_b": ["c", "d", "f", "a"]})
    groups = copy_groups(table, copies=copies)
    assert groups.isna().tolist() == [False] * 6 + [True]
    assert groups.iloc[:4].nunique() == groups.iloc[4:6].nunique() == 1
    assert groups.iloc[0] != groups.iloc[4]


def test_without_copies_there_is_no_group():
    table = pd.DataFrame({"sample_id": ["a"], "pixel_sha256": ["1"]})
    assert copy_groups(table, copies=pd.DataFrame(columns=["sample_a", "sample_b"])).isna().all()


@settings(max_examples=30)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=90), st.integers(0, 40))
def test_every_pair_of_close_hashes_is_found_once(values, flips):
    values += [value ^ ((1 << (flips % 15)) - 1) for value in values[:5]]
    hashes = np.array(values, np.uint64)
    blocks = [np.column_stack(block) for block in _close_hashes(hashes, hashes)]
    found = sorted(map(tuple, np.concatenate(blocks).tolist())) if blocks else []
    places = range(len(values))
    assert found == [
        (i, j) for i in places for j in places if i < j and (values[i] ^ values[j]).bit_count() <= MAX_BITS
    ]


def test_the_eight_orientations_differ():
    corner = np.arange(9).reshape(3, 3)
    turned = {
        (np.rot90(corner, quarters)[:, ::-1] if mirrored else np.rot90(corner, quarters)).tobytes()
        for quarters, mirrored in ORIENTATIONS
    }
    assert len(turned) == 8


@pytest.mark.shared
def test_no_false_alarm_on_fifteen_real_patients(shared_data, find):
    crops = sorted((shared_data / "xvertseg" / "crops").glob("*.png"))
    assert find([np.asarray(Image.open(path).convert("L")) for path in crops]).empty


@pytest.mark.shared
def test_two_screenshots_of_one_real_patient_are_near(shared_data, find):
    """Patient 011 was saved twice, in two windows."""
    shots = sorted((shared_data / "xvertseg" / "roi").glob("*.png"))
    found = find([np.asarray(Image.open(path).convert("L")) for path in shots])
    names = {f"S{number:02d}": path.stem[:3] for number, path in enumerate(shots)}
    assert [(names[a], names[b], kind) for a, b, kind in pairs(found)] == [("011", "011", "near")]
