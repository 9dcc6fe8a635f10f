"""Memory of training on ten times as many images.

    python -m experiments.speed.memory [--images 10000]

training.fit for one epoch of pipelines.batches (224x224 grey, augmented) with a network of one
layer, on so many JPEG files and on ten times as many (links to 300 drawn chests). Decoded images
stay in memory up to 2 GB and go to a file beyond. Growth is the peak less the resident size before
the batches were made. Each runs in a fresh process. Linux or macOS.
"""

import os
import tempfile
import time
from pathlib import Path

from experiments.speed.harness import (
    CLASSES,
    arguments,
    fresh,
    keep,
    peak,
    resident,
    table,
    write_chests,
)

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
    args = arguments(__doc__, images=10_000)
    runs = {}
    with tempfile.TemporaryDirectory() as home:
        folder = write_chests(Path(home) / "small", 10 * args.images, SIZE, SIZE)
        for count in (args.images, 5 * args.images, 10 * args.images):
            runs[count] = fresh(measure, folder, count)
            told = "  ".join(f"{key} {value:,.0f}" for key, value in runs[count].items())
            print(f"{count:,} images: {told}", flush=True)
    extra = {f"{key}_at_{n}": value for n, run in runs.items() for key, value in run.items()}
    growths = [runs[count]["growth_mb"] for count in (10 * args.images, args.images)]
    keep("memory.training", *growths, "MB", 10 * args.images, **extra)


if __name__ == "__main__":
    main()
