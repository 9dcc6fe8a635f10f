"""Distances by hand, spectra of known waves, patches that were never seen."""

import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial import distance

from helpers import detectors


def cloud(count, spread, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, len(spread))) @ np.asarray(spread, float)


def test_mahalanobis_is_scipys():
    normals = cloud(50_000, np.eye(3)) + [5, -2, 0]
    features = np.array([[5, -2, 0], [8, -2, 0], [5, 2, 1], [0, 0, 0]])
    found = detectors.mahalanobis(normals, features)
    centre = np.array([5, -2, 0])
    expected = [distance.mahalanobis(f, centre, np.eye(3)) for f in features]
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)


def test_mahalanobis_knows_what_goes_together():
    normals = cloud(20_000, [[2, 1.8], [0, 0.5]])
    features = np.array([[4, 3.6], [4, -3.6]])  # along the cloud, and across it
    found = detectors.mahalanobis(normals, features)
    inverse = np.linalg.inv(np.cov(normals.T))
    expected = [distance.mahalanobis(f, normals.mean(0), inverse) for f in features]
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert found[1] > 5 * found[0]  # as far from the middle as the first


@pytest.mark.parametrize("detector", [detectors.mahalanobis, detectors.neighbours])
def test_units_do_not_matter(detector):
    normals, features = cloud(60, np.eye(4)), 2 * cloud(10, np.eye(4), 1)
    scale, shift = np.array([1000, 1, 0.01, 3]), np.array([7, 0, -1, 100])
    found = detector(normals * scale + shift, features * scale + shift)
    np.testing.assert_allclose(found, detector(normals, features), rtol=1e-6)


@pytest.mark.parametrize("count", [10, 40, 42])
def test_few_images_with_many_features_are_no_trouble(count):
    normals, features = cloud(count, np.eye(40)), cloud(30, np.eye(40), 1)
    near, far = (detectors.mahalanobis(normals, times * features) for times in (1, 3))
    assert near.shape == (30,) and np.isfinite(near).all() and (far > 2 * near).all()
    # the sample covariance alone, nearly singular, would give distances of ten and more deviations
    assert near.max() < 3 * 40**0.5


def test_neighbours_by_hand():
    normals = [[-1, -5], [1, 5], [-1, 5], [1, -5]]  # deviations 1 and 5
    found = detectors.neighbours(normals, [[3, 5], [1, 5]], 2)  # so 3 and 1: 2 and sqrt 8 away
    np.testing.assert_allclose(found, [(2 + 8**0.5) / 2, (0 + 2) / 2])


def test_neighbours_are_five():
    normals = np.array([-1.0] * 5 + [1.0] * 5)[:, None]
    np.testing.assert_allclose(detectors.neighbours(normals, [[1], [3]]), [0, 2])
    normals = np.array([-1.0] * 6 + [1.5] * 4)[:, None]  # deviation 1.2247, so the fifth is apart
    np.testing.assert_allclose(detectors.neighbours(normals, [[1.5]]), 2.5 / 1.5**0.5 / 5)


def noise(count=4, size=64, seed=0):
    return np.random.default_rng(seed).uniform(20, 200, (count, size, size))


@pytest.mark.parametrize("gain, offset", [(0.2, 0), (1, 90), (3, -500), (1e-3, 0.5)])
def test_spectrum_does_not_see_exposure_and_contrast(gain, offset):
    images = gaussian_filter(noise(), (0, 1, 1))
    found = detectors.spectrum(gain * images + offset)
    np.testing.assert_allclose(found, detectors.spectrum(images), atol=0.01)


def test_spectrum_does_not_see_the_other_images():
    images = noise() * np.array([1, 2, 3, 0])[:, None, None]
    single = [detectors.spectrum(image[None])[0] for image in images]
    np.testing.assert_allclose(detectors.spectrum(images), single, atol=1e-4)


def test_blur_lowers_what_is_fine():
    images = noise(8)
    before = detectors.spectrum(images)
    after = detectors.spectrum(gaussian_filter(images, (0, 1, 1)))
    assert (after[:, -1] < before[:, -1] - 2).all() and (after[:, 0] > before[:, 0] + 0.5).all()


@pytest.mark.parametrize("waves, ring", [(1, 0), (3, 1), (6, 2), (11, 3), (22, 4), (30, 4)])
@pytest.mark.parametrize("turn", ["across", "down", "aslant"])
def test_a_wave_lies_in_its_ring(waves, ring, turn):
    rows, columns = np.indices((64, 64)) / 64
    along = {"across": columns, "down": rows, "aslant": (rows + columns) / 2**0.5}[turn]
    image = np.sin(2 * np.pi * waves * along)
    found = detectors.spectrum(image[None], rings=5)  # from 1, 2, 4, 8, 16 waves on
    assert found.shape == (1, 5) and found[0].argmax() == ring


def test_white_noise_is_the_same_in_every_ring():
    found = np.exp(detectors.spectrum(noise(300, 32), rings=5)).mean(axis=0)
    power = np.sum(np.hanning(32) ** 2) ** 2  # of the fade: what each frequency gets, on average
    np.testing.assert_allclose(found, power, rtol=0.15)


def test_the_border_does_not_count():
    """Left edge black and right edge white is no sharp edge: the image does not go round."""
    ramp = np.tile(np.arange(64.0), (1, 64, 1))
    found = detectors.spectrum(ramp, rings=5)[0]
    assert found[0] - found[-1] > 10


