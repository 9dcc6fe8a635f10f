"""Find what is unlike the normal images: errors of an autoencoder, distances, thresholds."""

import math

import numpy as np
import pandas as pd
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from helpers import evaluation
from helpers.backend import tf
from helpers.runtime import SEED

RINGS = 24  # bands of frequency
NEAREST = 5  # normal images
PATCH, STEP = 12, 4  # height and width of a patch, and from one to the next, in pixels
KEPT = 8000  # normal patches to compare with, drawn at random


def errors(autoencoder, batches):
    """Return the reconstruction error of every image, on the scale 0..1 of black to white.

    Only the batch at hand and two numbers an image are in memory.

    Parameters
    ----------
    autoencoder : keras.Model
        From raw pixels [B, H, W, C] in 0..255 to images of the same shape in 0..1.
    batches : tf.data.Dataset
        Of images [B, H, W, C] in 0..255, or of (images, anything).

    Returns
    -------
    DataFrame
        Columns MSE, the mean squared error over an image's pixels, and L1, the mean absolute one.

    Raises
    ------
    ValueError
        When there are no images, the autoencoder gives another shape, or an error is not a number.
    """

    @tf.function(reduce_retracing=True)
    def step(images):
        if images.shape[1:] != gives:
            raise ValueError(f"The images are {images.shape[1:]}, but the copies {gives}.")
        gap = tf.cast(images, tf.float32) / 255
        gap -= tf.cast(autoencoder(images, training=False), tf.float32)
        axes = list(range(1, len(gap.shape)))
        return tf.stack([tf.reduce_mean(gap**2, axes), tf.reduce_mean(abs(gap), axes)], 1)

    takes, gives = autoencoder.input_shape[1:], autoencoder.output_shape[1:]
    if takes != gives:
        raise ValueError(f"{autoencoder.name} turns {takes} into {gives}: it does not reconstruct.")
    found = [step(batch[0] if isinstance(batch, tuple) else batch).numpy() for batch in batches]
    if not found:
        raise ValueError("There are no images to score.")
    found = np.concatenate(found)
    if not np.isfinite(found).all():
        raise ValueError("Some errors are not numbers: train again with smaller steps.")
    return pd.DataFrame(found, columns=["MSE", "L1"])


def z_scores(scores, normals):
    """Return how many standard deviations each score lies above the mean of normal images.

    Parameters
    ----------
    scores : array of float
        [N].
    normals : array of float
        [M], scores of held-out normal images: neither trained on nor tested.

    Raises
    ------
    ValueError
        When there are fewer than two normals, all have the same score, or one has none.
    """
    normals = _numbers(normals)
    if len(normals) < 2 or np.ptp(normals) == 0:
        raise ValueError("z-scores need at least two normal images with different scores.")
    return (np.ravel(scores) - normals.mean()) / normals.std(ddof=1)


def threshold(normals, false_alarms=0.05):
    """Return the score that at most a share `false_alarms` of normal patients exceeds, on average.

    The k-th smallest of M held-out scores with k = ceil((M + 1) (1 - false_alarms)): on average
    over held-out sets that holds for any distribution (Vovk, Gammerman, Shafer 2005, chapter 2),
    where z >= 3 relies on a bell curve.

    Parameters
    ----------
    normals : array of float
        [M], scores of held-out normal images, one a patient where patients are known.
    false_alarms : float
        0..1.

    Raises
    ------
    ValueError
        When M is too small for so low a rate, or a normal image has no score.
    """
    if not 0 < false_alarms < 1:
        raise ValueError(f"The false-alarm rate is {false_alarms}: choose one between 0 and 1.")
    normals = np.sort(_numbers(normals))
    rank = max(1, math.ceil((len(normals) + 1) * (1 - false_alarms) - 1e-9))
    if rank > len(normals):
        raise ValueError(
            f"{len(normals)} held-out normals are too few for a false-alarm rate of {false_alarms}:"
            f" take at least 1 / rate - 1."
        )
    return float(normals[rank - 1])


def two_sided(scores, normals):
    """Return how far each score lies from the median of normals, whichever side.

    For an alarm on the result, hold out other normals than these: the median is nearer to its own.
    """
    return np.abs(np.ravel(scores) - np.median(normals))


def _numbers(normals):
    normals = np.ravel(normals).astype(float)
    if not np.isfinite(normals).all():
        raise ValueError("Some scores of normal images are not numbers.")
    return normals


def signed_auc(labels, scores, groups):
    """Return an AUC as it is, its interval by patient, and which way the score points.

    Parameters
    ----------
    labels : array of 0 and 1
        [N], 1 for disease.
    scores : array of float
        [N].
    groups : array
        [N], the patient of every image.

    Returns
    -------
    dict
        AUC, low, high, each 0..1 and never turned round, and points: "up" when disease scores
        higher, "down" when lower, "?" when the interval holds 0.5.
    """
    auc, low, high = evaluation.auc_interval(labels, scores, groups)
    points = "up" if low > 0.5 else "down" if high < 0.5 else "?"
    return {"AUC": auc, "low": low, "high": high, "points": points}


