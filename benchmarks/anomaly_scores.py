"""Score images with an autoencoder: the course's way against a well-known notebook's.

    python benchmarks/anomaly_scores.py [--images 10000] [--repeats 3]

Ours is pipelines.batches and anomaly.errors. The other is how public COVID-19 notebooks do it: an
ImageDataGenerator that hands out one image at a time, all reconstructions in one array, then all
images in another, then a loop of mean squared errors. Both read the same PNG files of 128x128 grey
pixels with the same weights, each in a fresh process, in turn. The clock starts after the imports
and the building of the network, and includes finding the files and tracing. Growth is the peak
less the resident size just before; the other's holds two float32 arrays of all images. Linux or
macOS.
"""

import argparse
import os
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

import numpy as np
from harness import fresh, in_turn, middle, peak, resident, spread
from results import keep

SIZE = 128
DISTINCT = 400  # drawn pictures; more files are copies of these under other names
FEW = 1000  # images of the run that shows whether memory grows with their number
NETWORKS = {"lean_autoencoder": (8, 16, 32, 64), "wide_autoencoder": (16, 32, 64, 64)}


def ours(folder, autoencoder):
    """Return the mean squared error of every image, as the course does it."""
    import pandas as pd

    from helpers import anomaly, pipelines

    rows = pd.DataFrame({"path": sorted(map(str, folder.rglob("*.png"))), "label": "normal"})
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


def drawn(patient):
    """Draw one patient's chest and return it as the bytes of a PNG file."""
    import cv2

    from helpers.phantoms import chest

    label = ("normal", "bacterial", "normal", "viral")[patient % 4]
    image = chest.draw(label, patient).image
    image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", image)[1].tobytes()


def write_images(home, counts):
    """Write as many PNG files as each count says, and return their folders by count."""
    with get_context("spawn").Pool(2) as pool:
        pictures = pool.map(drawn, range(min(DISTINCT, max(counts))), chunksize=20)
    folders = {count: home / f"images-{count}" for count in counts}
    for count, folder in folders.items():
        (folder / "normal").mkdir(parents=True)
        for place in range(count):
            path = folder / "normal" / f"{place:06d}.png"
            path.write_bytes(pictures[place % len(pictures)])
    return folders


def write_weights(folder, widths, path):
    """Train a network for a moment, so that its errors differ from image to image, and save it."""
    import pandas as pd

    from helpers import models, pipelines
    from helpers.backend import keras

    keras.utils.set_random_seed(0)
    rows = pd.DataFrame({"path": sorted(map(str, folder.rglob("*.png")))[:DISTINCT]})
    batches = pipelines.batches(rows.assign(label="normal"), ("normal",), SIZE, training=True)
    pairs = batches.map(lambda images, _: (images, images / 255))
    autoencoder = models.lean_autoencoder(SIZE, widths=widths)
    autoencoder.compile("adam", "mse")
    autoencoder.fit(pairs, epochs=3, shuffle=False, verbose=0)
    autoencoder.save_weights(path)


def network(way, widths, weights):
    """Build the autoencoder and load its weights; the other way's takes pixels in 0..1."""
    from helpers import models
    from helpers.backend import keras

    autoencoder = models.lean_autoencoder(SIZE, widths=widths)
    autoencoder.load_weights(weights)
    if way == "ours":
        return autoencoder
    x = pixels = keras.Input((SIZE, SIZE, 1))
    for layer in autoencoder.layers[2:]:  # all but the input and the scaling
        x = layer(x)
    return keras.Model(pixels, x)


def measure(way, folder, widths, weights):
    """Score a folder of images and return the errors, the rate and what memory that took."""
    # all that either way needs is loaded before the clock starts; helpers quiet TensorFlow first
    from helpers import anomaly, pipelines  # noqa: F401, I001
    import tensorflow.keras.preprocessing.image  # noqa: F401

    autoencoder = network(way, widths, weights)
    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home  # no file was checked before: that is in the time
        before, start = resident(), time.perf_counter()
        errors = {"ours": ours, "other": other}[way](folder, autoencoder)
        seconds = time.perf_counter() - start
    return {
        "errors": errors,
        "rate": len(errors) / seconds,
        "peak_mb": peak(),
        "growth_mb": max(0.0, peak() - before),
    }


def both(folder, widths, weights, repeats):
    """Measure both ways in turn and return what came by way; their errors must be the same."""
    runs = in_turn(measure, ("ours", "other"), repeats, folder, widths, weights)
    for number, pair in enumerate(zip(runs["ours"], runs["other"], strict=True), 1):
        gap = np.abs(pair[0].pop("errors") - pair[1].pop("errors")).max()
        assert gap < 1e-5, f"The errors differ by up to {gap}."
        print(f"  run {number}: the errors differ by at most {gap:.1e}", flush=True)
    return runs


def compare(name, folders, widths, weights, repeats):
    """Measure one network on few and on all images, and keep the result."""
    few, many = sorted(folders)[0], sorted(folders)[-1]
    print(f"{name}, {few} images", flush=True)
    small = both(folders[few], widths, weights, 1)
    print(f"{name}, {many} images", flush=True)
    large = both(folders[many], widths, weights, repeats)
    extra = spread(large, "rate")
    for way in large:
        extra[f"{way}_peak_mb"] = middle(large, way, "peak_mb")
        extra[f"{way}_growth_mb"] = middle(large, way, "growth_mb")
        extra[f"{way}_growth_mb_at_{few}"] = middle(small, way, "growth_mb")
    rates = [middle(large, way, "rate") for way in ("ours", "other")]
    entry = keep(f"anomaly_scores.{name}", *rates, "images/s", many, **extra)
    print(f"{name}: {entry['ratio']} times as many images a second", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10000, help="files to score")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each way")
    args = parser.parse_args()
    few = min(FEW, args.images)
    with tempfile.TemporaryDirectory() as home:
        folders = write_images(Path(home), {few, args.images})
        for name, widths in NETWORKS.items():
            weights = Path(home) / f"{name}.weights.h5"
            fresh(write_weights, folders[few], widths, weights)
            compare(name, folders, widths, weights, args.repeats)


if __name__ == "__main__":
    main()
