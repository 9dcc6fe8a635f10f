"""Training: SmallNet's epochs beside the textbook chapter's, and VGG16's head beside its way.

    python -m experiments.speed.training_speed [--images 960] [--repeats 3]

SmallNet, 224x224 RGB, batches of 32, Adam, accuracy and AUC, all from the same JPEG files of drawn
chests. Ours is training.fit on pipelines.batches with augmentation. The other is the chapter's
`fit` on an ImageDataGenerator with the same augmentation. "Ready" is `fit` on float batches that
lie in memory: the network's own time, that no pipeline can beat. The seconds are those of the
second epoch; the first, with all decoding and tracing, is kept beside. VGG16 (random weights, which
are as fast as any) with the course's lean head, 15 epochs on 500 images of 96x96: ours runs the
base once and trains the head on what comes out; the other trains the head with the frozen base in
front of it in every epoch, on ready batches. Each runs in a fresh process, in turn. Linux or macOS.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from experiments.speed.batches import other, ours
from experiments.speed.harness import (
    CLASSES,
    arguments,
    compare,
    in_turn,
    memory,
    resident,
    table,
    unscaled,
    write_chests,
)

SIZE = 224
VGG_SIZE, VGG_IMAGES, VGG_EPOCHS = 96, 500, 15


def ready(rows, size=SIZE):
    """Return float batches that lie in memory."""
    from helpers import pipelines
    from helpers.backend import tf

    batches = list(pipelines.batches(rows, CLASSES, size, 3))
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(32)


def smallnet(way, folder):
    """Train SmallNet for three epochs and return the seconds of the first and of the others."""
    from helpers import models, training  # noqa: F401
    from helpers.backend import keras

    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home
        rows, ends = table(folder), []
        keras.utils.set_random_seed(0)
        model = models.smallnet(SIZE)
        if way == "other":  # its generator scales the pixels
            model = unscaled(model)
        model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC()])
        clock = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
        )
        before, start = resident(), time.perf_counter()
        stream = {"ours": ours, "other": other, "ready": ready}[way](rows)
        if way == "ready":
            start = time.perf_counter()
        if way == "other":
            model.fit(stream, epochs=3, callbacks=[clock], verbose=0)
        else:
            training.fit(model, stream, None, 3, callbacks=[clock])
    first, *later = np.diff([start, *ends])
    return {"first_epoch_s": float(first), "epoch_s": float(np.mean(later))} | memory(before)


def vgg16_head(way, folder):
    """Train VGG16's lean head and return the seconds from images to the trained network."""
    from helpers import cache, models, pipelines, recipes, training
    from helpers.backend import keras

    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home
        os.environ["COURSE_VGG16_WEIGHTS"] = "none"
        rows = table(folder)[:VGG_IMAGES]
        keras.utils.set_random_seed(0)
        base, _ = models.vgg16(VGG_SIZE)
        batches = pipelines.batches(rows, CLASSES, VGG_SIZE, 3)
        before, start = resident(), time.perf_counter()
        if way == "ours":
            values, labels = cache.features(base, batches)
            _, history = recipes.vgg16_head(values, labels, None, VGG_EPOCHS)
        else:
            head = models.lean_head(base.output.shape[1:])
            model = training.compiled(models.joined(base, head))
            balance = training.class_weights(pipelines.encode(rows["label"], CLASSES).ravel())
            history = training.fit(model, batches, None, VGG_EPOCHS, class_weight=balance)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "last_loss": history["loss"][-1]} | memory(before)


def main():
    args = arguments(__doc__, images=960, repeats=3)
    with tempfile.TemporaryDirectory() as home:
        folder = write_chests(Path(home) / "small", args.images, SIZE, SIZE)
        runs = in_turn(smallnet, ("ours", "other", "ready"), args.repeats, folder)
        more = ("first_epoch_s", "peak_mb", "growth_mb")
        for name, other in (("smallnet_epoch", "other"), ("smallnet_on_ready_tensors", "ready")):
            options = {"ways": ("ours", other), "more": more}
            compare(f"training_speed.{name}", runs, "epoch_s", "s", args.images, **options)
        repeats = min(args.repeats, 2)  # the other takes two minutes
        runs = in_turn(vgg16_head, ("ours", "other"), repeats, folder)
        options = {"more": ("last_loss", "peak_mb", "growth_mb"), "epochs": VGG_EPOCHS}
        compare("training_speed.vgg16_head", runs, "seconds", "s", VGG_IMAGES, **options)


if __name__ == "__main__":
    main()
