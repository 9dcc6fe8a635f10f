"""Runs with callbacks, killed at random moments and gone on with; beside each one never stopped.

    python killed_runs.py FOLDER FIRST LAST

Prints a line for each seed from FIRST up to LAST: how often it was killed, and what differs. Every
go is a process of its own, forked before TensorFlow has begun anything: to start forty anew would
take minutes.
"""

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

from helpers import checkpoints, training
from helpers.backend import keras, tf

EPOCHS, BATCHES = 12, 4


class Notes(keras.callbacks.Callback):
    """A callback of one's own: text, a list that grows, an array."""

    def __init__(self):
        super().__init__()
        self.losses, self.total, self.last = [], np.zeros(3), None

    def on_epoch_end(self, epoch, logs):
        self.losses.append(logs["loss"])
        self.total = self.total + [1, epoch, logs["loss"]]
        self.last = f"epoch {epoch}"


def chosen(seed, folder):
    """Return a random set of callbacks, and what they should agree on in the end."""
    rng, k = np.random.default_rng(seed), keras.callbacks
    monitor = str(rng.choice(["val_loss", "loss"]))
    stop = {"patience": int(rng.integers(1, 4)), "restore_best_weights": bool(rng.integers(2))}
    slower = {"patience": int(rng.integers(1, 3)), "factor": 0.5, "cooldown": int(rng.integers(2))}
    all_of_them = [
        lambda: k.EarlyStopping(monitor, start_from_epoch=int(rng.integers(3)), **stop),
        lambda: k.ReduceLROnPlateau(monitor, min_delta=0.01, **slower),
        lambda: k.ModelCheckpoint(folder / "best.keras", monitor, save_best_only=True),
        lambda: k.LearningRateScheduler(lambda epoch, rate: rate * (0.9 if epoch % 3 else 1.2)),
        lambda: k.CSVLogger(folder / "log.csv"),
        Notes,
    ]
    order = rng.permutation(len(all_of_them))[: int(rng.integers(2, len(all_of_them) + 1))]
    return [all_of_them[place]() for place in order], rng


def digest(weights):
    return [float(np.float64(weight).sum()) for weight in weights]


def train(seed, folder, file, kill=None):
    """Train in this process, to the end or until it kills itself; return all that counts."""
    keras.utils.set_random_seed(seed)
    x = np.random.default_rng(seed).normal(size=(16 * BATCHES, 5)).astype("float32")
    noise = np.random.default_rng(seed + 1).normal(size=len(x)) * 2
    y = (x[:, :1] + noise[:, None] > 0).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(64, seed=seed).batch(16)
    held = tf.data.Dataset.from_tensor_slices((x[::-1], y)).batch(16)
    layers = [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.3)]
    model = keras.Sequential([keras.Input((5,)), *layers, keras.layers.Dense(1, "sigmoid")])
    training.compiled(model, 0.02)
    callbacks, _ = chosen(seed, folder)
    if kill:
        strike(kill, model)
        callbacks.insert(0, at_batch(kill))
    log = training.fit(model, data, held, EPOCHS, file, callbacks=callbacks)
    found = {"log": log, "weights": digest(model.get_weights())}
    found["rate"] = float(model.optimizer.learning_rate.numpy())
    for callback in callbacks:
        if isinstance(callback, Notes):
            found["notes"] = [callback.losses, callback.total.tolist(), callback.last]
        if isinstance(callback, keras.callbacks.CSVLogger):
            lines = Path(callback.filename).read_text().splitlines()
            found["csv"] = sorted({int(line.split(",")[0]) for line in lines[1:]})
        if isinstance(callback, keras.callbacks.ModelCheckpoint):
            found["best"] = digest(checkpoints.load(folder / "best.keras").get_weights())
    return found


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def at_batch(kill):
    """Return a callback that kills the process in a batch, or as an epoch begins."""
    state = {"epoch": 0}

    def begin(epoch, logs):
        state["epoch"] = epoch
        if kill == ("begin", epoch):
            die()

    def batch(number, logs):
        if kill == ("batch", state["epoch"], number):
            die()

    return keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_train_batch_end=batch)


def strike(kill, model):
    """Let saving kill the process: half way, or once the file is in its place."""
    save, real, count = checkpoints.save, model.save, [0]

    def half(place, *words, **options):
        real(place, *words, **options)
        if kill == ("half", count[0]):
            die()

    def counted(*words):
        save(*words)
        if kill == ("saved", count[0]):
            die()
        count[0] += 1

    model.save, checkpoints.save = half, counted


def go(seed, folder, file, kill=None):
    """Train in a child; return its result, or None where it was killed."""
    answer, child = folder / "answer.json", os.fork()
    if not child:
        try:
            os.dup2(os.open(folder / "out.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
            answer.write_text(json.dumps(train(seed, folder, file, kill)))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    deadline = time.monotonic() + 120
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended[0] == 0:
        os.kill(child, signal.SIGKILL)
        raise TimeoutError(f"seed {seed} hangs")
    if os.WIFSIGNALED(ended[1]):
        return None
    assert os.WEXITSTATUS(ended[1]) == 0, f"seed {seed} failed"
    return json.loads(answer.read_text())


def moment(rng):
    """Return where the next blow falls; those in saving count from the go's first save."""
    kind = str(rng.choice(["batch", "begin", "half", "saved"]))
    if kind == "batch":
        return kind, int(rng.integers(EPOCHS)), int(rng.integers(BATCHES))
    return kind, int(rng.integers(EPOCHS if kind == "begin" else 4))


def main():
    home, first, last = Path(sys.argv[1]), *map(int, sys.argv[2:])
    for seed in range(first, last):
        whole, broken = (Path(tempfile.mkdtemp(dir=home)) for _ in range(2))
        expected = go(seed, whole, None)
        rng, kills, found = np.random.default_rng([seed, 9]), 0, None
        while found is None:
            found = go(seed, broken, broken / "run.keras", moment(rng) if kills < 3 else None)
            kills += found is None
        again = go(seed, broken, broken / "run.keras")
        wrong = [key for key in expected if found[key] != expected[key]]
        # the cell run again changes nothing
        wrong += [f"{key}, run again" for key in expected if again[key] != expected[key]]
        print(json.dumps({"seed": seed, "kills": kills, "wrong": wrong}), flush=True)


if __name__ == "__main__":
    main()
