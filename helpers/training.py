"""Train a network: epochs and sizes, callbacks, going on after a disconnect."""

import contextlib
import time
import warnings

from helpers import checkpoints, runtime
from helpers.backend import keras, tf
from helpers.checkpoints import save
from helpers.mirror import copies, fetch

# Epochs of every network, on the drawn sample and on a real archive: nowhere else in the course.
EPOCHS = {
    "smallnet": (10, 10),
    "compactnet": (5, 16),
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
    "capstone": (10, 15),
    "own": (6, 15),
    "alexnet_steps": (110, 1500),  # in batches of 16, however many images there are
}
# Height and width of the images from lesson 5 on: on the sample, on a real archive without a GPU,
# and with one. VGG16 without a GPU takes 160 ms for an image of 224 x 224.
SIZES = {
    "smallnet": (112, 224, 224),
    "compactnet": (128, 64, 64),
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
    named = keras.metrics
    metrics = [
        named.Precision(name="precision"),
        named.Recall(name="recall"),
        named.AUC(name="auc"),
    ]
    averaging = {"use_ema": True, "ema_momentum": average} if average else {}
    adam = keras.optimizers.Adam(learning_rate, **averaging)
    model.compile(adam, "binary_crossentropy", metrics=["accuracy", *metrics])
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
    file : pathlib.Path, optional
        A `.keras` file for network, optimizer and history. Where it exists, training goes on
        after its last epoch, and says so; delete it, and its copy in the mirror, to begin anew.
        It is written beside and renamed, so that a disconnect at any moment leaves the last whole
        epoch. In a new process with the same seeds, going on gives the losses of a run that was
        never stopped.
    mirror : pathlib.Path, optional
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
        When the file holds another network or is broken, or for several worker processes.
    OSError
        When the file cannot be written, as on a full disk, or the mirror is missing at the start.
    """
    history = _before(model, file, mirror)
    done = len(history.get("loss", []))
    if done:
        rest = f"going on with epoch {done + 1} of {epochs}" if done < epochs else "all are done"
        print(f"{file.name}: {done} epochs were done before, {rest}")
    train, validation = (_shared(model, stream) for stream in (train, validation))
    _advance(train, done)

    def end(epoch, logs):
        for name, value in logs.items():
            history.setdefault(name, []).append(float(value))
        if file is not None:
            save(model, file, history)
            copy()

    keep = [*options.pop("callbacks", []), keras.callbacks.LambdaCallback(on_epoch_end=end)]
    steps = {"validation_data": validation, "initial_epoch": done, "epochs": epochs}
    copying = copies(file, mirror) if mirror else contextlib.nullcontext(bool)
    with copying as copy, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")  # some batch was left out
        model.fit(train, **steps, callbacks=keep, shuffle=False, verbose=0, **options)
    return history


def _before(model, file, mirror):
    """Bring a network to the last whole epoch of its run, and return the history so far."""
    if file is None:
        if mirror:
            raise ValueError("A mirror holds copies of a file: name the file as well.")
        return {}
    checkpoints.sweep(file)
    history = checkpoints.restore(model, file) if file.exists() else {}
    return (mirror and fetch(model, file, mirror, len(history.get("loss", [])))) or history


def _advance(stream, done):
    """Shuffle as often as in the epochs done, so that the next one is as if nothing had happened.

    Every iterator shuffles anew, and of a stream whose length it knows Keras 3 makes two an epoch.
    """
    for _ in range(done):
        for _ in range(2 if stream.cardinality() >= 0 else 1):
            iter(stream)


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
