"""Detectors that see normal images only and need no network."""

import math

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from helpers.runtime import SEED


def mahalanobis(normals, features):
    """Return the distance from the cloud of normal features, in its own units in each direction.

    Parameters
    ----------
    normals : array of float
        [M, D], features of normal training images.
    features : array of float
        [N, D].

    Returns
    -------
    ndarray of float
        [N]; scikit-learn's Ledoit-Wolf covariance, which M near D does not break.
    """
    scale = StandardScaler().fit(normals)
    cloud = LedoitWolf().fit(scale.transform(normals))
    return np.sqrt(cloud.mahalanobis(scale.transform(features)))


def neighbours(normals, features, count=5):
    """Return the mean distance to the nearest normal features, each feature scaled; [N]."""
    scale = StandardScaler().fit(normals)
    near = NearestNeighbors(n_neighbors=count).fit(scale.transform(normals))
    return near.kneighbors(scale.transform(features))[0].mean(axis=1)


def spectrum(images, rings=24):
    """Return how much of each image is coarse and how much is fine: log power by frequency.

    Parameters
    ----------
    images : ndarray
        [N, S, S], grey. Each is brought to mean 0 and deviation 1 first, so that exposure and
        contrast do not count, and faded out towards its border.
    rings : int
        Bands of frequency, from one wave an image to S / 2; empty ones are left out.

    Returns
    -------
    ndarray of float
        [N, up to rings].
    """
    size = images.shape[1]
    fade = np.outer(np.hanning(size), np.hanning(size))
    power = np.abs(np.fft.rfft2(standardised(images) * fade)) ** 2
    waves = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) * size
    ring = np.digitize(waves, np.geomspace(1, size / 2, rings + 1))
    used = [k for k in range(1, rings + 1) if (ring == k).any()]
    return np.log(np.stack([power[:, ring == k].mean(axis=1) for k in used], axis=1) + 1e-6)


def standardised(images):
    """Give each image [H, W] mean 0 and deviation 1; a blank one becomes 0 everywhere."""
    images = np.asarray(images, np.float32)
    spread = images.std(axis=(1, 2), keepdims=True)
    return (images - images.mean(axis=(1, 2), keepdims=True)) / np.where(spread == 0, 1, spread)


def patch_distances(normals, images, size=12, step=4, kept=8000, seed=SEED):
    """Return how unlike any normal patch the strangest tenth of each image's patches is.

    The idea of PatchCore (Roth et al. 2022, arXiv:2106.08265) without its ImageNet network: a
    patch is described by its 24 principal components.

    Parameters
    ----------
    normals, images : ndarray
        [M, S, S] and [N, S, S], grey.
    size, step : int
        Of the patches and between them, in pixels.
    kept : int
        Normal patches to compare with, drawn at random.
    seed : int
        Another seed draws others.

    Returns
    -------
    ndarray of float
        [N].
    """
    rng = np.random.default_rng(seed)
    share = math.ceil(kept / len(normals))
    drawn = [rng.permutation(_patches(image, size, step))[:share] for image in normals]
    drawn = rng.permutation(np.concatenate(drawn))[:kept]
    short = PCA(24, random_state=seed).fit(drawn)
    near = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(short.transform(drawn))
    scores = []
    for image in images:  # one at a time, so that memory does not grow with their number
        away = np.sort(near.kneighbors(short.transform(_patches(image, size, step)))[0].ravel())
        scores.append(away[-max(1, len(away) // 10) :].mean())
    return np.array(scores)


def _patches(image, size, step):
    """Cut an image [S, S] into patches [P, size * size], each with mean 0."""
    image = standardised(image[None])[0]
    cut = np.lib.stride_tricks.sliding_window_view(image, (size, size))[::step, ::step]
    flat = cut.reshape(-1, size * size)
    return flat - flat.mean(axis=1, keepdims=True)
