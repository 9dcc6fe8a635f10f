"""CompactNet by the course's recipe, what each part of it is worth, and how it fares elsewhere.

The recipe, `recipes.compactnet`, is the one that lesson 4 uses on real images. The leave-out tests
(see shifts.py) train and test it on other parts of the archive; the ablation changes one thing at
a time and repeats two of them.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

from functools import partial

import numpy as np
import pandas as pd
import shifts
from baselines import regression
from lists import HARD
from networks import FIRST, Seconds, scored
from setting import Clock, judged
from sklearn.linear_model import LogisticRegression

from helpers import checkpoints, evaluation, pipelines, recipes, training
from helpers.backend import keras

GREY = {"blur": 0, "sharpen": 0, "noise": 0}
SHARP = {"tone": 0, "field": 0}
VARIANTS = {  # what differs from the recipe
    "first": {"size": 128, "epochs": 10, "augmentation": pipelines.augment},
    "smaller": {"augmentation": pipelines.augment},
    "grey_levels": {"augmentation": partial(pipelines.disturb, **GREY)},
    "sharpness": {"augmentation": partial(pipelines.disturb, **SHARP)},
    "all": {},
    "averaged": {"average": 0.99},
}


def trained(name, seed, setting, parts, **changes):
    """Train CompactNet, and judge it on the third of three tables.

    Returns
    -------
    tuple of (keras.Model, dict)
        The network and its record.
    """
    train, validation, test = parts
    size = changes.pop("size", training.size("compactnet", False))
    total = changes.pop("epochs", training.epochs("compactnet", False))
    size, total = setting.size or size, setting.epochs or total
    changes = {"augmentation": pipelines.disturb} | changes
    file, clock = setting.file(name, seed), Clock()
    before = checkpoints.history(file).get("loss")
    network, log = recipes.compactnet(
        train, None, setting.classes, size, total, seed=seed, file=file,
        callbacks=[Seconds(), training.lines()], **changes,
    )  # fmt: skip
    # a run that was killed has its epochs' seconds, but no more what came before them
    spent = sum(log["seconds"]) if before else clock.seconds()
    streams = [pipelines.batches(part, setting.classes, size) for part in (validation, test)]
    extras = {"parameters": network.count_params(), "seconds": spent}
    extras |= {"epochs": total, "size": size}
    scores = scored(network, *streams)
    extras |= at_half(parts, setting.classes, *scores)
    return network, judged(name, seed, parts, setting.classes, *scores, **extras)


def at_half(parts, classes, validation, test):
    """Calibrate on validation, and judge test at a probability of a half.

    Logistic regression on the network's log-odds (Platt 1999) with both classes weighed the same:
    a half is then where they are equally likely, whatever their shares. For a clinic with other
    shares add the logarithm of their odds.

    Returns
    -------
    dict
        half_accuracy, half_sensitivity and half_specificity.
    """
    sick = [(part["label"] == classes[1]).to_numpy() for part in parts[1:]]
    odds = [np.clip(np.float64(p), 1e-9, 1 - 1e-9) for p in (validation, test)]
    odds = [np.log(p / (1 - p))[:, None] for p in odds]
    fitted = LogisticRegression(class_weight="balanced", C=1e3).fit(odds[0], sick[0])
    found = evaluation.at_threshold(sick[1], fitted.predict_proba(odds[1])[:, 1], 0.5)
    return {f"half_{key}": value for key, value in found.items()}


def course(seed, setting):
    """Train on the course's split, and save the first seed's network for the heat maps."""
    network, record = trained("compactnet", seed, setting, setting.parts)
    if seed == FIRST:
        training.save(network, setting.models / "compactnet.keras")
    return [record]


def left_out(name, kind, seed, setting):
    """Test on what was left out, beside logistic regression on 8x8 pixels."""
    parts, known = shifts.parts(pd.concat(setting.parts), kind, seed), {"kind": kind}
    sick = (parts[0]["label"] == setting.classes[1]).to_numpy()
    scores = regression(parts, sick)[1:]
    beside = judged(f"{name}_8x8", seed, parts, setting.classes, *scores, method="8x8", **known)
    record = trained(name, seed, setting, parts)[1]
    return [beside | {"parameters": 65}, record | {"method": "compactnet"} | known]


def ablated(name, seed, setting):
    """Train one variant for one of the tests."""
    kind = next(kind for kind in HARD if name.endswith(kind))
    variant = name.removeprefix("ablation_").removesuffix(f"_{kind}")
    parts = shifts.parts(pd.concat(setting.parts), kind, seed)
    record = trained(name, seed, setting, parts, **VARIANTS[variant])[1]
    return [record | {"kind": kind, "variant": variant}]


def measure(name, seed, setting):
    """Return the records of one run."""
    keras.utils.set_random_seed(seed)
    if name == "compactnet":
        return course(seed, setting)
    if name.startswith("leave_out_"):
        return left_out(name, name.removeprefix("leave_out_"), seed, setting)
    return ablated(name, seed, setting)
