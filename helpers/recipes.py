"""THE definition of every network that two places train: lessons and experiments call it."""

import hashlib
import time

import numpy as np

from helpers import cache, checkpoints, models, pipelines, runtime, training
from helpers.backend import keras
from helpers.runtime import SEED

# Raise it when a recipe, a network or the decoder changes what is learned: what was kept under the
# number before is then trained anew.
VERSION = 1


def trained(name, train, validation, classes, sample):
    """Return a network of the course, trained: here, or once before.

    Parameters
    ----------
    name : str
        "smallnet", "compactnet" or "vgg16", the last with its lean head.
    train, validation : DataFrame
        With columns path and label.
    classes : tuple of str
        The two labels, the second one the class whose probability the network gives.
    sample : bool
        Whether these are drawn images, which take fewer epochs and pixels.

    Returns
    -------
    keras.Model
        Takes images of `runtime.size(name, sample)` pixels. Kept in build/models, see `kept`.
    """
    size, epochs = runtime.size(name, sample), runtime.epochs(name, sample)
    base, weights = models.vgg16(size) if name == "vgg16" else (None, "")
    file = kept(name, train, validation, classes, sample, weights)
    if file.exists():
        print(f"{name}: trained before, loaded")
        return checkpoints.load(file)
    work = f"{epochs} epochs of {len(train):,} images"
    print(f"{name}: not trained on this computer yet, so that comes first: {work} ...")
    started = time.perf_counter()
    if name == "vgg16":
        values, labels = vgg16_features(base, train, classes, size)
        model = training.compiled(models.joined(base, vgg16_head(values, labels, None, epochs)[0]))
    elif name == "compactnet":
        augmentation = None if sample else pipelines.disturb
        options = {"augmentation": augmentation}
        model, _ = compactnet(train, validation, classes, size, epochs, **options)
    else:
        model, _ = smallnet(train, validation, classes, size, epochs)
    checkpoints.save(model, file)
    print(f"{name}: trained here, {time.perf_counter() - started:.0f} s")
    return model


def kept(name, train, validation, classes, sample, weights=""):
    """Return where `trained` keeps a network.

    It is another file for other images, labels, settings (size, epochs, seed) or `VERSION`; for
    VGG16 also for other `weights` of its base, as `models.vgg16` returns them.
    """
    settings = runtime.size(name, sample), runtime.epochs(name, sample), SEED, weights
    images = [cache.fingerprint(rows) for rows in (train, validation)]
    key = hashlib.sha256(repr((VERSION, settings, classes, images)).encode()).hexdigest()[:16]
    return checkpoints.folder(name, train) / f"v{VERSION}-{key}.keras"


def smallnet(train, validation, classes, size, epochs, *, seed=SEED, **options):
    """Train SmallNet from nothing, as lesson 4 does.

    Small steps and no class weights, with which one run in three never got started; smaller steps
    when the validation loss is stuck, an end when it stays so, and then the best epoch's weights.

    Parameters
    ----------
    train, validation : DataFrame
        With columns path and label.
    classes : tuple of str
        The two labels, the second one the class whose probability the network gives.
    size, epochs : int
        Height and width of the images, in pixels, and how long at most.
    seed : int
        Of the weights and the batches.
    options
        For `training.fit`, such as `file` and `callbacks`.

    Returns
    -------
    tuple of (keras.Model, dict)
        The network, and the history of all epochs.
    """
    keras.utils.set_random_seed(seed)  # first: how batches are shuffled hangs on it as well
    streams = _streams(train, validation, classes, size, seed, channels=3)
    model = training.compiled(models.smallnet(size), 3e-4)
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=3, min_lr=1e-6),
        *options.pop("callbacks", []),
    ]
    return model, training.fit(model, *streams, epochs, callbacks=callbacks, **options)


