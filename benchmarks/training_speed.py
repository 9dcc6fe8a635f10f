"""Training: SmallNet's epochs beside the textbook chapter's, and VGG16's head beside its way.

    python benchmarks/training_speed.py [--images 960] [--repeats 3]

SmallNet, 224x224 RGB, batches of 32, Adam, accuracy and AUC, all from the same JPEG files of drawn
chests. Ours is training.fit on pipelines.batches with augmentation. The other is the chapter's
`fit` on an ImageDataGenerator with the same augmentation. "Ready" is `fit` on float batches that
lie in memory: the network's own time, that no pipeline can beat. The seconds are those of the
second epoch; the first, with all decoding and tracing, is kept beside. VGG16 (random weights, which
are as fast as any) with the course's lean head, 15 epochs on 500 images of 96x96: ours runs the
base once and trains the head on what comes out; the other trains the head with the frozen base in
front of it in every epoch, on ready batches. Each runs in a fresh process, in turn. Linux or macOS.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

import numpy as np
from batches import CLASSES, other, ours, table, write_images
from harness import in_turn, middle, peak, resident, spread
from results import keep

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
    from helpers import models, pipelines, training  # noqa: F401
    from helpers.backend import keras

    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home
        rows, ends = table(folder), []
        keras.utils.set_random_seed(0)
        model = models.smallnet(SIZE)
        if way == "other":  # its generator scales the pixels
            model = without_scaling(model)
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
    return {
        "first_epoch_s": float(first),
        "epoch_s": float(np.mean(later)),
        "peak_mb": peak(),
        "growth_mb": max(0.0, peak() - before),
    }


def without_scaling(model):
    """Return the network behind its first layer, which divides by 255."""
    from helpers.backend import keras

    x = pixels = keras.Input(model.input_shape[1:])
    for layer in model.layers[2:]:
        x = layer(x)
    return keras.Model(pixels, x)


def vgg16_head(way, folder):
    """Train VGG16's lean head and return the seconds from images to the trained network."""
    from helpers import pipelines, training, transfer
    from helpers.backend import keras

    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home
        os.environ["COURSE_VGG16_WEIGHTS"] = "none"
        rows = table(folder)[:VGG_IMAGES]
        keras.utils.set_random_seed(0)
        base, _ = transfer.vgg16(VGG_SIZE)
        batches = pipelines.batches(rows, CLASSES, VGG_SIZE, 3)
        head = training.compiled(transfer.lean_head(base.output.shape[1:]))
        before, start = resident(), time.perf_counter()
        if way == "ours":
            values, labels = transfer.features(base, batches)
            stream = transfer.feature_batches(values, labels, training=True)
            history = training.fit(head, stream, None, VGG_EPOCHS)
        else:
            base.trainable = False
            model = training.compiled(transfer.joined(base, head))
            history = training.fit(model, batches, None, VGG_EPOCHS)
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "last_loss": history["loss"][-1],
        "peak_mb": peak(),
        "growth_mb": max(0.0, peak() - before),
    }


def record(name, runs, ways, key, n, **extra):
    """Keep the medians of two ways' seconds and the memory beside them."""
    extra |= spread(runs, key, ways)
    for way, told in zip(ways, ("ours", "other"), strict=True):
        for more in set(runs[way][0]) - {key}:
            extra[f"{told}_{more}"] = middle(runs, way, more)
    seconds = [middle(runs, way, key) for way in ways]
    entry = keep(f"training_speed.{name}", *seconds, "s", n, **extra)
    print(f"{name}: {entry['ratio']:.3g} of the time", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=960, help="files of 224x224 pixels")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each way")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = write_images(Path(home) / "small", args.images, SIZE, SIZE)
        runs = in_turn(smallnet, ("ours", "other", "ready"), args.repeats, folder)
        record("smallnet_epoch", runs, ("ours", "other"), "epoch_s", args.images)
        record("smallnet_on_ready_tensors", runs, ("ours", "ready"), "epoch_s", args.images)
        repeats = min(args.repeats, 2)  # the other takes two minutes
        runs = in_turn(vgg16_head, ("ours", "other"), repeats, folder)
        record("vgg16_head", runs, ("ours", "other"), "seconds", VGG_IMAGES, epochs=VGG_EPOCHS)


if __name__ == "__main__":
    main()
