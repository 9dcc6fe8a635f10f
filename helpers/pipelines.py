"""From a table of files to batches: (images float32 [B, H, W, C] in 0..255, labels)."""

import math

import cv2
import numpy as np

from helpers import images, store
from helpers.backend import tf
from helpers.runtime import SEED


def batches(
    rows, classes, size, channels=1, *, training=False, batch_size=32, seed=SEED, keep=True
):
    """Turn a table of files into batches for Keras.

    Files are decoded and resized once, by this call, kept as uint8, in memory or in a file when
    there are many (see `store`), and from then on only shuffled and augmented (training) or handed
    out in the table's order (validation, test).

    Parameters
    ----------
    rows : DataFrame
        With columns path and label.
    classes : tuple of str
        The labels in order. Two classes give labels float32 [B, 1], 1 for the second; more give
        int32 [B], the place in `classes`.
    size : int
        Height and width of the images, in pixels.
    channels : int
        1 for grey, 3 for RGB.
    training : bool
        Shuffle, and rotate and shift at random (see `augment`).
    batch_size : int
        Images in a batch; the last one may be smaller.
    seed : int
        Another seed shuffles and augments otherwise.
    keep : bool
        Keep what was decoded for the next epoch. Without, for a single pass, files are checked at
        first and decoded as their batch comes.

    Returns
    -------
    tf.data.Dataset
        Of (images float32 [B, size, size, channels] in 0..255, labels).

    Raises
    ------
    ValueError
        When a label is not among `classes`, the table is empty, or a file cannot be read, before
        the first batch.
    OSError
        When the file for many images cannot be written.
    """
    labels = tf.constant(encode(rows["label"], classes))
    read, shape = store.opened(rows, size, channels, keep), (None, size, size, channels)

    def make(places, *seed):
        pixels = tf.numpy_function(draw, [places, *seed], tf.uint8, stateful=False)
        return tf.cast(tf.ensure_shape(pixels, shape), tf.float32), tf.gather(labels, places)

    def draw(places, *seed):
        pixels = read(places)
        return augment(pixels, *seed) if seed else pixels

    # rows are shuffled and not images, so that all of a large table are
    places = tf.data.Dataset.range(len(rows))
    if not training:
        return places.batch(batch_size).map(make, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    places = places.shuffle(len(rows), seed=seed).batch(batch_size)
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
    zipped = tf.data.Dataset.zip(places, seeds)
    return zipped.map(make, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def encode(labels, classes):
    """Turn names into numbers: float32 [N, 1] for two classes, int32 [N] for more."""
    places = {name: place for place, name in enumerate(classes)}
    unknown = sorted(set(labels) - set(places))
    if unknown or len(labels) == 0:
        wrong = f"the label '{unknown[0]}' is not among them" if unknown else "the table is empty"
        raise ValueError(f"The classes are {', '.join(classes)}, but {wrong}.")
    numbers = np.array([places[label] for label in labels], np.int32)
    return numbers[:, None].astype(np.float32) if len(classes) == 2 else numbers


def decode(path, size, channels=1):
    """Read one file to the pixels that a batch holds of it: see `images.read`."""
    return images.read(path, size, channels)


def augment(batch, seed, rotation=5, shift=0.1):
    """Rotate and shift every image of a batch, each by its own amount, in one pass.

    One affine transform on uint8 by OpenCV is many times faster than a chain of layers on floats,
    and blurs once instead of twice.

    Parameters
    ----------
    batch : array_like
        uint8 [B, H, W, C].
    seed : array_like of int
        The same seed gives the same result.
    rotation : float
        Largest angle, in degrees, to either side.
    shift : float
        Largest shift as a share of height and of width, to either side.

    Returns
    -------
    ndarray
        Like `batch`; what comes in from outside repeats the edge.
    """
    batch = np.asarray(batch)
    count, height, width = batch.shape[:3]
    draws = np.random.default_rng(np.abs(seed)).uniform(-1, 1, (count, 3))
    moved = np.empty_like(batch)
    for image, result, (turn, right, down) in zip(batch, moved, draws, strict=True):
        angle = math.radians(turn * rotation)
        cos, sin = math.cos(angle), math.sin(angle)
        # output (x, y) is taken from the input at a rotation about the centre, then a shift
        x, y = (width - 1) / 2, (height - 1) / 2
        left = x - cos * x + sin * y + right * shift * width
        top = y - sin * x - cos * y + down * shift * height
        cv2.warpAffine(
            image,
            np.array([[cos, -sin, left], [sin, cos, top]]),
            (width, height),
            dst=result,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return moved