@pytest.mark.parametrize("size, rings", [(32, 24), (64, 24), (128, 24), (64, 5), (64, 60)])
def test_every_ring_is_a_number(size, rings):
    images = np.concatenate([noise(2, size), np.full((1, size, size), 77)])
    found = detectors.spectrum(images, rings)
    assert np.isfinite(found).all() and 5 <= found.shape[1] <= rings
    np.testing.assert_allclose(found[2], np.log(1e-6))  # blank: nothing, coarse or fine
    assert (found[:2] > 0).all()


def test_standardised():
    images = np.stack([*noise(2), np.full((64, 64), 9.0)])
    found = detectors.standardised(images)
    assert found.dtype == np.float32 and (found[2] == 0).all()
    np.testing.assert_allclose(found[:2].mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found[:2].std((1, 2)), 1, rtol=1e-5)


def textures(count, seed, size=32):
    return gaussian_filter(noise(count, size, seed), (0, 2, 2))


@pytest.mark.parametrize("side, tenth", [(32, 10), (12, 1)])  # of 10 x 10 and of 3 x 3 patches
def test_patch_distances_by_hand(side, tenth):
    """Patches of 5 x 5 with mean 0 have 24 dimensions: the 24 components lose nothing."""

    def patches(image):
        image, rows = (image - image.mean()) / image.std(), []
        for top in range(0, side - 4, 3):
            for left in range(0, side - 4, 3):
                patch = image[top : top + 5, left : left + 5].ravel()
                rows.append(patch - patch.mean())
        return rows

    normals, images = noise(5, side), noise(3, side, 1)
    memory = np.concatenate([patches(image) for image in normals])
    expected = []
    for image in images:
        away = sorted(distance.cdist(patches(image), memory).min(axis=1))
        expected.append(np.mean(away[-tenth:]))
    found = detectors.patch_distances(normals, images, size=5, step=3)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_patches_that_were_seen_are_not_strange():
    normals = textures(4, 0)
    assert detectors.patch_distances(normals, normals).max() < 0.01  # all are kept
    assert detectors.patch_distances(normals, normals, kept=40).min() > 0.1  # most are not
    assert detectors.patch_distances(normals, 3 * normals[:2] + 40).max() < 0.01  # brighter ones


def stripes(count, seed):
    rng = np.random.default_rng(seed)
    rows = np.indices((32, 32))[0] + rng.uniform(0, 8, (count, 1, 1))
    return np.sin(np.pi / 4 * rows) + 0.1 * rng.normal(size=rows.shape)


def test_a_foreign_patch_is_strange():
    normals, images = stripes(12, 0), stripes(4, 1)
    turned, blank = images.copy(), images.copy()
    turned[:, 8:20, 8:20] = images[:, 8:20, 8:20].transpose(0, 2, 1)  # upright, as none ever was
    blank[:, 8:20, 8:20] = 0
    plain = detectors.patch_distances(normals, images)
    for foreign in (turned, blank):
        assert (detectors.patch_distances(normals, foreign) > 3 * plain).all()


def test_each_normal_gives_as_many_patches():
    """Four patches an image, each with all of 0..24, so that cut out they are the same."""
    rng = np.random.default_rng(0)
    quarters = rng.permuted(np.tile(np.arange(25.0), (30, 4, 1)), axis=2).reshape(30, 2, 2, 5, 5)
    normals = quarters.swapaxes(2, 3).reshape(30, 10, 10)

    def drawn(kept, some):
        pieces = quarters[:some].reshape(-1, 5, 5)
        found = detectors.patch_distances(normals, pieces, size=5, step=5, kept=kept)
        return (found < 0.01).reshape(some, 4)

    two = drawn(60, 8)
    assert (two.sum(axis=1) == 2).all() and two[:, 2:].any()  # not the first two of each
    fewer = drawn(25, 30)
    assert fewer.sum() == 25 and fewer[25:].any()  # not of the first 25 images


def test_the_same_seed_draws_the_same():
    normals, images = textures(6, 0), textures(4, 1)
    draw = [detectors.patch_distances(normals, images, kept=50, seed=s) for s in (1, 1, 2)]
    np.testing.assert_array_equal(draw[0], draw[1])
    assert draw[0].shape == (4,) and (draw[0] != draw[2]).all()


def test_many_images_are_as_one_by_one():
    normals, images = textures(4, 0), textures(70, 1)  # more than are taken at a time
    some = [0, 1, 63, 64, 69]
    single = [detectors.patch_distances(normals, images[n : n + 1])[0] for n in some]
    found = detectors.patch_distances(normals, images)
    assert found.shape == (70,)
    np.testing.assert_allclose(found[some], single, rtol=1e-4)


def test_memory_does_not_grow_with_the_images():
    normals, images = textures(2, 0), textures(320, 1)
    peaks = []
    for count in (1, 128, 320):  # the first only loads what is loaded once
        tracemalloc.start()
        detectors.patch_distances(normals, images[:count])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 2**18  # the patches of 192 more images are 4 MB


def test_memory_does_not_grow_with_the_normals():
    images, peaks = textures(1, 1, 96), []
    for count in (1, 4, 40):
        normals = textures(count, 0, 96)
        tracemalloc.start()
        detectors.patch_distances(normals, images, kept=200)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 2**20  # the patches of 36 more images are 10 MB


def test_every_blank_image_becomes_zero():
    blank = np.full((1, 33, 33), 0.1, np.float32)  # not a float32 to the last digit
    assert np.all(detectors.standardised(blank) == 0)


@pytest.mark.parametrize("size", [49, 98, 103, 187])
def test_one_wave_is_in_the_first_ring_at_every_size(size):
    across = np.cos(2 * np.pi * np.arange(size) / size)
    image = np.tile(across, (size, 1))[None]
    rings = detectors.spectrum(image)[0]
    assert rings.argmax() == 0
