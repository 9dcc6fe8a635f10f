"""From a table of files to batches: (images float32 [B, H, W, C] in 0..255, labels)."""

import hashlib
import math
import os
from pathlib import Path

import numpy as np

from helpers import check, images, runtime
from helpers.backend import tf
from helpers.runtime import SEED

MEMORY = 2e9  # bytes of decoded images kept in memory; beyond, they are cached on disk


def batches(
    rows, classes, size, channels=1, *, training=False, batch_size=32, seed=SEED, keep=True
):
    """Turn a table of files into batches for Keras.

    Files are decoded and resized once, kept as uint8, and from then on only shuffled and
    augmented (training) or handed out in the table's order (validation, test).

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
        Keep what was decoded for the next epoch. Without, for a single pass, memory does not grow
        with the number of images.

    Returns
    -------
    tf.data.Dataset
        Of (images float32 [B, size, size, channels] in 0..255, labels).

    Raises
    ------
    ValueError
        When a label is not among `classes`, the table is empty, or a file cannot be read, before
        the first batch: every file is decoded once to know (see `check.faults`).
    """
    labels = encode(rows["label"], classes)
    if bad := check.faults(rows["path"]):
        first, why = next(iter(bad.items()))
        raise ValueError(
            f"{len(bad):,} of {len(rows):,} images cannot be read, {Path(first).name} first "
            f"({why}); leave them out with check.readable(rows)."
        )
    files = tf.data.Dataset.from_tensor_slices((rows["path"].to_list(), labels))
    decoded = files.map(lambda path, label: (decode(path, size, channels), label), tf.data.AUTOTUNE)
    if keep:
        decoded = decoded.cache(_cache(rows, size, channels))
    if not training:
        return decoded.batch(batch_size).map(_float).prefetch(tf.data.AUTOTUNE)
    # what is shuffled waits in memory, so of a table cached on disk only a part does
    room = max(1, int(MEMORY // (size * size * channels)))
    shuffled = decoded.shuffle(min(len(rows), room), seed=seed).batch(batch_size)
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
    return (
        tf.data.Dataset.zip(shuffled, seeds)
        .map(lambda batch, s: (augment(batch[0], s), batch[1]), tf.data.AUTOTUNE)
        .map(_float, tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


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
    """Read a JPEG or PNG file as `images.pixels` does and resize it, to a square.

    Parameters
    ----------
    path : str or tf.Tensor
        The file.
    size, channels : int
        As for `batches`.

    Returns
    -------
    tf.Tensor
        uint8 [size, size, channels].

    Raises
    ------
    ValueError
        As `images.read`; inside a tf.data pipeline, TensorFlow wraps it into an error of its own.
    """
    if tf.is_symbolic_tensor(path):

        def read(name):
            return images.pixels(os.fsdecode(name), channels)

        image = tf.numpy_function(read, [path], tf.uint8, stateful=False)
    else:
        image = images.pixels(os.fsdecode(path.numpy() if tf.is_tensor(path) else path), channels)
    image = tf.ensure_shape(image, (None, None, channels))
    return tf.ensure_shape(images.resize(image, size), (size, size, channels))


def augment(images, seed, rotation=5, shift=0.1):
    """Rotate and shift every image of a batch, each by its own amount, in one pass.

    One affine transform on uint8 is several times faster than a chain of layers on floats, and
    blurs once instead of twice.

    Parameters
    ----------
    images : tf.Tensor
        [B, H, W, C].
    seed : tf.Tensor
        Two integers; the same two give the same result.
    rotation : float
        Largest angle, in degrees, to either side.
    shift : float
        Largest shift as a share of height and of width, to either side.

    Returns
    -------
    tf.Tensor
        Like `images`; what comes in from outside repeats the edge.
    """
    count = tf.shape(images)[0]
    height, width = (tf.cast(n, tf.float32) for n in tf.unstack(tf.shape(images)[1:3]))
    draws = tf.random.stateless_uniform([3, count], seed, -1.0, 1.0)
    angle = draws[0] * rotation * math.pi / 180
    cos, sin = tf.cos(angle), tf.sin(angle)
    # output (x, y) is taken from the input at a rotation about the centre, then a shift
    x, y = (width - 1) / 2, (height - 1) / 2
    left = x - cos * x + sin * y + draws[1] * shift * width
    top = y - sin * x - cos * y + draws[2] * shift * height
    zero = tf.zeros_like(cos)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([cos, -sin, left, sin, cos, top, zero, zero], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _float(images, labels):
    return tf.cast(images, tf.float32), labels


def _cache(rows, size, channels):
    """Return where decoded images are kept: "" for memory, or a file when they are too many."""
    if len(rows) * size * size * channels < MEMORY:
        return ""
    folder = runtime.data_root() / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder / f"{fingerprint(rows)}-{size}-{channels}")


def fingerprint(rows):
    """Return 16 letters that change with the files, their times, their order or their labels."""
    digest = hashlib.sha256()
    for path, label in zip(rows["path"], rows["label"], strict=True):
        digest.update(f"{path}|{Path(path).stat().st_mtime_ns}|{label}\n".encode())
    return digest.hexdigest()[:16]
