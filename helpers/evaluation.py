"""Ask what a result is worth: intervals by patient, thresholds, trivial baselines."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.runtime import SEED


def auc_interval(labels, scores, groups, repeats=1000, seed=SEED):
    """Return the AUC and its 95% interval, by drawing patients again and again.

    Images of one patient resemble each other, so patients are drawn, not images (the cluster
    bootstrap: Davison and Hinkley 1997, section 3.8).

    Parameters
    ----------
    labels : array of 0 and 1
        [N], the truth.
    scores : array of float
        [N], higher for class 1.
    groups : array
        [N], the patient of every image.
    repeats : int
        Draws; one that lacks a class is drawn again.
    seed : int
        Another seed draws other patients.

    Returns
    -------
    tuple of float
        AUC, lower and upper end, each 0..1.

    Raises
    ------
    ValueError
        When there is only one class.
    """
    labels, scores = np.ravel(labels).astype(float), np.ravel(scores)
    if len(np.unique(labels)) < 2:
        raise ValueError("An AUC needs images of both classes.")
    rng, values = np.random.default_rng(seed), []
    patient = pd.factorize(np.asarray(groups))[0]
    count, place = patient.max() + 1, np.unique(scores, return_inverse=True)[1]
    while len(values) < repeats:
        times = np.bincount(rng.integers(count, size=count), minlength=count)[patient]
        # scikit-learn's weighted AUC, without its checks of the input in every one of the draws
        sick = np.bincount(place, times * labels)
        well = np.bincount(place, times * (1 - labels))
        if sick.any() and well.any():
            below = np.cumsum(well) - well / 2  # ties count half
            values.append(float(sick @ below / (sick.sum() * well.sum())))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(roc_auc_score(labels, scores)), float(low), float(high)


def choose_threshold(labels, scores):
    """Return the threshold with the highest sensitivity + specificity; use validation images.

    It weighs both classes the same, so it does not move with their shares (Youden 1950).

    Returns
    -------
    float
        Halfway between the two scores it falls between; `score >= threshold` is class 1.
    """
    labels, scores = np.ravel(labels) == 1, np.ravel(scores).astype(float)
    order = np.argsort(scores)
    missed = np.cumsum(labels[order]) / max(labels.sum(), 1)
    cleared = np.cumsum(~labels[order]) / max((~labels).sum(), 1)
    ends = np.append(np.diff(scores[order]) > 0, False)  # only between unequal scores
    gain = np.where(ends, cleared - missed, -np.inf)
    best = int(np.argmax(gain))
    return float(scores[order][best : best + 2].mean()) if ends.any() else float(scores[0])


def at_threshold(labels, scores, threshold):
    """Return accuracy, sensitivity and specificity of `score >= threshold`, each 0..1."""
    labels, called = np.ravel(labels) == 1, np.ravel(scores) >= threshold
    return {
        "accuracy": float((called == labels).mean()),
        "sensitivity": float(called[labels].mean()),
        "specificity": float((~called)[~labels].mean()),
    }


def baselines(train, test, positive):
    """Score a test set in four ways that need no network.

    Parameters
    ----------
    train, test : DataFrame
        With columns path, label and group.
    positive : str
        The label that counts as class 1.

    Returns
    -------
    DataFrame
        One row a baseline: AUC with its interval by patient, and accuracy at the threshold that
        is best on train. File size and mean intensity may point either way: train decides.
    """
    truth = [(part["label"] == positive).to_numpy().astype(int) for part in (train, test)]
    small = [thumbnails(part["path"]) for part in (train, test)]
    tiny = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.1))
    tiny.fit(small[0], truth[0])
    scores = {
        "always the larger class": [np.full(len(y), truth[0].mean()) for y in truth],
        "file size": [file_sizes(part["path"]) for part in (train, test)],
        "mean intensity": [pixels.mean(axis=1) for pixels in small],
        "logistic regression on 8x8 pixels": [tiny.predict_proba(p)[:, 1] for p in small],
    }
    rows = []
    for name, (seen, new) in scores.items():
        sign = 1 if roc_auc_score(truth[0], seen) >= 0.5 else -1
        auc, low, high = auc_interval(truth[1], sign * new, test["group"])
        if len(np.unique(seen)) == 1:
            accuracy = accuracy_score(truth[1], new >= 0.5)
        else:
            cut = choose_threshold(truth[0], sign * seen)
            accuracy = at_threshold(truth[1], sign * new, cut)["accuracy"]
        rows.append((name, auc, low, high, accuracy))
    return pd.DataFrame(rows, columns=["method", "AUC", "low", "high", "accuracy"])


def file_sizes(paths):
    """Return the size of every file, float [N], in bytes."""
    return np.array([Path(path).stat().st_size for path in paths], float)


def thumbnails(paths, size=8):
    """Shrink every image to size x size grey pixels; float [N, size * size] in 0..255."""
    rows = []
    for path in paths:
        with Image.open(path) as image:
            image.draft("L", (4 * size, 4 * size))  # a JPEG is decoded at a fraction of its size
            grey = image.convert("L").resize((size, size), Image.Resampling.BOX)
            rows.append(np.asarray(grey, float).ravel())
    return np.array(rows)