def report(scores, labels, groups, held_out, normal):
    """Describe one score class by class, with both ways to raise an alarm.

    Parameters
    ----------
    scores : array of float
        [N], of a test set.
    labels, groups : array
        [N], class and patient of every image.
    held_out : array of float
        Scores of normal images that were neither trained on nor tested.
    normal : str
        The label of normal images; every other class is compared with them.

    Returns
    -------
    DataFrame
        One row a class, the normal one first: images, mean, deviation, "z >= 3" and "quantile"
        (the share of images that each flags), AUC against the normals, low, high, points.
    """
    scores, labels, groups = (np.ravel(column) for column in (scores, labels, groups))
    flagged = {
        "z >= 3": z_scores(scores, held_out) >= 3,
        "quantile": scores > threshold(held_out),
    }
    rows = []
    for name in [normal, *sorted(set(labels) - {normal})]:
        here, pair = labels == name, np.isin(labels, [name, normal])
        row = {"label": name, "images": int(here.sum())}
        row |= {"mean": scores[here].mean(), "deviation": scores[here].std(ddof=1)}
        row |= {way: called[here].mean() for way, called in flagged.items()}
        if name != normal:
            row |= signed_auc(labels[pair] == name, scores[pair], groups[pair])
        rows.append(row)
    return pd.DataFrame(rows)


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


def neighbours(normals, features):
    """Return the mean distance to the five nearest normals, each feature scaled; float [N]."""
    scale = StandardScaler().fit(normals)
    near = NearestNeighbors(n_neighbors=NEAREST).fit(scale.transform(normals))
    return near.kneighbors(scale.transform(features))[0].mean(axis=1)


def spectrum(images):
    """Return how much of each image is coarse and how much is fine: log power by frequency.

    Parameters
    ----------
    images : ndarray
        [N, S, S], grey. Each is brought to mean 0 and deviation 1 first, so that exposure and
        contrast do not count, and faded out towards its border.

    Returns
    -------
    ndarray of float
        [N, up to RINGS], bands from one wave an image to S / 2; empty ones are left out.
    """
    size = images.shape[1]
    fade = np.outer(np.hanning(size), np.hanning(size))
    power = np.abs(np.fft.rfft2(standardised(images) * fade)) ** 2
    down, across = (np.rint(f(size) * size) for f in (np.fft.fftfreq, np.fft.rfftfreq))
    waves = np.hypot(down[:, None], across[None])
    ring = np.digitize(waves, np.geomspace(1, size / 2, RINGS + 1))
    used = [k for k in range(1, RINGS + 1) if (ring == k).any()]
    return np.log(np.stack([power[:, ring == k].mean(axis=1) for k in used], axis=1) + 1e-6)


def standardised(images):
    """Give each image [H, W] mean 0 and deviation 1; a blank one becomes 0 everywhere."""
    images = np.asarray(images, np.float32)
    blank = np.ptp(images, axis=(1, 2), keepdims=True) == 0  # rounding leaves a deviation
    spread = np.where(blank, np.inf, images.std(axis=(1, 2), keepdims=True))
    return (images - images.mean(axis=(1, 2), keepdims=True)) / spread


def patch_distances(normals, images):
    """Return how unlike any normal patch the strangest tenth of each image's patches is.

    The idea of PatchCore (Roth et al. 2022, arXiv:2106.08265) without its ImageNet network: a
    patch is described by its 24 principal components. What is finer than normal patches ever are
    falls out of these, and is missed.

    Parameters
    ----------
    normals, images : ndarray
        [M, S, S] and [N, S, S], grey.

    Returns
    -------
    ndarray of float
        [N].
    """
    rng = np.random.default_rng(SEED)
    share = math.ceil(KEPT / len(normals))
    # a copy, or each image's patches would all stay in memory
    drawn = [rng.permutation(_patches(image))[:share].copy() for image in normals]
    drawn = rng.permutation(np.concatenate(drawn))[:KEPT]
    short = PCA(24, random_state=SEED).fit(drawn)
    near = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(short.transform(drawn))
    scores = [np.empty(0)]
    for start in range(0, len(images), 64):  # a few at a time: memory does not grow with images
        some = np.stack([_patches(image) for image in images[start : start + 64]])
        away = near.kneighbors(short.transform(some.reshape(-1, PATCH**2)))[0]
        away = np.sort(away.reshape(len(some), -1), axis=1)
        scores.append(away[:, -max(1, away.shape[1] // 10) :].mean(axis=1))
    return np.concatenate(scores)


def _patches(image):
    """Cut an image [S, S] into patches [P, PATCH * PATCH], each with mean 0."""
    image = standardised(image[None])[0]
    cut = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH))[::STEP, ::STEP]
    flat = cut.reshape(-1, PATCH**2)
    return flat - flat.mean(axis=1, keepdims=True)
