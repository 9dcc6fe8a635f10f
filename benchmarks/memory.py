"""Memory of training on ten times as many images.

    python benchmarks/memory.py [--images 10000]

training.fit for one epoch of pipelines.batches (224x224 grey, augmented) with a network of one
layer, on so many JPEG files and on ten times as many (links to 300 drawn chests). Decoded images
stay in memory up to 2 GB and go to a file beyond. Growth is the peak less the resident size before
the batches were made. Each runs in a fresh process. Linux or macOS.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

from batches import CLASSES, table, write_images
from harness import fresh, peak, resident
from results import keep

SIZE = 224


def measure(folder, count):
    """Train for one epoch on the first files of a folder and return the growth and the seconds."""
    from helpers import pipelines, training
    from helpers.backend import keras

    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home
        rows = table(folder)[:count]
        model = keras.Sequential(
            [
                keras.Input((SIZE, SIZE, 1)),
                keras.layers.AveragePooling2D(32),
                keras.layers.Flatten(),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.compile("adam", "binary_crossentropy")
        before, start = resident(), time.perf_counter()
        training.fit(model, pipelines.batches(rows, CLASSES, SIZE, training=True), None, 1)
        seconds = time.perf_counter() - start
        kept = sum(path.stat().st_size for path in Path(home).rglob("*.pixels"))
    return {"growth_mb": max(0.0, peak() - before), "seconds": seconds, "file_mb": kept / 1e6}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000, help="files; then ten times as many")
    args = parser.parse_args()
    runs = {}
    with tempfile.TemporaryDirectory() as home:
        folder = write_images(Path(home) / "small", 10 * args.images, SIZE, SIZE)
        for count in (args.images, 5 * args.images, 10 * args.images):
            runs[count] = fresh(measure, folder, count)
            told = "  ".join(f"{key} {value:,.0f}" for key, value in runs[count].items())
            print(f"{count:,} images: {told}", flush=True)
    extra = {f"{key}_at_{n}": value for n, run in runs.items() for key, value in run.items()}
    growths = [runs[count]["growth_mb"] for count in (10 * args.images, args.images)]
    keep("memory.training", *growths, "MB", 10 * args.images, cores=os.cpu_count(), **extra)


if __name__ == "__main__":
    main()
