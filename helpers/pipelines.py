"""From a table of files to batches: (images float32 [B, H, W, C] in 0..255, labels)."""

import math

import cv2
import numpy as np

from helpers import cache
from helpers.backend import tf
from helpers.runtime import SEED


def batches(
    rows,
    classes,
    size,
    channels=1,
    *,
    training=False,
    augmentation=None,
    batch_size=32,
    seed=SEED,
    keep=True,
):
    """Turn a table of files into batches for Keras.

    Files are decoded and resized once, by this call, kept as uint8, in memory or in a file when
    there are many (see `cache`), and from then on only shuffled and augmented (training) or handed
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
        Shuffle, and change every image at random, in each epoch anew.
    augmentation : callable, optional
        How, when training: from uint8 [B, H, W, C] and a seed to such a batch. `augment`, which
        rotates and shifts, when None; `disturb` does more.
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
    if lacks := {"path", "label"} - set(rows.columns):
        raise ValueError(
            f"The table has no column {min(lacks)}: rename one of {list(rows.columns)}."
        )
    if not isinstance(size, int | np.integer):
        raise ValueError(f"size is one number, such as 224, for height and width, not {size}.")
    labels = tf.constant(encode(rows["label"], classes))
    change = augmentation or augment
    read, shape = cache.opened(rows, size, channels, keep), (None, size, size, channels)

    def make(places, *seed):
        pixels = tf.numpy_function(draw, [places, *seed], tf.uint8, stateful=False)
        return tf.cast(tf.ensure_shape(pixels, shape), tf.float32), tf.gather(labels, places)

    def draw(places, *seed):
        pixels = read(places)
        return change(pixels, *seed) if seed else pixels

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
    unknown = sorted(set(labels) - set(places), key=str)
    if unknown or len(labels) == 0:
        wrong = f"the label {unknown[0]!r} is not among them" if unknown else "the table is empty"
        raise ValueError(f"The classes are {', '.join(map(str, classes))}, but {wrong}.")
    numbers = np.array([places[label] for label in labels], np.int32)
    return numbers[:, None].astype(np.float32) if len(classes) == 2 else numbers


def augment(batch, seed, rotation=5, shift=0.1, zoom=0, stretch=0):
    """Move every image of a batch, each by its own amount, in one pass.

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
    zoom, stretch : float
        Largest logarithm of the factor by which all becomes larger or smaller, and by which
        width grows as height shrinks.

    Returns
    -------
    ndarray
        Like `batch`; what comes in from outside repeats the edge.
    """
    batch = np.asarray(batch)
    count, height, width = batch.shape[:3]
    rng = np.random.default_rng(np.abs(seed))
    draws = rng.uniform(-1, 1, (count, 3)), rng.uniform(-1, 1, (count, 2))
    moved = np.empty_like(batch)
    for image, result, *drawn in zip(batch, moved, *draws, strict=True):
        (turn, right, down), (larger, wider) = drawn
        angle = math.radians(turn * rotation)
        across, along = (math.exp(larger * zoom + way * wider * stretch) for way in (1, -1))
        cos, sin = math.cos(angle), math.sin(angle)
        turned = np.array([[across * cos, -along * sin], [across * sin, along * cos]])
        # output (x, y) is taken from the input at a rotation about the centre, then a shift
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        corner = middle - turned @ middle + [right * shift * width, down * shift * height]
        cv2.warpAffine(
            image,
            np.column_stack([turned, corner]),
            (width, height),
            dst=result,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return moved


def disturb(batch, seed, tone=0.8, field=0.5, blur=2.5, sharpen=1.0, noise=20):
    """Change what another machine, room or day would change, and the disease would not.

    Each image is moved (see `augment`), gets another tone curve and an uneven exposure, is blurred
    or sharpened, and half the images get noise. So neither grey levels nor sharpness betray the
    class of a training image. Such a list was found to help on unseen machines by Zhang et al.
    2020, doi:10.1109/TMI.2020.2973595 (BigAug).

    Parameters
    ----------
    batch : array_like
        uint8 [B, H, W, C].
    seed : array_like of int
        The same seed gives the same result.
    tone : float
        0..1: each sixth of the grey levels may shrink by this share before all are stretched to
        0..255 again.
    field : float
        Largest logarithm of the factor by which places far apart grow brighter or darker.
    blur : float
        Largest standard deviation of the blur, in pixels.
    sharpen : float
        Largest share of an image's fine detail that is added once more.
    noise : float
        Largest standard deviation of the noise, in grey levels.

    Returns
    -------
    ndarray
        Like `batch`.
    """
    moved = augment(batch, seed, rotation=10, shift=0.08, zoom=0.15, stretch=0.08)
    rng = np.random.default_rng([*np.abs(seed), 1])
    levels, (height, width) = np.linspace(0, 1, 256), moved.shape[1:3]
    for image in moved:
        steps = np.append(0, rng.uniform(1 - tone, 1, 6).cumsum())
        curve = np.interp(levels, np.linspace(0, 1, 7), steps / steps[-1])
        image[:] = cv2.LUT(image, np.rint(255 * curve).astype(np.uint8)).reshape(image.shape)
        places = rng.uniform(-field, field, (3, 3)).astype(np.float32)
        light = cv2.resize(np.exp(places), (width, height), interpolation=cv2.INTER_CUBIC)
        pixels = image * light[..., None]
        pixels = _blurred(pixels, rng.uniform(-1, 1), blur, sharpen)
        if rng.uniform() < 0.5:
            pixels += rng.normal(0, rng.uniform(0, noise), image.shape)
        image[:] = np.clip(pixels, 0, 255)
    return moved


def _blurred(image, amount, blur, sharpen):
    """Blur where `amount` is above 0, else sharpen, each up to its largest."""
    deviation = 0.2 + amount * blur if amount > 0 else 1.0
    smooth = cv2.GaussianBlur(image, (0, 0), deviation).reshape(image.shape)
    return smooth if amount > 0 else image - amount * sharpen * (image - smooth)


def feature_batches(values, labels, *, training=False, batch_size=32, seed=SEED):
    """Turn stored features into batches for Keras, read when their turn comes.

    Parameters
    ----------
    values, labels : ndarray
        As `features` returns them.
    training : bool
        Shuffle.
    batch_size, seed : int
        As for `batches`.

    Returns
    -------
    tf.data.Dataset
        Of (features float32 [B, ...], labels).
    """
    places = tf.data.Dataset.range(len(labels))
    if training:
        places = places.shuffle(len(labels), seed=seed)

    def read(chosen):
        return values[chosen].astype(np.float32), labels[chosen]

    def batch(chosen):
        x, y = tf.numpy_function(read, [chosen], [tf.float32, tf.as_dtype(labels.dtype)])
        return tf.ensure_shape(x, (None, *values.shape[1:])), tf.ensure_shape(
            y, (None, *labels.shape[1:])
        )

    return places.batch(batch_size).map(batch).prefetch(tf.data.AUTOTUNE)
