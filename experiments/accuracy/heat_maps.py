"""How much of Grad-CAM's energy lies where the lungs usually are, on sick test images."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

import numpy as np

from experiments.accuracy.setting import clock, of_label
from helpers import checkpoints, evaluation, gradcam, pipelines

MOST = 200  # images explained, one a patient


def lung_box(size):
    """Return lesson 6's box, bool [size, size]: a proxy that holds the heart and the spine too."""
    box = np.zeros((size, size), bool)
    box[int(0.15 * size) : int(0.8 * size), int(0.12 * size) : int(0.88 * size)] = True
    return box


def chosen(test, sick, seed):
    """Return sick test images, one a patient, drawn by seed."""
    drawn = of_label(test, sick).sample(frac=1, random_state=seed)
    return drawn.drop_duplicates("group").head(MOST).reset_index(drop=True)


def explained(model, rows, classes, method):
    """Explain the sick class on every image.

    Returns
    -------
    dict
        images; energy in the box with its interval by patient (a blank map has none of it there);
        energy of the maps that are not blank; chance, the box's share of the image; blank, the
        share of maps without anything; seconds.
    """
    size, channels = model.input_shape[1], model.input_shape[3]
    stream = pipelines.batches(rows, classes, size, channels)
    images, passed = np.concatenate([x for x, _ in stream]), clock()
    maps = gradcam.heat_maps(model, images, class_index=1, method=method)
    seconds, box = passed(), lung_box(size)
    inside, lit = gradcam.energy(maps, box[None]), maps.max(axis=(1, 2)) > 0
    energy, low, high = evaluation.mean_interval(inside, rows["group"])
    found = {"images": len(rows), "energy": energy, "low": low, "high": high}
    found |= {"energy_lit": inside[lit].mean() if lit.any() else None}
    return found | {"chance": box.mean(), "blank": (~lit).mean(), "seconds": seconds}


def measure(name, seed, setting):
    """Return the records of one network, by Grad-CAM; of SmallNet by HiResCAM too."""
    network = name.removeprefix("gradcam_")
    file = setting.models / f"{network}.keras"
    if not file.is_file():
        raise ValueError(f"{name} needs the network of {network}: add ANEW=1 ONLY={network}.")
    model, rows = checkpoints.load(file), chosen(setting.parts[2], setting.classes[1], seed)
    methods = gradcam.METHODS if network.startswith("smallnet") else gradcam.METHODS[:1]
    return [
        {"name": f"{method}_{network}", "seed": seed, "method": method, "network": network}
        | explained(model, rows, setting.classes, method)
        for method in methods
    ]
