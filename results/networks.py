"""The chapter's SmallNet as its code prints it and as its prose describes it, ours, and VGG16."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

import time

import numpy as np
from setting import Clock, judged

from helpers import checkpoints, evaluation, models, pipelines, training, transfer
from helpers.backend import keras

layers = keras.layers
FIRST = 42  # the seed whose network is saved for the heat maps


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


class First(keras.callbacks.Callback):
    """Save the network after the first epoch."""

    def __init__(self, file):
        super().__init__()
        self.file = file

    def on_epoch_end(self, epoch, logs=None):
        """Save it once."""
        if epoch == 0:
            training.save(self.model, self.file)


def learned(model, train, validation, epochs, file, plateau=False, best=None, **options):
    """Train with all states on disk, so that a killed run goes on after its last whole epoch.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    train, validation : tf.data.Dataset
        Validation may be None.
    epochs : int
        In all.
    file : pathlib.Path
        The state of the run, see `training.fit`.
    plateau : bool
        Smaller steps when the validation loss is stuck, as in the chapter.
    best : pathlib.Path, optional
        Where the network of the best validation loss goes; it is the one that `model` ends with.
    **options
        For `training.fit`; `callbacks` run before these.

    Returns
    -------
    float
        The seconds of all epochs, those before a kill included.
    """
    before = checkpoints.history(file).get("val_loss", [])
    callbacks = [*options.pop("callbacks", []), Seconds(), training.lines()]
    callbacks += [Plateau(before)] if plateau else []
    if best:
        known = {"initial_value_threshold": min(before, default=None)}
        saver = keras.callbacks.ModelCheckpoint
        callbacks.append(saver(best, "val_loss", save_best_only=True, **known))
    log = training.fit(model, train, validation, epochs, file, callbacks=callbacks, **options)
    if best:
        model.set_weights(models.load(best).get_weights())
    return sum(log["seconds"])


def prose_network(size=224):
    """Build SmallNet as the chapter's prose describes it: 11,132,033 parameters at 224 pixels."""
    pixels = keras.Input((size, size, 3), name="pixels")
    x = layers.Conv2D(32, 3, activation="relu")(layers.Rescaling(1 / 255)(pixels))
    x = layers.Conv2D(64, 3, activation="relu")(layers.MaxPooling2D(2)(x))
    x = layers.Conv2D(64, 3, activation="relu")(layers.MaxPooling2D(2)(x))
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    x = layers.Dense(1, activation="sigmoid", name="probability")(x)
    return keras.Model(pixels, x, name="smallnet_prose")


def streams(setting, size, channels, seed):
    """Return the batches of train (augmented), validation and test."""
    train, *others = setting.parts
    first = pipelines.batches(train, setting.classes, size, channels, training=True, seed=seed)
    return first, *(pipelines.batches(part, setting.classes, size, channels) for part in others)


def scored(model, *several):
    """Return the network's scores of each stream."""
    return [model.predict(stream, verbose=0).ravel() for stream in several]


def chapter(name, seed, setting):
    """Train SmallNet with the chapter's settings; keep the network after the last epoch.

    The printed EarlyStopping (min_delta=1, patience=20, restore_best_weights=True) never stops and
    in Keras 3 goes back to the first epoch at the end: lesson 4 shows it. What it would leave is
    judged as well, as restored_AUC.
    """
    clock, size = Clock(), setting.size or 224
    train, validation, test = streams(setting, size, 3, seed)
    decoding, total = clock.seconds(), setting.epochs or 15
    printed = name == "smallnet_printed"
    model = models.smallnet(size) if printed else prose_network(size)
    training.compiled(model, 1e-2 if printed else 1e-3)
    file, first = setting.file(name, seed), setting.file(name, seed, "-first.keras")
    options = {"plateau": True, "callbacks": [First(first)]}
    spent = learned(model, train, validation, total, file, **options)
    scores = scored(model, validation, test)
    extras = {"parameters": model.count_params(), "seconds": decoding + spent}
    extras |= {"epochs": total, "size": size, "score_deviation": float(np.std(scores[1]))}
    model.set_weights(models.load(first).get_weights())
    sick = (setting.parts[2]["label"] == setting.classes[1]).to_numpy()
    ends = evaluation.auc_interval(sick, scored(model, test)[0], setting.parts[2]["group"])
    keys = "restored_AUC", "restored_low", "restored_high"
    extras |= dict(zip(keys, ends, strict=True))
    return judged(name, seed, setting.parts, setting.classes, *scores, **extras)


def course(name, seed, setting):
    """Train SmallNet as lesson 4 does, without its early stop; keep the best validation epoch."""
    clock, size = Clock(), setting.size or 224
    train, validation, test = streams(setting, size, 3, seed)
    decoding, total = clock.seconds(), setting.epochs or training.epochs("smallnet", False)
    model = training.compiled(models.smallnet(size), 3e-4)
    file, best = setting.file(name, seed), setting.file(name, seed, "-best.keras")
    spent = learned(model, train, validation, total, file, plateau=True, best=best)
    scores = scored(model, validation, test)
    if seed == FIRST:
        training.save(model, setting.models / f"{name}.keras")
    extras = {"parameters": model.count_params(), "seconds": decoding + spent}
    extras |= {"epochs": total, "size": size, "score_deviation": float(np.std(scores[1]))}
    return judged(name, seed, setting.parts, setting.classes, *scores, **extras)


def vgg16(name, seed, setting):
    """Train a lean head on a frozen VGG16, as lesson 5 does; the base runs once over all images.

    An untrained base, the augmentation and the head differ by seed; ImageNet's base does not.
    """
    size = setting.size or training.size("vgg16", False)
    base, weights = transfer.vgg16(size)
    clock = Clock()  # not before: the weights may have to be downloaded
    moving, *still = streams(setting, size, 3, seed)
    plain = pipelines.batches(setting.parts[0], setting.classes, size, 3)
    seen = [transfer.features(base, stream) for stream in (plain, moving)]
    values, labels = (np.concatenate(each) for each in zip(*seen, strict=True))
    running, total = clock.seconds(), setting.epochs or training.epochs("vgg16", False)
    head = training.compiled(transfer.lean_head(base.output.shape[1:]))
    stream = transfer.feature_batches(values, labels, training=True, seed=seed)
    balance = training.class_weights(labels.ravel())
    spent = learned(head, stream, None, total, setting.file(name, seed), class_weight=balance)
    whole = transfer.joined(base, head)
    scores = scored(whole, *still)
    if seed == FIRST:
        training.save(whole, setting.models / f"{name}.keras")
    extras = {"parameters": whole.count_params(), "trained_parameters": head.count_params()}
    extras |= {"seconds": running + spent, "weights": weights, "epochs": total, "size": size}
    return judged(name, seed, setting.parts, setting.classes, *scores, **extras)


WAYS = {"smallnet_printed": chapter, "smallnet_prose": chapter, "smallnet_course": course}
WAYS |= {"vgg16": vgg16}


def measure(name, seed, setting):
    """Return the record of one network."""
    keras.utils.set_random_seed(seed)
    return [WAYS[name](name, seed, setting)]
