"""The course's networks, trained: here, or once before."""

import hashlib
import inspect
import time

import numpy as np

from helpers import models, pipelines, runtime, store, training, transfer
from helpers.backend import keras


def trained(name, train, classes, sample):
    """Return SmallNet, CompactNet or VGG16 with its lean head, trained: here, or once before.

    Parameters
    ----------
    name : str
        "smallnet", "compactnet" or "vgg16".
    train : DataFrame
        With columns path and label.
    classes : tuple of str
        The two labels, the second one the class whose probability the network gives.
    sample : bool
        Whether these are drawn images, which take fewer epochs and pixels.

    Returns
    -------
    keras.Model
        Takes images of `training.size(name, sample)` pixels. Kept in build/models, under a key
        that changes with the images, the settings and this code.
    """
    pixels, base, weights = training.size(name, sample), None, ""
    if name == "vgg16":
        base, weights = transfer.vgg16(pixels)
    file = kept(name, train, classes, sample, weights)
    if file.exists():
        print(f"{name}: trained before, loaded")
        return models.load(file)
    much = f"{training.epochs(name, sample)} epochs of {len(train):,} images"
    print(f"{name}: not trained on this computer yet, so that comes first: {much} ...")
    started = time.perf_counter()
    keras.utils.set_random_seed(runtime.SEED)
    model = _recipe(name, train, classes, sample, base)
    training.save(model, file)
    print(f"{name}: trained here, {time.perf_counter() - started:.0f} s")
    return model


def kept(name, train, classes, sample, weights=""):
    """Return where `trained` keeps a network: another file for other images, settings or code.

    For VGG16 `weights` says which ones its base has, as `transfer.vgg16` returns it.
    """
    settings = training.size(name, sample), training.epochs(name, sample), runtime.SEED
    rooms = (models, pipelines, training, transfer, inspect.getmodule(kept))
    code = "".join(inspect.getsource(room) for room in rooms)
    text = f"{store.fingerprint(train)} {classes} {settings} {weights} {code}"
    return training.folder(name) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.keras"


def compactnet(
    train,
    validation,
    classes,
    pixels,
    epochs,
    *,
    augmentation=None,
    average=None,
    seed=runtime.SEED,
    **options,
):
    """Train CompactNet from nothing, as lesson 4 does, both classes weighing the same.

    Parameters
    ----------
    train, validation : DataFrame
        With columns path and label; validation may be None.
    classes : tuple of str
        The two labels, the second one the class whose probability the network gives.
    pixels, epochs : int
        Height and width of the images, and how long.
    augmentation : callable, optional
        See `pipelines.batches`; `pipelines.disturb` on real images.
    average : float, optional
        Momentum of a running average of the weights, which the network ends with: 0.99, say.
    seed : int
        Of the batches; `keras.utils.set_random_seed` is for the weights.
    options
        For `training.fit`, such as `file` and `callbacks`.

    Returns
    -------
    tuple of (keras.Model, dict)
        The network, and the history of all epochs.
    """
    stream = pipelines.batches(
        train, classes, pixels, training=True, augmentation=augmentation, seed=seed
    )
    check = None if validation is None else pipelines.batches(validation, classes, pixels)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(stream))
    model = training.compiled(models.compactnet(pixels), rate, average)
    weights = training.class_weights(pipelines.encode(train["label"], classes).ravel())
    return model, training.fit(model, stream, check, epochs, class_weight=weights, **options)


def _recipe(name, train, classes, sample, base):
    pixels, total = training.size(name, sample), training.epochs(name, sample)
    if name == "compactnet":
        augmentation = None if sample else pipelines.disturb
        return compactnet(train, None, classes, pixels, total, augmentation=augmentation)[0]
    if name == "vgg16":
        weights = training.class_weights(pipelines.encode(train["label"], classes).ravel())
        return _with_head(base, train, classes, pixels, total, weights)
    # small steps and no class weights, with which one run in three never got started
    stream = pipelines.batches(train, classes, pixels, 3, training=True)
    model = training.compiled(models.smallnet(pixels), 3e-4)
    training.fit(model, stream, None, total)
    return model


def _with_head(base, train, classes, pixels, total, weights):
    streams = [pipelines.batches(train, classes, pixels, 3, training=t) for t in (False, True)]
    (plain, truth), (moved, again) = (transfer.features(base, stream) for stream in streams)
    values, labels = np.concatenate([plain, moved]), np.concatenate([truth, again])
    head = training.compiled(transfer.lean_head(base.output.shape[1:]))
    training.fit(
        head,
        transfer.feature_batches(values, labels, training=True),
        None,
        total,
        class_weight=weights,
    )
    return training.compiled(transfer.joined(base, head))
