"""Train a network: compile, class weights, fit, and go on after a disconnect."""

import collections
import contextlib
import hashlib
import json
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_class_weight

from helpers import checkpoints, files
from helpers.backend import keras, tf


def compiled(model, learning_rate=1e-3, average=None):
    """Compile a binary classifier: Adam, cross-entropy, accuracy, precision, recall, AUC.

    Parameters
    ----------
    model : keras.Model
        With one sigmoid unit.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        Adam's step.
    average : float, optional
        Momentum of a running average of the weights, which training ends with: 0.99, say.

    Returns
    -------
    keras.Model
        The same model.
    """
    metrics = [
        "accuracy",
        keras.metrics.Precision(name="precision"),
        keras.metrics.Recall(name="recall"),
        keras.metrics.AUC(name="auc"),
    ]
    averaging = {"use_ema": True, "ema_momentum": average} if average else {}
    adam = keras.optimizers.Adam(learning_rate, **averaging)
    model.compile(adam, "binary_crossentropy", metrics=metrics)
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
    labels : array of int
        The class of every training image: 0, 1, ..., [N] or [N, 1].

    Returns
    -------
    dict of int to float
        Class to n / (classes * n_class), scikit-learn's "balanced".

    Raises
    ------
    ValueError
        When labels are names, missing, or not counted from 0.
    """
    labels = np.ravel(labels)
    classes = pd.unique(labels)
    counted = all(label in range(1_000_000) for label in classes)
    if not counted or (len(classes) > 1 and 0 not in classes):
        raise ValueError(
            "Class weights need labels 0, 1, ..., as Keras does: pipelines.encode(labels, classes) "
            "makes them of names."
        )
    labels, classes = labels.astype(int), np.unique(labels.astype(int))
    weights = compute_class_weight("balanced", classes=classes, y=labels)
    return {int(name): float(weight) for name, weight in zip(classes, weights, strict=True)}


def restart(model, seed):
    """Give a compiled network new random weights and a new optimizer, without building it anew.

    Keras would trace a new network again, which takes longer than training it on 20 images.
    """
    keras.utils.set_random_seed(seed)
    model.set_weights(type(model).from_config(model.get_config()).get_weights())
    for state in model.optimizer.variables:
        if state is not model.optimizer.learning_rate:
            state.assign(tf.zeros_like(state))


def fit(model, train, validation, epochs, file=None, mirror=None, **options):
    """Train, and with a file keep the state after each epoch and go on from it.

    Parameters
    ----------
    model : keras.Model
        Compiled; for several GPUs inside `with tf.distribute.MirroredStrategy().scope():`. Then
        a batch too small to give each of them an image, which can only be the last, is left out.
    train, validation : tf.data.Dataset
        Of (images, labels); `train` is shuffled already.
    epochs : int
        How many in all, those done before included.
    file : str or Path, optional
        A `.keras` file for network, optimizer, history and what callbacks know (EarlyStopping its
        patience and best weights, say; of a callback of one's own what is kept in numbers, text
        and arrays). Where it exists, training goes on after its last epoch, and says so; name
        another one to begin anew. It is written beside and renamed, so that a disconnect at any
        moment leaves the last whole epoch. In a new process with the same seeds, going on gives
        the losses of a run that was never stopped.
    mirror : str or Path, optional
        A folder for a copy of `file`, made in the background after each epoch: Google Drive, say.
        When it vanishes, one line says so and training goes on. Where `file` is missing or has
        fewer epochs, training goes on from the copy.
    options
        For Keras's `fit`, such as `class_weight` and `callbacks`.

    Returns
    -------
    dict of str to list
        The history of all epochs, those done before included.

    Raises
    ------
    ValueError
        Before the first epoch: when the file holds another network, is broken or does not end in
        .keras, when Keras cannot save the network, or for several worker processes.
    OSError
        When the file cannot be written, as on a full disk, or the mirror is missing at the start.
    """
    file = None if file is None else checkpoints.checked(model, file)
    history, memory = _before(model, file, mirror)
    done = checkpoints.length(history)
    if memory.get("stopped"):
        epochs = done
    if done:
        rest = f"going on with epoch {done + 1} of {epochs}" if done < epochs else "all are done"
        rest = "a callback ended the run there" if memory.get("stopped") else rest
        print(f"{file.name}: {done} epochs were done before, {rest}")
    train, validation = _shared(model, train), _shared(model, validation)
    _replay(train, done)
    callbacks, fresh = options.pop("callbacks", None) or [], {}
    callbacks = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    for callback in callbacks:
        if done and isinstance(callback, keras.callbacks.CSVLogger):
            callback.append = True  # else it would write over the epochs done

    def begin(logs):
        for name, callback in _named(callbacks):
            fresh[name] = _known(callback)
            vars(callback).update(memory.get("callbacks", {}).get(name, {}))

    def keep(epoch, logs):
        for name, value in logs.items():
            history.setdefault(name, []).append(np.asarray(value).tolist())
        if file is not None:
            now = {"stopped": model.stop_training, "callbacks": _learned(callbacks, fresh)}
            checkpoints.save(model, file, history, now)
            copy()

    # the last of the callbacks: it sees what the others have done
    keeping = keras.callbacks.LambdaCallback(on_train_begin=begin, on_epoch_end=keep)
    options["callbacks"] = [*callbacks, keeping]
    steps = {"validation_data": validation, "initial_epoch": done, "epochs": epochs}
    copying = checkpoints.copies(file, mirror) if mirror else contextlib.nullcontext(bool)
    with copying as copy, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")  # some batch was left out
        model.fit(train, **steps, shuffle=False, verbose=0, **options)
    return history


def _before(model, file, mirror):
    """Bring a network to its run's last whole epoch; return the history and memory so far."""
    if file is None:
        if mirror:
            raise ValueError("A mirror holds copies of a file: name the file as well.")
        return {}, {}
    files.sweep(file)
    run = checkpoints.restore(model, file) if file.exists() else ({}, {})
    done = checkpoints.length(run[0])
    return (mirror and checkpoints.fetch(model, file, mirror, done)) or run


