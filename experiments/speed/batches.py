"""Augmented batches: images a second from the course's pipeline and from ImageDataGenerator.

    python -m experiments.speed.batches [--images 5000] [--large 600] [--repeats 3]

Ours is pipelines.batches with training=True. The other is the textbook chapter's
ImageDataGenerator: rescale, up to 5 degrees, up to a tenth of the width and of the height. Both
give shuffled batches of 32 RGB images of 224x224 pixels with labels, from the same grey JPEG
files: drawn chests, 224x224 pixels, as archives are often shrunk to, and 1500x1200, about the size
of the original X-rays. Each runs in a fresh process, in turn, with the files in the system's
memory; nothing is trained. The clock starts after the imports. Ours decodes every file when it is
called, and that counts in its first epoch. Growth is the peak less the resident size just before;
ours keeps every decoded image, as bytes. Linux or macOS.
"""

import os
import tempfile
import time
from pathlib import Path

from experiments.speed.harness import (
    CLASSES,
    arguments,
    compare,
    epoch,
    in_turn,
    memory,
    resident,
    table,
    write_chests,
)

SIZE = 224


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


def measure(way, folder):
    """Run three epochs and return the rate of the first, of the others, and the memory."""
    # all that either way needs is loaded before the clock starts; helpers quiet TensorFlow first
    import tensorflow.keras.preprocessing.image  # noqa: F401

    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home  # no file was looked at before
        rows = table(folder)
        before, start = resident(), time.perf_counter()
        batches = {"ours": ours, "other": other}[way](rows)
        count = epoch(batches, SIZE)
        first = time.perf_counter() - start
        start = time.perf_counter()
        later = epoch(batches, SIZE) + epoch(batches, SIZE)
        rest = time.perf_counter() - start
        taken = memory(before)
    assert count == len(rows) and later == 2 * len(rows), (count, later)
    return {"first": count / first, "later": later / rest} | taken


def main():
    args = arguments(__doc__, images=5000, large=600, repeats=3)
    more = ("peak_mb", "growth_mb")
    sizes = (("", args.images, SIZE, SIZE), ("large_", args.large, 1200, 1500))
    with tempfile.TemporaryDirectory() as home:
        for kind, count, height, width in sizes:
            folder = write_chests(Path(home) / f"images{kind}", count, height, width)
            runs = in_turn(measure, ("ours", "other"), args.repeats, folder)
            later = "second_epoch" if kind else "later_epochs"
            for name, key in (("first_epoch", "first"), (later, "later")):
                shape = {"height": height, "width": width}
                compare(f"batches.{kind}{name}", runs, key, "images/s", count, more=more, **shape)


if __name__ == "__main__":
    main()
