"""Four ways that need no network: train decides which way a score points."""

import numpy as np
from setting import Clock, judged
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers import evaluation


def larger_class(parts, truth):
    """Give every image the share of the sick in train."""
    return [np.full(len(part), truth.mean()) for part in parts]


def file_size(parts, truth):
    """Score by the bytes of the file."""
    return [evaluation.file_sizes(part["path"]) for part in parts]


def mean_intensity(parts, truth):
    """Score by the mean of all pixels."""
    return [evaluation.thumbnails(part["path"]).mean(axis=1) for part in parts]


def regression(parts, truth):
    """Fit logistic regression to 8x8 grey pixels, with the settings of `evaluation.baselines`."""
    small = [evaluation.thumbnails(part["path"]) for part in parts]
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.1))
    fitted.fit(small[0], truth)
    return [fitted.predict_proba(pixels)[:, 1] for pixels in small]


WAYS = {  # with the numbers that each learns
    "baseline_larger_class": (larger_class, 0),
    "baseline_file_size": (file_size, 1),
    "baseline_mean_intensity": (mean_intensity, 1),
    "baseline_8x8": (regression, 65),
}


def measure(name, seed, setting):
    """Return the record of one baseline."""
    clock, (way, parameters) = Clock(), WAYS[name]
    truth = (setting.parts[0]["label"] == setting.classes[1]).to_numpy()
    train, validation, test = way(setting.parts, truth)
    sign = 1 if roc_auc_score(truth, train) >= 0.5 else -1
    # what is the same for all images has no threshold to choose: above a half is the larger class
    threshold = 0.5 if np.ptp(train) == 0 else None
    scores = sign * validation, sign * test
    extras = {"parameters": parameters, "seconds": clock.seconds(), "sign": sign}
    return [judged(name, seed, setting.parts, setting.classes, *scores, threshold, **extras)]
