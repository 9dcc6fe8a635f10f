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
    down, across = (np.rint(f(size) * size) for f in (np.fft.fftfreq, np.fft.rfftfreq))
    waves = np.hypot(down[:, None], across[None])
    ring = np.digitize(waves, np.geomspace(1, size / 2, rings + 1))
    used = [k for k in range(1, rings + 1) if (ring == k).any()]
    return np.log(np.stack([power[:, ring == k].mean(axis=1) for k in used], axis=1) + 1e-6)


def standardised(images):
    """Give each image [H, W] mean 0 and deviation 1; a blank one becomes 0 everywhere."""
    images = np.asarray(images, np.float32)
    blank = np.ptp(images, axis=(1, 2), keepdims=True) == 0  # rounding leaves a deviation
    spread = np.where(blank, np.inf, images.std(axis=(1, 2), keepdims=True))
    return (images - images.mean(axis=(1, 2), keepdims=True)) / spread


def patch_distances(normals, images, size=12, step=4, kept=8000, seed=SEED):
    """Return how unlike any normal patch the strangest tenth of each image's patches is.

    The idea of PatchCore (Roth et al. 2022, arXiv:2106.08265) without its ImageNet network: a
    patch is described by its 24 principal components. What is finer than normal patches ever are
    falls out of these, and is missed.

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
    # a copy, or each image's patches would all stay in memory
    drawn = [rng.permutation(_patches(image, size, step))[:share].copy() for image in normals]
    drawn = rng.permutation(np.concatenate(drawn))[:kept]
    short = PCA(24, random_state=seed).fit(drawn)
    near = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(short.transform(drawn))
    scores = [np.empty(0)]
    for start in range(0, len(images), 64):  # a few at a time: memory does not grow with images
        some = np.stack([_patches(image, size, step) for image in images[start : start + 64]])
        away = near.kneighbors(short.transform(some.reshape(-1, size * size)))[0]
        away = np.sort(away.reshape(len(some), -1), axis=1)
        scores.append(away[:, -max(1, away.shape[1] // 10) :].mean(axis=1))
    return np.concatenate(scores)


def _patches(image, size, step):
    """Cut an image [S, S] into patches [P, size * size], each with mean 0."""
    image = standardised(image[None])[0]
    cut = np.lib.stride_tricks.sliding_window_view(image, (size, size))[::step, ::step]
    flat = cut.reshape(-1, size * size)
    return flat - flat.mean(axis=1, keepdims=True)
