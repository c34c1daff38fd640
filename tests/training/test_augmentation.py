import numpy as np
import pytest
import torch

from helpers.training.augmentation import InputTransform


def still(params):
    """No random change at all."""
    return params.model_copy(
        update={"rotation_deg": 0.0, "shift_mm": 0.0, "scale_percent": 0.0, "window_jitter": 0.0, "noise": 0.0}
    )


def test_plain_windows_hu_linearly_and_cuts_the_centre(params, transform):
    low, high = params.window_center - params.window_width / 2, params.window_center + params.window_width / 2
    pixels = np.full((1, 40, 40), -1000, dtype=np.int16)
    pixels[0, 4:36, 4:36] = round((low + high) / 2)
    pixels[0, 4, 4], pixels[0, 35, 35] = low, high
    image = transform.plain(pixels)
    assert image.shape == (1, 3, 32, 32)
    assert image[0, 0, 10, 10] == pytest.approx(0.5)
    assert (image[0, 0, 0, 0], image[0, 2, 31, 31]) == (0, 1)


def test_eight_bit_pixels_are_scaled_from_255(params):
    transform = InputTransform(params, 0.5, False, (0.0,) * 3, (1.0,) * 3)
    pixels = np.full((1, 32, 32), 51, dtype=np.uint8)
    assert transform.plain(pixels)[0, 0, 0, 0] == pytest.approx(0.2)


def test_channels_are_normalised_as_the_initialisation_asks(params):
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    transform = InputTransform(params, 0.5, False, mean, std)
    image = transform.plain(np.full((1, 32, 32), 255, dtype=np.uint8))[0, :, 0, 0]
    np.testing.assert_allclose(image, (1 - np.array(mean)) / np.array(std), rtol=1e-5)
    np.testing.assert_allclose(transform.to_display(image[1:2]), 1, rtol=1e-6)


def test_without_random_changes_augmented_equals_plain(params):
    transform = InputTransform(still(params), 0.5, True, (0.0,) * 3, (1.0,) * 3)
    pixels = np.random.default_rng(0).integers(-400, 1000, (3, 40, 40)).astype(np.int16)
    torch.testing.assert_close(
        transform.augmented(pixels, generator=torch.Generator()), transform.plain(pixels), atol=1e-4, rtol=0
    )


def test_shift_stays_within_its_millimetres(params):
    moved = still(params).model_copy(update={"shift_mm": 2.0})
    transform = InputTransform(moved, 0.5, True, (0.0,) * 3, (1.0,) * 3)
    pixels = np.full((200, 40, 40), -1000, dtype=np.int16)
    pixels[:, 19:21, 19:21] = 1000
    images = transform.augmented(pixels, generator=torch.Generator().manual_seed(1))[:, 0]
    grid = torch.arange(32.0)
    mass = images / images.sum((1, 2), keepdim=True)
    offset = torch.stack([(mass.sum(2) * grid).sum(1), (mass.sum(1) * grid).sum(1)]) - 15.5
    assert offset.abs().max() * 0.5 <= 2.0 + 0.05
    assert offset.abs().max() * 0.5 > 1.5  # and the range is used


def test_rotation_is_a_true_rotation_in_pixels(params):
    """A turned bar keeps its length and turns by no more than the set angle."""
    turned = still(params).model_copy(update={"rotation_deg": 20.0})
    transform = InputTransform(turned, 0.5, True, (0.0,) * 3, (1.0,) * 3)
    pixels = np.full((64, 40, 40), -1000, dtype=np.int16)
    pixels[:, 18:22, 8:32] = 1000
    images = transform.augmented(pixels, generator=torch.Generator().manual_seed(2))[:, 0].numpy()
    angles, lengths = [], []
    for image in images:
        rows, columns = np.nonzero(image > 0.5)
        points = np.stack([columns - columns.mean(), rows - rows.mean()])
        values, vectors = np.linalg.eigh(np.cov(points))
        angles.append(abs(np.degrees(np.arctan(vectors[1, 1] / vectors[0, 1]))))
        lengths.append(np.sqrt(12 * values[1]))
    assert 10 < max(angles) <= 21
    np.testing.assert_allclose(lengths, 24, atol=1.5)


def test_same_generator_gives_the_same_versions(transform):
    pixels = np.random.default_rng(0).integers(-400, 1000, (3, 40, 40)).astype(np.int16)
    first, second = (transform.augmented(pixels, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, transform.augmented(pixels, generator=torch.Generator().manual_seed(6)))


def test_examples_are_pictures_in_the_unit_range(transform):
    pixels = np.random.default_rng(0).integers(-2000, 3000, (2, 40, 40)).astype(np.int16)
    examples = transform.examples(pixels, n_versions=4)
    assert examples.shape == (2, 4, 32, 32)
    assert examples.min() >= 0
    assert examples.max() <= 1


def test_three_planes_are_three_channels_and_one_plane_is_repeated(params):
    transform = InputTransform(params, 0.5, False, (0.0,) * 3, (1.0,) * 3)
    planes = np.arange(3, dtype=np.uint8)[None, :, None, None].repeat(32, 2).repeat(32, 3) * 51
    assert transform.plain(planes)[0, :, 5, 5].tolist() == pytest.approx([0, 0.2, 0.4])
    assert transform.pictures(planes)[0, 5, 5] == pytest.approx(0.2)
    moved = transform.augmented(planes, generator=torch.Generator().manual_seed(0))
    alone = transform.augmented(planes[:, 1], generator=torch.Generator().manual_seed(0))
    assert moved.shape == alone.shape == (1, 3, 32, 32)
    assert moved[0, 0].mean() < moved[0, 1].mean() < moved[0, 2].mean()
    np.testing.assert_allclose(alone[0, 0], alone[0, 2])
