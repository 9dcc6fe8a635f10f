"""What tells the sick from the healthy: four ways without a network, SmallNet, VGG16, CompactNet.

The course's networks are trained by `helpers.recipes`, as the lessons train them. The textbook
chapter's SmallNet, as its code prints it and as its prose describes it, is trained here only. The
leave-out tests (`setting.left_out`) train and test CompactNet on other parts of the archive; the
ablation changes one thing of its recipe at a time and repeats two of them.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

import time
from functools import partial

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from experiments.accuracy.plan import CLASSIFIERS, HARD
from experiments.accuracy.setting import clock, judged, left_out
from helpers import checkpoints, evaluation, models, pipelines, recipes, runtime, training
from helpers.backend import keras

layers = keras.layers
FIRST = 42  # the seed whose network is saved for the heat maps
EIGHT = "baseline_8x8"
LEARNED = {  # numbers that each baseline learns
    "baseline_larger_class": 0,
    "baseline_file_size": 1,
    "baseline_mean_intensity": 1,
    EIGHT: 65,
}
VARIANTS = {  # what differs from CompactNet's recipe
    "first": {"size": 128, "epochs": 10, "augmentation": pipelines.augment},
    "smaller": {"augmentation": pipelines.augment},
    "grey_levels": {"augmentation": partial(pipelines.disturb, blur=0, sharpen=0, noise=0)},
    "sharpness": {"augmentation": partial(pipelines.disturb, tone=0, field=0)},
    "all": {},
    "averaged": {"average": 0.99},
}


def baseline(name, seed, setting):
    """Judge one of the ways without a network."""
    scores = trivial(name, setting.parts, setting.classes)
    # what is the same for all images has no threshold to choose: above a half is the larger class
    threshold = 0.5 if name == "baseline_larger_class" else None
    extras = {"parameters": LEARNED[name]}
    return [judged(name, seed, setting.parts, setting.classes, *scores, threshold, **extras)]


def trivial(name, parts, classes):
    """Return a baseline's scores of the second and third table, fitted to the first."""
    train, *others = parts
    return evaluation.trivial_scores(train, others, classes[1])[CLASSIFIERS[name]]


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """The chapter's smaller steps when stuck; after a kill it knows how long it was stuck."""

    def __init__(self, losses):
        super().__init__("val_loss", factor=0.3, patience=3, min_lr=1e-6)
        self.losses = losses

    def on_train_begin(self, logs=None):
        """Begin anew, then look at the epochs that were done before."""
        super().on_train_begin(logs)
        for loss in self.losses:
            better = self.best is None or loss < self.best - abs(self.min_delta)
            self.best = loss if better else self.best
            self.wait = 0 if better else (self.wait + 1) % self.patience


class Seconds(keras.callbacks.Callback):
    """Write each epoch's seconds into the history: it survives a kill, and they can be summed."""

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stop it; `training.fit` keeps whatever is in `logs`."""
        logs["seconds"] = time.perf_counter() - self.start


def timed(train, *given, file=None, callbacks=(), **options):
    """Train by a recipe, with all states on disk: a killed run goes on after its last whole epoch.

    Parameters
    ----------
    train : callable
        Of `recipes`, or one that returns a network and a history as these do.
    *given, **options
        For it.
    file : pathlib.Path, optional
        The state of the run, see `training.fit`.
    callbacks : sequence of keras.callbacks.Callback
        They run before those that tell the seconds.

    Returns
    -------
    tuple of (keras.Model, dict)
        The network, and its "epochs" and "seconds".
    """
    seconds, before = clock(), file and checkpoints.history(file).get("loss")
    callbacks = [*callbacks, Seconds(), training.lines()]
    network, log = train(*given, file=file, callbacks=callbacks, **options)
    # a run that was killed has its epochs' seconds, but no more what came before them
    spent = sum(log["seconds"]) if before else seconds()
    return network, {"epochs": len(log["loss"]), "seconds": spent}


def prose_network(size=224):
    """Build SmallNet as the chapter's prose describes it: 11,132,033 parameters at 224 pixels."""
    pixels = keras.Input((size, size, 3), name="pixels")
    x = layers.Conv2D(32, 3, activation="relu")(layers.Rescaling(1 / 255)(pixels))
    x = layers.Conv2D(64, 3, activation="relu")(layers.MaxPooling2D(2)(x))
    x = layers.Conv2D(64, 3, activation="relu")(layers.MaxPooling2D(2)(x))
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    x = layers.Dense(1, activation="sigmoid", name="probability")(x)
    return keras.Model(pixels, x, name="smallnet_prose")


