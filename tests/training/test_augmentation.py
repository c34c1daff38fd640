import warnings

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from helpers.study.params import THREE_WINDOWS
from helpers.training.augmentation import InputTransform, blurred


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


def test_images_that_may_not_be_written_to_are_taken_without_a_warning(transform):
    pixels = np.zeros((2, 40, 40), dtype=np.int16)
    pixels.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transform.plain(pixels)
        transform.augmented(pixels, generator=torch.Generator())


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


def image_transform(params, *, is_hu=True, **changes):
    chosen = still(params).model_copy(update={"intensity": "image", **changes})
    return InputTransform(chosen, 0.5, is_hu, (0.0,) * 3, (1.0,) * 3)


def test_a_crop_looks_the_same_in_hu_and_as_a_screenshot_of_any_window(params):
    hu = np.random.default_rng(0).normal(100, 150, (2, 40, 40)).round().astype(np.int16)
    inside = image_transform(params, window_center=0.0, window_width=4000.0).plain(hu)
    for low, width in ((-700, 2000), (-500, 1800)):
        screenshot = ((hu - low) / width * 255).round().clip(0, 255).astype(np.uint8)
        torch.testing.assert_close(image_transform(params, is_hu=False).plain(screenshot), inside, atol=0.02, rtol=0)


def test_stretched_crops_reach_both_ends_and_a_flat_one_stays(params):
    transform = image_transform(params, is_hu=False)
    noisy = np.random.default_rng(0).integers(90, 140, (1, 32, 32)).astype(np.uint8)
    image = transform.plain(noisy)
    assert (image.min(), image.max()) == (0, 1)
    flat = transform.plain(np.full((1, 32, 32), 51, np.uint8))
    torch.testing.assert_close(flat, torch.full((1, 3, 32, 32), 0.2))
    moved = transform.augmented(noisy, generator=torch.Generator())
    torch.testing.assert_close(moved, image, atol=1e-4, rtol=0)


def test_blur_is_the_gaussian_of_its_sigma():
    images = np.random.default_rng(0).normal(0, 1, (3, 2, 41, 41)).astype(np.float32)
    found = blurred(torch.from_numpy(images), sigma_px=torch.tensor([0.0, 1.0, 2.0])).numpy()
    np.testing.assert_allclose(found[0], images[0], atol=1e-6)
    for image, sigma in ((1, 1.0), (2, 2.0)):
        for channel in (0, 1):
            expected = gaussian_filter(images[image, channel], sigma, mode="nearest", radius=6)
            np.testing.assert_allclose(found[image, channel], expected, atol=1e-4)


def test_gamma_keeps_black_white_and_order_and_stays_in_its_range(params):
    transform = InputTransform(still(params).model_copy(update={"gamma": 1.0}), 0.5, False, (0.0,) * 3, (1.0,) * 3)
    pixels = np.linspace(0, 255, 32 * 32).reshape(1, 32, 32).astype(np.uint8).repeat(100, axis=0)
    images = transform.augmented(pixels, generator=torch.Generator().manual_seed(0))[:, 0].flatten(1)
    assert images[:, 0].max() == 0
    assert images[:, -1].min() == 1
    assert (images.diff(dim=1) >= -1e-4).all()
    middle = torch.log(torch.tensor(pixels[0].ravel()[512] / 255.0))
    powers = images[:, 512].log() / middle
    assert 0.49 < powers.min() < 0.6 < 1.6 < powers.max() < 2.02


def test_three_windows_fill_the_three_channels_of_hu_images_only(params):
    chosen = still(params).model_copy(update={"channels": "windows"})
    pixels = np.full((1, 32, 32), 150, dtype=np.int16)
    shown = InputTransform(chosen, 0.5, True, (0.0,) * 3, (1.0,) * 3).plain(pixels)[0, :, 0, 0]
    np.testing.assert_allclose(shown, [(150 - 300) / 1500 + 0.5, (150 - 50) / 400 + 0.5, 150 / 2000 + 0.5], rtol=1e-6)
    grey = InputTransform(chosen, 0.5, False, (0.0,) * 3, (1.0,) * 3).plain(pixels.astype(np.uint8))
    assert grey[0, :, 0, 0].tolist() == pytest.approx([150 / 255] * 3)


def test_three_windows_of_an_image_move_together(params):
    moving = still(params).model_copy(update={"window_jitter": 0.2})
    three = InputTransform(moving.model_copy(update={"channels": "windows"}), 0.5, True, (0.0,) * 3, (1.0,) * 3)
    pixels = np.random.default_rng(0).normal(150, 300, (4, 32, 32)).astype(np.int16)
    shown = three.augmented(pixels, generator=torch.Generator().manual_seed(0))
    for channel, (center, width) in enumerate(THREE_WINDOWS):
        params_of_one = moving.model_copy(update={"window_center": center, "window_width": width})
        one = InputTransform(params_of_one, 0.5, True, (0.0,) * 3, (1.0,) * 3)
        alone = one.augmented(pixels, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(shown[:, channel], alone[:, channel])


def test_mirroring_exchanges_left_and_right_of_half_the_images(params):
    transform = InputTransform(still(params).model_copy(update={"mirror": True}), 0.5, False, (0.0,) * 3, (1.0,) * 3)
    pixels = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (200, 32, 1))
    images = transform.augmented(pixels, generator=torch.Generator().manual_seed(0))[:, 0]
    rising = images[:, 5, -1] > images[:, 5, 0]
    assert 70 < rising.sum() < 130
    torch.testing.assert_close(images[~rising][0].flip(-1), images[rising][0])


def test_a_share_of_the_images_ends_above_or_below_and_never_near_the_middle(params):
    transform = InputTransform(still(params).model_copy(update={"edge_share": 0.5}), 0.5, False, (0.0,) * 3, (1.0,) * 3)
    pixels = np.full((400, 32, 32), 255, dtype=np.uint8)
    images = transform.augmented(pixels, generator=torch.Generator().manual_seed(0))[:, 0]
    assert set(images.unique().tolist()) == {0.0, 1.0}
    assert (images[:, 10:22] == 1).all()  # a fifth of the side to both sides of the middle
    above, below = (images[:, row, 0] == 0 for row in (0, -1))
    assert not (above & below).any()
    assert 0.4 < (above | below).float().mean() < 0.55  # an edge just outside leaves nothing out
    assert 0.3 < above.sum() / (above | below).sum() < 0.7


def test_views_begin_with_the_plain_crop_and_move_by_half_of_the_training_changes(params):
    chosen = still(params).model_copy(update={"views": 15, "shift_mm": 4.0, "scale_percent": 20.0})
    transform = InputTransform(chosen, 0.5, True, (0.0,) * 3, (1.0,) * 3)
    pixels = np.full((1, 48, 48), -1000, dtype=np.int16)
    pixels[:, 20:28, 20:28] = 1000
    views = [view[0, 0] for view in transform.views(pixels)]
    assert len(views) == 15
    torch.testing.assert_close(views[0], transform.plain(pixels)[0, 0])
    grid = torch.arange(32.0)
    centres = [((v.sum(1) * grid).sum() / v.sum() - 15.5, (v.sum(0) * grid).sum() / v.sum() - 15.5) for v in views]
    # the field moves by 2 mm, 4 pixels, so that the bright square moves the other way
    expected = [(0, 0), (4, 0), (-4, 0), (0, 4), (0, -4)]
    np.testing.assert_allclose(centres[:5], expected, atol=0.05)
    sides = [float(view.sum().sqrt()) for view in views[::5]]
    np.testing.assert_allclose(sides, [8, 8 / 0.9, 8 / 1.1], rtol=0.03)
