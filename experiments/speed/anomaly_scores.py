"""Score images with an autoencoder: the course's way against a well-known notebook's.

    python -m experiments.speed.anomaly_scores [--images 10000] [--repeats 3]

Ours is pipelines.batches and anomaly.errors. The other is how public COVID-19 notebooks do it: an
ImageDataGenerator that hands out one image at a time, all reconstructions in one array, then all
images in another, then a loop of mean squared errors. Both read the same PNG files of 128x128 grey
pixels with the same random weights (speed does not depend on them), each in a fresh process, in
turn. The clock starts after the imports and the building of the network, and includes finding the
files and tracing. Growth is the peak less the resident size just before; the other's holds two
float32 arrays of all images. Linux or macOS.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from experiments.speed.harness import (
    arguments,
    compare,
    in_turn,
    memory,
    middle,
    resident,
    table,
    unscaled,
    write_chests,
)

SIZE = 128
FEW = 1000  # images of the run that shows whether memory grows with their number
NETWORKS = {"lean_autoencoder": (8, 16, 32, 64), "wide_autoencoder": (16, 32, 64, 64)}


def ours(folder, autoencoder):
    """Return the mean squared error of every image, as the course does it."""
    from helpers import anomaly, pipelines

    rows = table(folder / "normal").assign(label="normal")
    batches = pipelines.batches(rows, ("normal",), SIZE, keep=False)
    return anomaly.errors(autoencoder, batches)["MSE"].to_numpy()


def other(folder, autoencoder):
    """Return the same numbers, as the notebook does it."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        folder,
        target_size=(SIZE, SIZE),
        color_mode="grayscale",
        class_mode="input",
        batch_size=1,
        shuffle=False,
    )
    reconstructions = autoencoder.predict(generator, verbose=0)
    generator.reset()
    images = []
    for _ in range(len(generator)):
        batch, _ = next(generator)
        images.append(batch[0])
    images = np.array(images)
    errors = []
    for image, reconstruction in zip(images, reconstructions, strict=True):
        errors.append(np.mean((image - reconstruction) ** 2))
    return np.array(errors)


def network(way, widths):
    """Build the autoencoder, always of the same weights; the other way's takes pixels in 0..1."""
    from helpers import models
    from helpers.backend import keras

    keras.utils.set_random_seed(0)
    autoencoder = models.lean_autoencoder(SIZE, widths=widths)
    return autoencoder if way == "ours" else unscaled(autoencoder)


def measure(way, folder, widths):
    """Score a folder of images and return the errors, the rate and what memory that took."""
    # all that either way needs is loaded before the clock starts; helpers quiet TensorFlow first
    import tensorflow.keras.preprocessing.image  # noqa: F401

    autoencoder = network(way, widths)
    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home  # no file was checked before: that is in the time
        before, start = resident(), time.perf_counter()
        errors = {"ours": ours, "other": other}[way](folder, autoencoder)
        seconds = time.perf_counter() - start
    return {"errors": errors, "rate": len(errors) / seconds} | memory(before)


def both(folder, widths, repeats):
    """Measure both ways in turn and return what came by way; their errors must be the same."""
    runs = in_turn(measure, ("ours", "other"), repeats, folder, widths)
    for number, pair in enumerate(zip(runs["ours"], runs["other"], strict=True), 1):
        errors = [run.pop("errors") for run in pair]
        assert np.ptp(errors[0]) > 1e-3, "Errors that are all the same compare nothing."
        gap = np.abs(errors[0] - errors[1]).max()
        assert gap < 1e-5, f"The errors differ by up to {gap}."
        print(f"  run {number}: the errors differ by at most {gap:.1e}", flush=True)
    return runs


def main():
    args = arguments(__doc__, images=10_000, repeats=3)
    few = min(FEW, args.images)
    with tempfile.TemporaryDirectory() as home:
        folders = {count: Path(home) / f"images-{count}" for count in {few, args.images}}
        for count, folder in folders.items():
            write_chests(folder / "normal", count, SIZE, SIZE, ".png")
        for name, widths in NETWORKS.items():
            small = both(folders[few], widths, 1)
            runs = both(folders[args.images], widths, args.repeats)
            extra = {f"{way}_growth_mb_at_{few}": middle(small, way, "growth_mb") for way in runs}
            name, more = f"anomaly_scores.{name}", ("peak_mb", "growth_mb")
            compare(name, runs, "rate", "images/s", args.images, more=more, **extra)


if __name__ == "__main__":
    main()