def scored(model, parts, classes):
    """Return the network's scores of each table."""
    _, size, _, channels = model.input_shape
    streams = [pipelines.batches(part, classes, size, channels) for part in parts]
    return [model.predict(stream, verbose=0).ravel() for stream in streams]


def record(name, seed, setting, network, extras, parts=None, scores=None):
    """Judge a trained network on the third table; those of the setting, or `parts`."""
    parts = parts or setting.parts
    scores = scores or scored(network, parts[1:], setting.classes)
    known = {"parameters": network.count_params(), "size": network.input_shape[1]}
    return judged(name, seed, parts, setting.classes, *scores, **known | extras)


def saved(network, name, seed, setting):
    """Save the first seed's network for the heat maps."""
    if seed == FIRST:
        checkpoints.save(network, setting.models / f"{name}.keras")


def fit_chapter(model, setting, epochs, seed, *, file, first, callbacks):
    """Train as the chapter does, and save the network after the first epoch in `first`."""
    size, (train, validation, _) = model.input_shape[1], setting.parts
    stream = pipelines.batches(train, setting.classes, size, 3, training=True, seed=seed)
    check = pipelines.batches(validation, setting.classes, size, 3)

    def keep(epoch, logs):
        if epoch == 0:
            checkpoints.save(model, first)

    plateau = Plateau(checkpoints.history(file).get("val_loss", []))
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=keep), *callbacks, plateau]
    return model, training.fit(model, stream, check, epochs, file, callbacks=callbacks)


def chapter(name, seed, setting):
    """Train SmallNet with the chapter's settings; keep the network after the last epoch.

    The printed EarlyStopping (min_delta=1, patience=20, restore_best_weights=True) never stops and
    in Keras 3 goes back to the first epoch at the end: lesson 4 shows it. What it would leave is
    judged as well, as restored_AUC.
    """
    size, total = setting.size or 224, setting.epochs or 15
    keras.utils.set_random_seed(seed)
    printed = name == "smallnet_printed"
    model = models.smallnet(size) if printed else prose_network(size)
    training.compiled(model, 1e-2 if printed else 1e-3)
    files = {"file": setting.file(name, seed), "first": setting.file(name, seed, "-first.keras")}
    _, extras = timed(fit_chapter, model, setting, total, seed, **files)
    scores = scored(model, setting.parts[1:], setting.classes)
    extras |= {"score_deviation": float(np.std(scores[1]))}
    found = record(name, seed, setting, model, extras, scores=scores)
    test = setting.parts[2]
    model.set_weights(checkpoints.load(files["first"]).get_weights())
    (before,) = scored(model, [test], setting.classes)
    sick = (test["label"] == setting.classes[1]).to_numpy()
    ends = evaluation.auc_interval(sick, before, test["group"])
    keys = "restored_AUC", "restored_low", "restored_high"
    return [found | dict(zip(keys, ends, strict=True))]


def smallnet(name, seed, setting):
    """Train SmallNet as lesson 4 does.

    Without a file: going on after a kill, its EarlyStopping would not know the best epoch before.
    """
    size = setting.size or runtime.size("smallnet", False)
    total = setting.epochs or runtime.epochs("smallnet", False)
    given = *setting.parts[:2], setting.classes, size, total
    model, extras = timed(recipes.smallnet, *given, seed=seed)
    saved(model, name, seed, setting)
    scores = scored(model, setting.parts[1:], setting.classes)
    extras |= {"score_deviation": float(np.std(scores[1]))}
    return [record(name, seed, setting, model, extras, scores=scores)]


