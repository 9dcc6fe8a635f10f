"""Borrow a network: VGG16 without its top, its features kept, and a small head on them."""

import contextlib
import io
import os
import tempfile
from pathlib import Path

import numpy as np

from helpers import runtime, store
from helpers.backend import keras, tf
from helpers.models import conv_norm
from helpers.runtime import SEED

layers = keras.layers


def vgg16(size=224):
    """Build VGG16 without its top, frozen, with its own preprocessing inside.

    The weights: a local file named by `COURSE_VGG16_WEIGHTS`; else ImageNet's through Keras; with
    neither, or with `COURSE_VGG16_WEIGHTS=none`, the base is untrained and a warning says so. With
    `COURSE_SOURCE=sample` nothing is downloaded unless `COURSE_VGG16_WEIGHTS=imagenet` asks for it.

    Parameters
    ----------
    size : int
        Height and width of the images, in pixels, at least 32.

    Returns
    -------
    tuple of (keras.Model, str)
        From raw pixels [B, size, size, 3] in 0..255 to features [B, size / 32, size / 32, 512],
        and which weights it has: "ImageNet", the file's name, or "none". Simonyan and Zisserman
        2015, arXiv:1409.1556.

    Raises
    ------
    ValueError
        When the weights file does not exist or does not hold these layers.
    """
    wanted = os.environ.get("COURSE_VGG16_WEIGHTS", "")
    if not wanted:
        wanted = "none" if runtime.source() == "sample" else "imagenet"
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = keras.applications.vgg16.preprocess_input(pixels)

    def build(weights=None):
        return keras.applications.VGG16(False, weights, input_tensor=scaled, name="vgg16")

    if wanted == "imagenet":
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the address and a progress bar
                base, kind = build("imagenet"), "ImageNet"
        except Exception:  # Keras raises no narrower one when it cannot download
            base, kind = build(), "none"
    elif wanted == "none":
        base, kind = build(), "none"
    else:
        base, kind = build(), Path(wanted).name
        _load(base, Path(wanted))
    if kind == "none":
        print("VGG16 weights: none at hand, so this base is untrained (see COURSE_VGG16_WEIGHTS)")
    else:
        print(f"VGG16 weights: {kind}")
    base.trainable = False
    return base, kind


def _load(base, file):
    if not file.is_file():
        raise ValueError(f"COURSE_VGG16_WEIGHTS names {file.name}, but there is no such file.")
    try:
        base.load_weights(file)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"{file.name} does not hold the weights of VGG16 without its top: use the file that "
            "Keras calls vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5."
        ) from error


def narrow_vgg(size=96, channels=1, width=1 / 8):
    """Build VGG16's pattern of blocks with fewer channels, without a top.

    Two, two, three, three and three 3x3 convolutions, pooling after each block. Two things differ:
    batch norm, without which so deep a network hardly learns from few images, and the mean 0 and
    deviation 1 that the first layer gives every image.

    Parameters
    ----------
    size : int
        Height and width of the images, in pixels, at least 32.
    channels : int
        1 for grey images, 3 for RGB.
    width : float
        Share of VGG16's channels, 64 to 512.

    Returns
    -------
    keras.Model
        From raw pixels [B, size, size, channels] in 0..255 to the five blocks' outputs, each
        averaged over the picture and all in a row: [B, 1472 * width].
    """
    pixels = keras.Input((size, size, channels), name="pixels")
    x = layers.LayerNormalization(axis=[1, 2, 3], center=False, scale=False)(pixels)
    blocks = []
    for full, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            x = conv_norm(x, int(full * width))
        x = layers.MaxPooling2D(2)(x)
        blocks.append(layers.GlobalAveragePooling2D()(x))
    return keras.Model(pixels, layers.Concatenate()(blocks), name="narrow_vgg")


def chapter_head(shape):
    """Build the textbook chapter's head: 4096, 1072 and 1 units on all features in a row.

    Parameters
    ----------
    shape : tuple of int
        Of one image's features, such as (7, 7, 512).

    Returns
    -------
    keras.Model
        From features [B, *shape] to probabilities [B, 1].
    """
    values = keras.Input(shape, name="features")
    x = layers.Flatten()(values)
    x = layers.Dense(4096, activation="relu")(x)
    x = layers.Dense(1072, activation="relu")(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(values, layers.Dense(1, activation="sigmoid")(x), name="chapter_head")


def lean_head(shape):
    """Build a head on the features' averages: batch norm, 128 units, 1 unit; see `chapter_head`."""
    values = keras.Input(shape, name="features")
    x = layers.GlobalAveragePooling2D()(values)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(values, layers.Dense(1, activation="sigmoid")(x), name="lean_head")


def joined(base, head):
    """Put a trained head on its base, layer by layer, so that nothing is nested in the result.

    Returns
    -------
    keras.Model
        From the base's pixels to the head's answer; the layers are shared with both.
    """
    x = base.output
    for layer in head.layers[1:]:
        x = layer(x)
    return keras.Model(base.input, x, name=f"{base.name}_{head.name}")


def restart(model, seed):
    """Give a compiled network new random weights and a new optimizer, without building it anew.

    Keras would trace a new network again, which takes longer than training it on 20 images.
    """
    keras.utils.set_random_seed(seed)
    model.set_weights(type(model).from_config(model.get_config()).get_weights())
    for state in model.optimizer.variables:
        if state is not model.optimizer.learning_rate:
            state.assign(tf.zeros_like(state))


def features(base, batches, copies=1):
    """Run a frozen base over images once and keep what it says.

    Parameters
    ----------
    base : keras.Model
        From images to features [B, ...].
    batches : tf.data.Dataset
        Of (images, labels). Batches made with `training=True` are augmented anew in each copy.
    copies : int
        How often to go through `batches`.

    Returns
    -------
    tuple of ndarray
        Features float16 [copies * N, ...], in memory or, above `store.MEMORY` bytes, in a file
        that vanishes with them; and labels [copies * N, ...].

    Raises
    ------
    ValueError
        When a feature is too large for float16.
    """
    shape, labels = base.output.shape[1:], []
    file = tempfile.TemporaryFile(dir=_cache())  # noqa: SIM115 - lives as long as the features
    for _ in range(copies):
        for images, part in batches:
            values = base.predict_on_batch(images).astype(np.float16)
            if not np.isfinite(values).all():
                raise ValueError(f"{base.name} gives features beyond float16: scale its output.")
            file.write(values.tobytes())
            labels.append(np.asarray(part))
    labels = np.concatenate(labels)
    kept = np.memmap(file, np.float16, "r+", shape=(len(labels), *shape))
    return (np.array(kept) if kept.nbytes < store.MEMORY else kept), labels


def _cache():
    folder = runtime.data_root() / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def feature_batches(values, labels, *, training=False, batch_size=32, seed=SEED):
    """Turn stored features into batches for Keras, read when their turn comes.

    Parameters
    ----------
    values, labels : ndarray
        As `features` returns them.
    training : bool
        Shuffle.
    batch_size, seed : int
        As for `pipelines.batches`.

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