def _replay(train, done):
    """Bring what a stream draws at random to where it was after so many epochs."""
    if isinstance(train, tf.data.Dataset):
        # shuffled as often as in the epochs done, the next one is as if nothing had happened: every
        # iterator shuffles anew, and of a stream whose length it knows Keras 3 makes two an epoch
        for _ in range(done * (2 if train.cardinality() >= 0 else 1)):
            iter(train)
    elif isinstance(train, keras.utils.PyDataset):
        for _ in range(done):
            train.on_epoch_end()


def _named(callbacks):
    """Yield each callback with its kind and its place among those of its kind."""
    seen = collections.Counter()
    for callback in callbacks:
        kind = type(callback).__name__
        yield f"{kind} {seen[kind]}", callback
        seen[kind] += 1


def _known(callback):
    """Return what a callback keeps in numbers, text and arrays: attribute to (digest, value)."""
    found = {}
    for name, value in vars(callback).items():
        # Keras's monitors turn the sign of min_delta as they begin: it is a setting, not knowledge
        if name != "min_delta":
            with contextlib.suppress(TypeError, ValueError):  # files, functions, networks
                found[name] = json.dumps(value, default=_digest), value
    return found


def _digest(value):
    if isinstance(value, np.ndarray | np.generic):
        return hashlib.sha256(value.tobytes()).hexdigest()
    raise TypeError


def _learned(callbacks, fresh):
    """Return what callbacks know now and did not when training began; `fresh` is what they did."""
    found = {}
    for name, callback in _named(callbacks):
        before, now = fresh.get(name, {}), _known(callback)
        found[name] = {k: v for k, (d, v) in now.items() if k not in before or before[k][0] != d}
    return found


def _shared(model, stream):
    """Leave out batches of which some device would get no image: a mean of none is not a number."""
    strategy = model.distribute_strategy
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        raise ValueError(
            "Keras 3 cannot train under MultiWorkerMirroredStrategy: take MirroredStrategy, for "
            "the GPUs of one machine."
        )
    devices = strategy.num_replicas_in_sync
    if devices == 1 or stream is None:
        return stream

    def enough(images, *rest):
        count = tf.shape(images)[0]
        return count > (devices - 1) * -(-count // devices)  # each gets a share, rounded up

    return stream.filter(enough)
