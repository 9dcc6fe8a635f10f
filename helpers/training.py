"""Train a network: seeds, epochs, callbacks."""

import time

from helpers import runtime
from helpers.backend import keras

# Epochs of every network, on the drawn sample and on a real archive: nowhere else in the course.
EPOCHS = {
    "smallnet": (8, 10),
    "compactnet": (5, 10),
}


def epochs(name, sample):
    """Return how many epochs a network trains: few on the sample, more on real images."""
    return EPOCHS[name][0 if sample else 1]


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