def vgg16(name, seed, setting):
    """Train a lean head on a frozen VGG16, as lesson 5 does; the base runs once over all images.

    An untrained base, the augmentation and the head differ by seed; ImageNet's base does not.
    """
    size = setting.size or runtime.size("vgg16", False)
    keras.utils.set_random_seed(seed)
    base, weights = models.vgg16(size)
    seconds = clock()  # not before: the weights may have to be downloaded
    seen = recipes.vgg16_features(base, setting.parts[0], setting.classes, size, seed)
    running, total = seconds(), setting.epochs or runtime.epochs("vgg16", False)
    given, file = (*seen, None, total), setting.file(name, seed)
    head, extras = timed(recipes.vgg16_head, *given, file=file, seed=seed)
    extras |= {"seconds": running + extras["seconds"], "weights": weights}
    extras |= {"trained_parameters": head.count_params()}
    whole = models.joined(base, head)
    saved(whole, name, seed, setting)
    return [record(name, seed, setting, whole, extras)]


def compactnet(name, seed, setting, parts=None, **changes):
    """Train CompactNet by the recipe or with changes, and judge it; return network and record."""
    parts = parts or setting.parts
    size = setting.size or changes.pop("size", runtime.size("compactnet", False))
    total = setting.epochs or changes.pop("epochs", runtime.epochs("compactnet", False))
    changes = {key: value for key, value in changes.items() if key not in ("size", "epochs")}
    options = {"augmentation": pipelines.disturb, "seed": seed} | changes
    given = parts[0], None, setting.classes, size, total
    file = setting.file(name, seed)
    network, extras = timed(recipes.compactnet, *given, file=file, **options)
    scores = scored(network, parts[1:], setting.classes)
    extras |= at_half(parts, setting.classes, *scores)
    return network, record(name, seed, setting, network, extras, parts, scores)


def at_half(parts, classes, validation, test):
    """Calibrate on validation, and judge test at a probability of a half.

    Logistic regression on the network's log-odds (Platt 1999) with both classes weighed the same:
    a half is then where they are equally likely, whatever their shares. For a clinic with other
    shares add the logarithm of their odds.

    Returns
    -------
    dict
        half_accuracy, half_sensitivity and half_specificity.
    """
    sick = [(part["label"] == classes[1]).to_numpy() for part in parts[1:]]
    odds = [np.clip(np.float64(p), 1e-9, 1 - 1e-9) for p in (validation, test)]
    odds = [np.log(p / (1 - p))[:, None] for p in odds]
    fitted = LogisticRegression(class_weight="balanced", C=1e3).fit(odds[0], sick[0])
    found = evaluation.at_threshold(sick[1], fitted.predict_proba(odds[1])[:, 1], 0.5)
    return {f"half_{key}": value for key, value in found.items()}


def course(name, seed, setting):
    """Train CompactNet on the course's split."""
    network, found = compactnet(name, seed, setting)
    saved(network, name, seed, setting)
    return [found]


def leave_out(name, seed, setting):
    """Test on what was left out, beside logistic regression on 8x8 pixels."""
    kind = name.removeprefix("leave_out_")
    parts, known = left_out(pd.concat(setting.parts), kind, seed), {"kind": kind}
    scores = trivial(EIGHT, parts, setting.classes)
    beside = judged(f"{name}_8x8", seed, parts, setting.classes, *scores, method="8x8", **known)
    found = compactnet(name, seed, setting, parts)[1]
    return [beside | {"parameters": LEARNED[EIGHT]}, found | {"method": "compactnet"} | known]


def ablation(name, seed, setting):
    """Train one variant of the recipe for one of the tests that leave something out."""
    kind = next(kind for kind in HARD if name.endswith(kind))
    variant = name.removeprefix("ablation_").removesuffix(f"_{kind}")
    parts = left_out(pd.concat(setting.parts), kind, seed)
    found = compactnet(name, seed, setting, parts, **VARIANTS[variant])[1]
    return [found | {"kind": kind, "variant": variant}]


WAYS = {  # how names of jobs begin
    "baseline_": baseline,
    "smallnet_course": smallnet,
    "smallnet_": chapter,
    "vgg16": vgg16,
    "compactnet": course,
    "leave_out_": leave_out,
    "ablation_": ablation,
}


def measure(name, seed, setting):
    """Return the records of one run."""
    return next(way for start, way in WAYS.items() if name.startswith(start))(name, seed, setting)
