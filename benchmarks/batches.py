"""Augmented batches: images a second from the course's pipeline and from ImageDataGenerator.

    python benchmarks/batches.py [--images 5000] [--large 600] [--repeats 3]

Ours is pipelines.batches with training=True. The other is the textbook chapter's
ImageDataGenerator: rescale, up to 5 degrees, up to a tenth of the width and of the height. Both
give shuffled batches of 32 RGB images of 224x224 pixels with labels, from the same grey JPEG
files: drawn chests, 224x224 pixels, as archives are often shrunk to, and 1500x1200, about the size
of the original X-rays. Each runs in a fresh process, in turn, with the files in the system's
memory; nothing is trained. The clock starts after the imports. Ours decodes every file when it is
called, and that counts in its first epoch. Growth is the peak less the resident size just before;
ours keeps every decoded image, as bytes. Linux or macOS.
"""

import argparse
import os
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

import numpy as np
from harness import in_turn, middle, peak, resident, spread
from results import keep

SIZE = 224
CLASSES = ("normal", "pneumonia")
DISTINCT = 300  # drawn pictures; more files are links to these under other names


def draw(task):
    """Draw one patient's chest and save it as a JPEG file of some height and width."""
    import cv2

    from helpers.phantoms import chest

    path, height, width = task
    patient = int(path.stem)
    image = chest.draw(("normal", "bacterial", "normal", "viral")[patient % 4], patient).image
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 92])


def write_images(folder, count, height, width):
    """Write JPEG files into a new folder, and return it."""
    folder.mkdir()
    paths = [folder / f"{place:06d}.jpeg" for place in range(count)]
    with get_context("spawn").Pool(2) as pool:
        pool.map(draw, [(path, height, width) for path in paths[:DISTINCT]])
    for place, path in enumerate(paths[DISTINCT:]):
        os.link(paths[place % DISTINCT], path)
    return folder


def table(folder):
    """List the files: path and label."""
    import pandas as pd

    paths = sorted(map(str, folder.glob("*.jpeg")))
    return pd.DataFrame({"path": paths, "label": [CLASSES[n % 2] for n in range(len(paths))]})


def ours(rows):
    """Return batches as the course makes them."""
    from helpers import pipelines

    return pipelines.batches(rows, CLASSES, SIZE, 3, training=True)


def other(rows):
    """Return batches as the chapter makes them."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(
        rescale=1 / 255, rotation_range=5, width_shift_range=0.1, height_shift_range=0.1
    )
    return generator.flow_from_dataframe(
        rows,
        x_col="path",
        y_col="label",
        classes=list(CLASSES),
        class_mode="binary",
        target_size=(SIZE, SIZE),
        batch_size=32,
        seed=42,
        verbose=0,
    )


def epoch(batches, size=SIZE):
    """Take every batch of RGB images once, and return how many came."""
    count, stream = 0, iter(batches)
    for _ in range(len(batches)):  # the generator would go on for ever
        images, labels = next(stream)
        assert images.shape[1:] == (size, size, 3) and len(images) == len(labels)
        count += len(np.asarray(images))
    return count


def measure(way, folder):
    """Run three epochs and return the rate of the first, of the others, and the memory."""
    # all that either way needs is loaded before the clock starts; helpers quiet TensorFlow first
    from helpers import pipelines  # noqa: F401, I001
    import tensorflow.keras.preprocessing.image  # noqa: F401

    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home  # no file was looked at before
        rows = table(folder)
        before, start = resident(), time.perf_counter()
        batches = {"ours": ours, "other": other}[way](rows)
        count = epoch(batches)
        first = time.perf_counter() - start
        start = time.perf_counter()
        later = epoch(batches) + epoch(batches)
        rest = time.perf_counter() - start
        growth = max(0.0, peak() - before)
    assert count == len(rows) and later == 2 * len(rows), (count, later)
    return {
        "first": count / first,
        "later": later / rest,
        "peak_mb": peak(),
        "growth_mb": growth,
    }


def record(name, runs, key, n, **extra):
    """Keep the medians of one rate and the memory beside them."""
    extra |= spread(runs, key)
    for way in runs:
        for memory in ("peak_mb", "growth_mb"):
            extra[f"{way}_{memory}"] = middle(runs, way, memory)
    rates = [middle(runs, way, key) for way in ("ours", "other")]
    entry = keep(f"batches.{name}", *rates, "images/s", n, **extra)
    print(f"{name}: {entry['ratio']:.1f} times as many images a second", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000, help="files of 224x224 pixels")
    parser.add_argument("--large", type=int, default=600, help="files of 1500x1200 pixels")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each way")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = write_images(Path(home) / "small", args.images, SIZE, SIZE)
        runs = in_turn(measure, ("ours", "other"), args.repeats, folder)
        record("first_epoch", runs, "first", args.images, height=SIZE, width=SIZE)
        record("later_epochs", runs, "later", args.images, height=SIZE, width=SIZE)
        folder = write_images(Path(home) / "large", args.large, 1200, 1500)
        runs = in_turn(measure, ("ours", "other"), args.repeats, folder)
        record("large_second_epoch", runs, "later", args.large, height=1200, width=1500)
        record("large_first_epoch", runs, "first", args.large, height=1200, width=1500)


if __name__ == "__main__":
    main()
