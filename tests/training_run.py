"""A process that trains, for tests that kill it, fill its disk or run it twice.

    python training_run.py FOLDER EPOCHS [NETWORK] [options]

It prints a line at every step, so that another process knows when to strike, and at its end the
history and a digest of the weights.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import models, pipelines, training  # noqa: E402
from helpers.backend import keras  # noqa: E402

CLASSES = ("NORMAL", "PNEUMONIA")


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


def digest(model):
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()


def say(*words):
    print(*words, flush=True)


def watched(model):
    """Return a callback that says what goes on; its model's save is Keras's, announced."""
    real = model.save

    def save(*args, **kwargs):
        say("save")
        real(*args, **kwargs)
        say("written")

    model.save = save

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
    rows, model = (
        images(asked.folder, pixels=asked.pixels),
        network(asked.network, asked.pixels, asked.seed),
    )
    train, check = (
        pipelines.batches(rows, CLASSES, asked.pixels, training=t, batch_size=8)
        for t in (True, False)
    )
    log = training.fit(
        model,
        train,
        check,
        asked.epochs,
        asked.file,
        asked.mirror,
        callbacks=[watched(model)] if asked.file else [],
    )
    say(json.dumps({"log": log, "weights": digest(model)}))


if __name__ == "__main__":
    main()
