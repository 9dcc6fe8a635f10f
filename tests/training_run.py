"""A process that trains, for tests that kill it, fill its disk or run it twice.

    python training_run.py FOLDER EPOCHS [NETWORK] [options]

It prints a line at every step, so that another process knows when to strike, and at its end the
history and a digest of the weights.
"""

import argparse
import hashlib
import json
import os
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from helpers import models, pipelines, training
from helpers.backend import keras, tf

HERE = Path(__file__).resolve().parent
PATHS = os.environ | {"PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"}  # for such a process
CLASSES = ("NORMAL", "PNEUMONIA")
X = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def stream():
    """Return four batches of numbers, for networks too small to wait for."""
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)


def model(units=4):
    """Return a compiled network for them, always with the same weights."""
    keras.utils.set_random_seed(3)
    body = [keras.layers.Dense(units, activation="relu"), keras.layers.Dense(1, "sigmoid")]
    return training.compiled(keras.Sequential([keras.Input((5,)), *body]), 0.01)


def state(file):
    """Return how many epochs and how many steps of the optimizer a file holds, read for real."""
    saved = keras.saving.load_model(file)
    with zipfile.ZipFile(file) as packed:
        assert packed.testzip() is None
        done = len(json.loads(packed.read("history.json"))["loss"])
    return done, int(saved.optimizer.iterations.numpy())


def images(folder, count=48, pixels=32):
    """Draw grey noise, darker below for the second class, and return its table."""
    rng, rows = np.random.default_rng(0), []
    for n in range(count):
        image = rng.integers(0, 255, (pixels, pixels)).astype("uint8")
        image[pixels // 2 :] = image[pixels // 2 :] * (0.7 if n % 2 else 1.0)
        file = folder / f"{n}.png"
        if not file.exists():
            cv2.imwrite(str(file), image)
        rows.append((str(file), CLASSES[n % 2]))
    return pd.DataFrame(rows, columns=["path", "label"])


def wide(pixels):
    """Return a small network with a large checkpoint, 15 MB, so that writing it takes a while."""
    layers = keras.layers
    body = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(1200, "relu")]
    tail = [layers.Dropout(0.3), layers.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input((pixels, pixels, 1)), *body, *tail])


def network(name, pixels=32, seed=1):
    keras.utils.set_random_seed(seed)
    made = wide(pixels) if name == "wide" else getattr(models, name)(pixels, 1)
    return training.compiled(made, 1e-3)


def digest(trained):
    return hashlib.sha256(b"".join(w.tobytes() for w in trained.get_weights())).hexdigest()


def say(*words):
    print(*words, flush=True)


def watched(trained):
    """Return a callback that says what goes on; its network's save is Keras's, announced."""
    real = trained.save

    def save(*args, **kwargs):
        say("save")
        real(*args, **kwargs)
        say("written")

    trained.save = save

    def batch(number, logs):
        say("batch", number)
        time.sleep(0.02)

    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: say("epoch", epoch), on_train_batch_end=batch
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("epochs", type=int)
    parser.add_argument("network", nargs="?", default="wide")
    parser.add_argument("--pixels", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--mirror", type=Path)
    asked = parser.parse_args()
    rows = images(asked.folder, pixels=asked.pixels)
    trained = network(asked.network, asked.pixels, asked.seed)
    train, check = (
        pipelines.batches(rows, CLASSES, asked.pixels, training=t, batch_size=8)
        for t in (True, False)
    )
    log = training.fit(
        trained,
        train,
        check,
        asked.epochs,
        asked.file,
        asked.mirror,
        callbacks=[watched(trained)] if asked.file else [],
    )
    say(json.dumps({"log": log, "weights": digest(trained)}))


if __name__ == "__main__":
    main()