def compactnet(
    train,
    validation,
    classes,
    size,
    epochs,
    *,
    augmentation=None,
    average=None,
    seed=SEED,
    **options,
):
    """Train CompactNet from nothing, as lesson 4 does, both classes weighing the same.

    Parameters
    ----------
    train, validation, classes, size, epochs, seed, options
        As for `smallnet`; validation may be None.
    augmentation : callable, optional
        See `pipelines.batches`; `pipelines.disturb` on real images.
    average : float, optional
        Momentum of a running average of the weights, which the network ends with: 0.99, say.

    Returns
    -------
    tuple of (keras.Model, dict)
        The network, and the history of all epochs.
    """
    keras.utils.set_random_seed(seed)
    streams = _streams(train, validation, classes, size, seed, augmentation=augmentation)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(streams[0]))
    model = training.compiled(models.compactnet(size), rate, average)
    weights = training.class_weights(pipelines.encode(train["label"], classes).ravel())
    return model, training.fit(model, *streams, epochs, class_weight=weights, **options)


def vgg16_features(base, train, classes, size, seed=SEED):
    """Run VGG16's frozen base over the training images as they are, and once more moved.

    Parameters
    ----------
    base : keras.Model
        From `models.vgg16`.
    train : DataFrame
        With columns path and label, N rows.
    classes : tuple of str
        The two labels.
    size : int
        Height and width of the images, in pixels.
    seed : int
        Of how they are moved.

    Returns
    -------
    tuple of ndarray
        Features float16 [2 N, ...] and labels float32 [2 N, 1], first those of the images as they
        are, in the table's order, then those of the moved ones, shuffled.
    """
    keras.utils.set_random_seed(seed)
    still = pipelines.batches(train, classes, size, channels=3)
    moved = pipelines.batches(train, classes, size, channels=3, training=True, seed=seed)
    pairs = [cache.features(base, stream) for stream in (still, moved)]
    values, labels = (np.concatenate(both) for both in zip(*pairs, strict=True))
    return values, labels


def vgg16_head(values, labels, held_out, epochs, *, seed=SEED, **options):
    """Train the lean head on features of VGG16, both classes weighing the same.

    Parameters
    ----------
    values, labels : ndarray
        From `vgg16_features`.
    held_out : tuple of ndarray or None
        Features and labels of validation images, as `cache.features` returns them.
    epochs, seed, options
        As for `smallnet`.

    Returns
    -------
    tuple of (keras.Model, dict)
        The head, from features to probabilities, to be put on its base by `models.joined`; and the
        history of all epochs.
    """
    keras.utils.set_random_seed(seed)
    stream = pipelines.feature_batches(values, labels, training=True, seed=seed)
    check = held_out and pipelines.feature_batches(*held_out)
    head = training.compiled(models.lean_head(values.shape[1:]))
    weights = training.class_weights(labels.ravel())
    return head, training.fit(head, stream, check, epochs, class_weight=weights, **options)


def lean_autoencoder(normals, held_out, classes, size, epochs, *, seed=SEED, **options):
    """Train the lean autoencoder on normal images, as lesson 7 does.

    Parameters
    ----------
    normals, held_out : DataFrame
        Normal images with columns path and label; held_out may be None.
    classes, size, epochs, seed, options
        As for `smallnet`.

    Returns
    -------
    tuple of (keras.Model, dict)
        The network, and the history of all epochs.
    """
    keras.utils.set_random_seed(seed)
    model = models.lean_autoencoder(size)
    model.compile(keras.optimizers.Adam(2e-3), "mse")
    streams = [
        pipelines.batches(normals, classes, size, training=True, batch_size=16, seed=seed),
        held_out is not None and pipelines.batches(held_out, classes, size, batch_size=16),
    ]
    pairs = [stream and stream.map(lambda images, _: (images, images / 255)) for stream in streams]
    return model, training.fit(model, pairs[0], pairs[1] or None, epochs, **options)


def _streams(train, validation, classes, size, seed, channels=1, augmentation=None):
    """Return the batches of train, moved, and of validation or None."""
    moved = {"training": True, "augmentation": augmentation, "seed": seed}
    stream = pipelines.batches(train, classes, size, channels, **moved)
    if validation is None:
        return stream, None
    return stream, pipelines.batches(validation, classes, size, channels)
