"""Explain 64 images by Grad-CAM: the course's way against a library and against one by one.

    python -m experiments.speed.grad_cam [--images 64] [--repeats 3] [--calls 2] [--networks vgg16]

Ours is gradcam.heat_maps as the lessons call it, 32 images at a time. The others: tf-keras-vis
(pip install tf-keras-vis==0.8.7, which nothing else here needs), all images in one call; and one
`predict`, one network built and one gradient for every image, then a loop over the channels, which
is what VizGradCAM does before it draws. Once more "tidy": that network built once and no loop.
SmallNet and VGG16 with the lean head take the same drawn X-rays of 224x224 pixels in RGB and have
the same random weights; all explain class 1 by the last convolution. Each way runs in a fresh
process, in turn. The clock starts after the imports and the building of the network; the first call
includes what each way sets up once, the rate is that of the calls after it. Growth is the peak less
the resident size before the first call. All ways must find the same heat, or the ratio would say
nothing: for every fourth image that is compared over the layer's cells, because each way spreads
these over the image differently. tf-keras-vis 0.8.7 runs with Keras 3.15 as it is, and with SciPy
below 2, which still has scipy.ndimage.interpolation. Linux or macOS.
"""

import contextlib
import io
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path

os.environ["COURSE_VGG16_WEIGHTS"] = "none"  # speed does not depend on them

import numpy as np

from experiments.speed.harness import (
    arguments,
    chest,
    compare,
    fresh,
    in_turn,
    memory,
    middle,
    resident,
)

SIZE = 224
SECONDS = 3  # to go on for at least: a single call of the fastest way takes a third of one
NETWORKS = ("smallnet", "vgg16")
WAYS = ("ours", "tf_keras_vis", "one_by_one", "tidy")
ENTRIES = {"against_tf_keras_vis": "tf_keras_vis", "one_by_one": "one_by_one"}


def draw(path, count):
    """Draw chests and save them as one array, float32 [count, SIZE, SIZE, 3] in 0..255."""
    images = np.empty((count, SIZE, SIZE, 3), np.float32)
    for patient, image in enumerate(images):
        image[:] = chest(patient, SIZE, SIZE)[..., None]
    np.save(path, images)


def build(name):
    """Build a network, every time with the same random weights."""
    from helpers import models
    from helpers.backend import keras

    keras.utils.set_random_seed(0)
    if name == "smallnet":
        return models.smallnet(SIZE)
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it is untrained
        base, _ = models.vgg16(SIZE)
    return models.joined(base, models.lean_head(base.output.shape[1:]))


def ours(model):
    """Return what explains images, as the lessons do it."""
    from helpers import gradcam

    return lambda images: gradcam.heat_maps(model, images, class_index=1)


def library(model):
    """Return the same by tf-keras-vis; with `cells` the heat before it is spread over the image."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear

    explainer = Gradcam(model, ReplaceToLinear())  # on a copy without the sigmoid, as it advises

    def explain(images, cells=False):
        options = {"expand_cam": False, "normalize_cam": False} if cells else {}
        return np.asarray(explainer(lambda answers: answers[:, 0], images, **options))

    return explain


def one_by_one(model, tidy=False):
    """Return the same one image at a time, by VizGradCAM's steps; see `library`."""
    import cv2

    from helpers.backend import keras, tf

    convolutions = [one for one in model.layers if isinstance(one, keras.layers.Conv2D)]
    outputs = [convolutions[-1].output, model.output]
    built = keras.Model(model.inputs, outputs) if tidy else None

    def heat(image):
        called = model.predict(image, verbose=0).argmax()  # of one sigmoid unit: always class 1
        with tf.GradientTape() as tape:
            parts = built or keras.Model(model.inputs, outputs)
            features, answers = parts(image)
            score = answers[:, called]
        weights = tf.reduce_mean(tape.gradient(score, features)[0], axis=(0, 1))
        if tidy:
            return tf.reduce_sum(weights * features[0], axis=-1).numpy()
        total = tf.zeros(features.shape[1:3])
        for channel, weight in enumerate(weights):
            total += weight * features[0, :, :, channel]
        return total.numpy()

    def enlarged(cells):
        large = np.maximum(cv2.resize(cells, (SIZE, SIZE)), 0)
        return (large - large.min()) / max(np.ptp(large), 1e-12)

    def explain(images, cells=False):
        found = [heat(image[None]) for image in images]
        return np.maximum(found, 0) if cells else np.stack([enlarged(one) for one in found])

    return explain


def laid(cells):
    """Spread cells [N, h, w] over the image as heat_maps does it, the highest value of each 1."""
    from helpers import gradcam

    maps = gradcam._over(cells[..., None], (SIZE, SIZE)).numpy()
    return maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-30)


def measure(way, network, path, calls):
    """Explain all images several times, and return the heat, the rate and what memory that took."""
    # all that any way needs is loaded before the clock starts; helpers quiet TensorFlow first
    import tf_keras_vis.gradcam  # noqa: F401

    warnings.simplefilter("ignore")  # Keras minds that VGG16 gets an array and not a list of one
    images, model = np.load(path), build(network)
    before, ends = resident(), [time.perf_counter()]
    make = {"ours": ours, "tf_keras_vis": library}.get(way, one_by_one)
    explain = make(model, tidy=True) if way == "tidy" else make(model)
    while len(ends) < 2 + calls or ends[-1] - ends[1] < SECONDS:
        maps = explain(images)
        ends.append(time.perf_counter())
    assert maps.shape == images.shape[:3], maps.shape
    first, *others = np.diff(ends).tolist()
    result = {"rate": len(images) / statistics.median(others), "first_call_s": first}
    result |= memory(before)
    some = slice(None, None, 4)
    return result | {"maps": maps[some] if way == "ours" else laid(explain(images[some], True))}


def record(network, path, count, repeats, calls):
    """Measure one network every way, make sure that all find the same, and keep the results."""
    print(network, flush=True)
    runs = in_turn(measure, WAYS, repeats, network, path, calls)
    maps = [run.pop("maps") for way in WAYS for run in runs[way]]
    assert (maps[0].max(axis=(1, 2)) > 0.99).all(), "A map without heat compares nothing."
    gap = max(float(np.abs(one - maps[0]).max()) for one in maps)
    assert gap < 1e-3, f"The maps differ by up to {gap}."
    for suffix, other in ENTRIES.items():
        extra = {"map_gap": gap, "calls": calls, "more": ("first_call_s", "peak_mb", "growth_mb")}
        if other == "one_by_one":
            extra["other_tidy"] = middle(runs, "tidy", "rate")
        name, ways = f"grad_cam.{network}_{suffix}", ("ours", other)
        compare(name, runs, "rate", "images/s", count, ways, **extra)


def main():
    args = arguments(__doc__, images=64, repeats=3, calls=2, networks=NETWORKS)
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "images.npy"
        fresh(draw, path, args.images)
        for network in args.networks:
            repeats, calls = args.repeats, args.calls
            if network == "vgg16":  # a call takes up to a minute
                repeats, calls = min(repeats, 2), min(calls, 1)
            record(network, path, args.images, repeats, calls)


if __name__ == "__main__":
    main()
