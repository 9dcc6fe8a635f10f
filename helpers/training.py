"""Train a network: epochs and sizes, callbacks, going on after a disconnect."""

import json
import os
import time
import zipfile

from helpers import models, runtime
from helpers.backend import keras

# Epochs of every network, on the drawn sample and on a real archive: nowhere else in the course.
EPOCHS = {
    "smallnet": (10, 10),
    "smallnet_224": (8, 10),  # lesson 4's, on larger images
    "compactnet": (5, 10),
    "vgg16": (15, 15),
    "chapter_head": (1, 5),
    "vgg16_last_block": (1, 1),
    "narrow_vgg": (6, 6),
    "marker": (8, 8),
    "flat_autoencoder": (5, 20),
    "lean_autoencoder": (20, 25),
    "oct_classifier": (8, 8),
    "oct_autoencoder": (14, 18),
    "alexnet": (15, 30),
    "capstone": (12, 15),
    "own": (6, 15),
    "alexnet_steps": (150, 1500),  # in batches of 16, however many images there are
}
# Height and width of the images from lesson 5 on: on the sample, on a real archive without a GPU,
# and with one. VGG16 without a GPU takes 160 ms for an image of 224 x 224.
SIZES = {
    "smallnet": (112, 224, 224),
    "compactnet": (128, 128, 128),
    "vgg16": (64, 96, 224),
    "alexnet": (131, 131, 227),
    "capstone": (112, 128, 224),
}


def epochs(name, sample):
    """Return how many epochs a network trains: few on the sample, more on real images."""
    return EPOCHS[name][0 if sample else 1]


def size(name, sample):
    """Return the images' height and width for a network: small where there is no GPU."""
    return SIZES[name][0 if sample else 2 if runtime.gpu() else 1]


def folder(name):
    """Return build/models/<name>, made if need be: where a network's files go."""
    path = runtime.ROOT / "build" / "models" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def compiled(model, learning_rate=1e-3):
    """Compile a binary classifier: Adam, cross-entropy, accuracy, precision, recall, AUC.

    Parameters
    ----------
    model : keras.Model
        With one sigmoid unit.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        Adam's step.

    Returns
    -------
    keras.Model
        The same model.
    """
    named = keras.metrics
    metrics = [
        named.Precision(name="precision"),
        named.Recall(name="recall"),
        named.AUC(name="auc"),
    ]
    model.compile(
        keras.optimizers.Adam(learning_rate), "binary_crossentropy", metrics=["accuracy", *metrics]
    )
    return model


def lines():
    """Return a callback that prints one short line an epoch, where Keras draws a long bar."""
    started = {}

    def begin(epoch, logs):
        started["at"] = time.perf_counter()

    def end(epoch, logs):
        shown = [k for k in ("loss", "val_loss", "auc", "val_auc") if k in logs]
        figures = "  ".join(f"{k} {logs[k]:.3f}" for k in shown)
        print(f"epoch {epoch + 1:2}  {figures}  {time.perf_counter() - started['at']:.1f} s")

    return keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end)


def class_weights(labels):
    """Return a weight per class, so that both classes weigh the same in the loss.

    Parameters
    ----------
    labels : sequence
        The class of every training image, as a number 0, 1, ...

    Returns
    -------
    dict
        Class to n / (classes * n_class), scikit-learn's "balanced".
    """
    labels = [int(label) for label in labels]
    names = sorted(set(labels))
    return {n: len(labels) / (len(names) * labels.count(n)) for n in names}


def fit(model, train, validation, epochs, file=None, **options):
    """Train, and with a file keep the state after each epoch and go on from it.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    train, validation : tf.data.Dataset
        Of (images, labels); `train` is shuffled already.
    epochs : int
        How many in all, those done before included.
    file : pathlib.Path, optional
        A `.keras` file for network, optimizer and history. Where it exists, training goes on
        after its last epoch, and says so; delete it to begin anew. It is written beside and
        renamed, so that a disconnect at any moment leaves the last whole epoch.
    options
        For Keras's `fit`, such as `class_weight` and `callbacks`.

    Returns
    -------
    dict of str to list
        The history of all epochs, those done before included.

    Raises
    ------
    ValueError
        When the file holds another network or is broken.
    """
    history = _restore(model, file) if file is not None and file.exists() else {}
    done = len(history.get("loss", []))
    if done:
        rest = f"going on with epoch {done + 1} of {epochs}" if done < epochs else "all are done"
        print(f"{file.name}: {done} epochs were done before, {rest}")

    def end(epoch, logs):
        for name, value in logs.items():
            history.setdefault(name, []).append(float(value))
        if file is not None:
            save(model, file, history)

    keep = [*options.pop("callbacks", []), keras.callbacks.LambdaCallback(on_epoch_end=end)]
    steps = {"validation_data": validation, "initial_epoch": done, "epochs": epochs}
    model.fit(train, **steps, callbacks=keep, shuffle=False, verbose=0, **options)
    return history


def save(model, file, history=None):
    """Save a network whole or not at all: beside its place, then renamed.

    Parameters
    ----------
    model : keras.Model
        With `history` its optimizer is saved too, to go on from; without, only what predicts.
    file : pathlib.Path
        Ending in .keras.
    history : dict of str to list, optional
        Kept inside the same file, so that network and history never differ.
    """
    beside = file.with_name(f"{file.stem}-{os.getpid()}.part.keras")
    if history is None:  # a copy that was never compiled: Keras saves an optimizer with the rest
        weights, model = model.get_weights(), type(model).from_config(model.get_config())
        model.set_weights(weights)
    model.save(beside)
    if history is not None:
        with zipfile.ZipFile(beside, "a") as packed:
            packed.writestr("history.json", json.dumps(history))
    os.replace(beside, file)


def _restore(model, file):
    try:
        before = models.load(file)
        with zipfile.ZipFile(file) as packed:
            history = json.loads(packed.read("history.json"))
        model.set_weights(before.get_weights())
        model.optimizer.build(model.trainable_variables)
        for new, old in zip(model.optimizer.variables, before.optimizer.variables, strict=True):
            new.assign(old)
    except (ValueError, KeyError, OSError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{file.name} does not hold a run of this network: delete it, or name another file."
        ) from error
    return history
