"""Train on large images: shrunk once and kept, against decoding every file in every epoch.

    python -m experiments.speed.shrunk_images [--images 200] [--repeats 3]

Ours is cache.shrink, once, and pipelines.batches on the small copies, which keeps them in memory
and rotates and shifts them. The other is how most notebooks do it: an ImageDataGenerator whose
flow_from_dataframe decodes every file in every epoch; it only rescales, which spares it the work of
moving images. Both give shuffled batches of 16 RGB images of 128x128 pixels with labels, from the
same files: drawn fundus photographs of 2144x1424 pixels with a camera's noise, so that a PNG takes
2.5 MB or so (real ones of RFMiD's size take 2 to 8). Each runs in a fresh process, in turn, with
the files in the system's memory; nothing is trained. The clock starts after the imports; the first
epoch includes shrinking and tracing. Growth is the peak less the resident size just before. Linux
or macOS.
"""

import os
import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from experiments.speed.harness import (
    arguments,
    compare,
    epoch,
    in_turn,
    memory,
    middle,
    resident,
    table,
)

SIZE = 128
BATCH = 16
SHAPE = (1424, 2144)  # height and width of the smaller photographs of RFMiD
NOISE = 3  # standard deviation, of 255: more makes larger files
CLASSES = ("normal", "abnormal")


def draw(path):
    """Draw one photograph, enlarge it, add noise where the field is, and save it as PNG."""
    import cv2

    from phantoms import fundus

    patient = int(path.stem)
    sick = ("diabetic retinopathy",) if patient % 2 else ()
    small = fundus.draw(sick, patient, size=(SHAPE[0] // 4, SHAPE[1] // 4)).image
    image = cv2.resize(small, SHAPE[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32)
    field = cv2.blur((image.max(axis=2) > 15).astype(np.float32), (9, 9))[..., None]
    image += field * np.random.default_rng(patient).normal(0, NOISE, image.shape)
    pixels = np.clip(np.round(image), 0, 255).astype(np.uint8)
    # the level and strategy that most programs use; OpenCV's own would give larger files
    level = [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, 0]
    cv2.imwrite(str(path), pixels[..., ::-1], level)


def ours(rows):
    """Return batches as the course makes them, and the seconds of shrinking."""
    from helpers import cache, pipelines

    start = time.perf_counter()
    rows = cache.shrink(rows, SIZE)
    seconds = time.perf_counter() - start
    return pipelines.batches(rows, CLASSES, SIZE, 3, training=True, batch_size=BATCH), seconds


def other(rows):
    """Return batches as most notebooks make them; nothing is shrunk beforehand."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    batches = ImageDataGenerator(rescale=1 / 255).flow_from_dataframe(
        rows,
        x_col="path",
        y_col="label",
        classes=list(CLASSES),
        class_mode="binary",
        target_size=(SIZE, SIZE),
        batch_size=BATCH,
    )
    return batches, 0.0


def measure(way, folder):
    """Run two epochs and return the rate of each and what memory they took."""
    # all that either way needs is loaded before the clock starts; helpers quiet TensorFlow first
    import tensorflow.keras.preprocessing.image  # noqa: F401

    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home  # nothing is shrunk yet
        rows = table(folder, CLASSES)
        before, start = resident(), time.perf_counter()
        batches, seconds = {"ours": ours, "other": other}[way](rows)
        counts, ends = [], [start]
        for _ in range(2):
            counts.append(epoch(batches, SIZE))
            ends.append(time.perf_counter())
        taken = memory(before)
    assert counts == [len(rows), len(rows)], counts
    first, second = (n / s for n, s in zip(counts, np.diff(ends), strict=True))
    rates = {"rate": float(second), "first_epoch": float(first)}
    return rates | {"shrink_s": seconds} | taken


def main():
    args = arguments(__doc__, images=200, repeats=3)
    with tempfile.TemporaryDirectory() as home:
        paths = [Path(home) / f"{place:04d}.png" for place in range(args.images)]
        with get_context("spawn").Pool(2) as pool:
            pool.map(draw, paths)
        sizes = [path.stat().st_size / 1e6 for path in paths]
        print(f"{len(sizes)} files of {min(sizes):.1f} to {max(sizes):.1f} MB", flush=True)
        runs = in_turn(measure, ("ours", "other"), args.repeats, Path(home))
    extra = {"file_mb": statistics.median(sizes), "width": SHAPE[1], "height": SHAPE[0]}
    extra |= {"shrink_s": middle(runs, "ours", "shrink_s"), "more": ("first_epoch", "growth_mb")}
    compare("shrunk_images.second_epoch", runs, "rate", "images/s", len(sizes), **extra)


if __name__ == "__main__":
    main()
