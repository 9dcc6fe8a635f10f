"""Ask what a result is worth: intervals by patient, thresholds, trivial baselines."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL.Image import Resampling
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers import images
from helpers.runtime import SEED

REPEATS = 1000  # drawn patients, for an interval


def auc_interval(labels, scores, groups, repeats=REPEATS):
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
        [N], the patient of every image; one whose patient is unknown (None, NaN) is a patient of
        its own, here and below.
    repeats : int
        Draws; one that lacks a class does not count.

    Returns
    -------
    tuple of float
        AUC, lower and upper end, each 0..1.

    Raises
    ------
    ValueError
        When there is only one class, labels are not 0 and 1, or scores are not numbers.
    """
    labels, scores = _two_classes(labels, scores)
    auc = float(roc_auc_score(labels, scores))
    return auc, *_middle(auc, _aucs(labels, [scores], groups, repeats)[0])


def auc_difference(labels, first, second, groups):
    """Return how much larger the second AUC is than the first, and the 95% interval of that.

    Both are computed on the same drawn patients (paired), so that what makes a draw easy or hard
    for both cancels: the interval is narrower than two separate ones suggest.

    Parameters
    ----------
    labels : array of 0 and 1
        [N], the truth.
    first, second : array of float
        [N], two networks' scores of the same images.
    groups : array
        [N], the patient of every image.

    Returns
    -------
    tuple of float
        Second AUC minus first, lower and upper end, each -1..1.
    """
    labels, *both = _two_classes(labels, first, second)
    aucs = [roc_auc_score(labels, scores) for scores in both]
    gain, draws = float(aucs[1] - aucs[0]), _aucs(labels, both, groups, REPEATS)
    return gain, *_middle(gain, draws[1] - draws[0])


def mean_interval(values, groups):
    """Return the mean and its 95% interval, by drawing patients; see `auc_interval`."""
    values = _numbers(values)
    mean = float(values.mean())
    means = [times @ values / times.sum() for times in _patients(groups, REPEATS, len(values))]
    return mean, *_middle(mean, means)


def _numbers(values):
    """Return values as floats [N]; ValueError, a sentence, where one is no number."""
    try:
        numbers = np.ravel(values).astype(float)
    except (TypeError, ValueError):
        raise ValueError("Scores are numbers, not text or None: give one an image.") from None
    if not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError("Some scores are missing (NaN), or all: leave these images out.")
    return numbers


def _checked(labels, *several):
    """Return labels and scores as floats [N]; ValueError, a sentence, where they do not fit."""
    labels, found = np.ravel(labels), [_numbers(scores) for scores in several]
    if pd.isna(labels).any():
        raise ValueError("Some labels are missing (NaN): leave these images out.")
    wrong = [label for label in labels.tolist() if label not in (0, 1)]
    if wrong:
        last = max(labels.tolist(), key=str)
        raise ValueError(
            f"Labels are 0 and 1, not {wrong[0]!r}: write labels == {last!r}, if that is class 1, "
            "and give labels before scores."
        )
    for scores in found:
        if len(scores) != len(labels):
            raise ValueError(
                f"There are {len(labels)} labels and {len(scores)} scores: give pairs."
            )
    return labels.astype(float), *found


def _two_classes(labels, *several):
    checked = _checked(labels, *several)
    if len(np.unique(checked[0])) < 2:
        raise ValueError("An AUC needs images of both classes, and so does a threshold.")
    return checked


def _patients(groups, repeats, count):
    """Draw patients with replacement; yield how often each of `count` images comes."""
    patient = pd.factorize(pd.Series(list(groups), dtype=object))[0]
    if len(patient) != count:
        raise ValueError(f"There are {count} images, but {len(patient)} groups: give one an image.")
    unknown = patient < 0
    patient[unknown] = patient.max() + 1 + np.arange(unknown.sum())
    rng, count = np.random.default_rng(SEED), patient.max() + 1
    for _ in range(repeats):
        yield np.bincount(rng.integers(count, size=count), minlength=count)[patient]


def _aucs(labels, several, groups, repeats):
    """Return the AUC of each of several scores in each draw, [len(several), draws].

    scikit-learn's weighted AUC, without its checks of the input in every one of the draws. A draw
    that lacks a class, possible with few patients, does not count.
    """
    places = [np.unique(np.ravel(scores), return_inverse=True)[1] for scores in several]
    found = []
    for times in _patients(groups, repeats, len(labels)):
        row = []
        for place in places:
            sick = np.bincount(place, times * labels)
            well = np.bincount(place, times * (1 - labels))
            below = np.cumsum(well) - well / 2  # ties count half
            pairs = sick.sum() * well.sum()
            row.append(sick @ below / pairs if pairs else np.nan)
        found.append(row)
    found = np.array(found).T
    return found[:, ~np.isnan(found[0])]


def _middle(estimate, draws):
    """Return the ends of the middle 95% of the draws, no further in than the estimate."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return min(float(low), estimate), max(float(high), estimate)


def choose_threshold(labels, scores):
    """Return the threshold with the highest sensitivity + specificity; use validation images.

    It weighs both classes the same, so it does not move with their shares (Youden 1950).

    Returns
    -------
    float
        Halfway between the two scores it falls between; `score >= threshold` is class 1.
    """
    labels, scores = _two_classes(labels, scores)
    values, place = np.unique(scores, return_inverse=True)
    missed = np.cumsum(np.bincount(place, labels)) / labels.sum()
    cleared = np.cumsum(np.bincount(place, 1 - labels)) / (1 - labels).sum()
    best = int(np.argmax((cleared - missed)[:-1])) if len(values) > 1 else 0
    return float(values[best : best + 2].mean())


def at_threshold(labels, scores, threshold):
    """Return accuracy, sensitivity and specificity of `score >= threshold`, each 0..1.

    Sensitivity is NaN where there are no images of class 1, and specificity where none of class 0.
    """
    labels, scores = _checked(labels, scores)
    right = (scores >= threshold) == labels
    sides = {
        "accuracy": right,
        "sensitivity": right[labels == 1],
        "specificity": right[labels == 0],
    }
    return {name: float(side.mean()) if len(side) else np.nan for name, side in sides.items()}


def trivial_scores(train, parts, positive):
    """Score images in four ways that need no network.

    Parameters
    ----------
    train : DataFrame
        With columns path and label: what the scores are fitted to. File size and mean intensity
        may point either way: train decides.
    parts : sequence of DataFrame
        With a column path; what is scored. Train itself may be one of them.
    positive : str
        The label that counts as class 1.

    Returns
    -------
    dict of str to list of ndarray
        A baseline to its scores, float [N] for each part, higher for class 1.
    """
    truth = (train["label"] == positive).to_numpy()
    tables = [train, *parts]
    paths = pd.Index(pd.concat(tables)["path"].unique())  # each file is decoded once
    shrunk = thumbnails(paths)
    small = [shrunk[paths.get_indexer(table["path"])] for table in tables]
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.1))
    regression.fit(small[0], truth)
    found = {
        "always the larger class": [np.full(len(table), truth.mean()) for table in tables],
        "file size": [file_sizes(table["path"]) for table in tables],
        "mean intensity": [pixels.mean(axis=1) for pixels in small],
        "logistic regression on 8x8 pixels": [regression.predict_proba(x)[:, 1] for x in small],
    }
    for name, (known, *scores) in found.items():
        sign = 1 if roc_auc_score(truth, known) >= 0.5 else -1
        found[name] = [sign * score for score in scores]
    return found


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
        is best on train, of each of `trivial_scores`.
    """
    truth = [(part["label"] == positive).to_numpy().astype(int) for part in (train, test)]
    rows = []
    for name, (known, new) in trivial_scores(train, [train, test], positive).items():
        # what is the same for all images has no threshold to choose: above a half is class 1
        cut = 0.5 if np.ptp(known) == 0 else choose_threshold(truth[0], known)
        accuracy = at_threshold(truth[1], new, cut)["accuracy"]
        rows.append((name, *auc_interval(truth[1], new, test["group"]), accuracy))
    return pd.DataFrame(rows, columns=["method", "AUC", "low", "high", "accuracy"])


def file_sizes(paths):
    """Return the size of every file, float [N], in bytes."""
    return np.array([Path(path).stat().st_size for path in paths], float)


def thumbnails(paths, size=8):
    """Shrink every image to size x size grey pixels; float [N, size * size] in 0..255."""
    rows = []
    for path in paths:
        grey = images.picture(path, 4 * size, grey=True).resize((size, size), Resampling.BOX)
        rows.append(np.asarray(grey, float).ravel())
    return np.array(rows)


def predict_image(model, path):
    """Return a model's probability of class 1 for one image file.

    Parameters
    ----------
    model : keras.Model
        With one sigmoid unit, on square grey or RGB images in 0..255; a model for any size gets
        224 x 224 pixels.
    path : str or Path
        A JPEG, PNG or DICOM file, which `images.read` turns into such an image.

    Returns
    -------
    float
        0..1.

    Raises
    ------
    ValueError
        When the model takes or gives something else, or the file cannot be read.
    """
    from helpers import models  # only here: it loads TensorFlow, and lessons 1 and 2 need none

    takes, gives = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    square = isinstance(takes, tuple) and len(takes) == 4 and takes[1] == takes[2]
    if not square or takes[3] not in (1, 3):
        raise ValueError(f"{model.name} takes no square grey or RGB images; use a model that does.")
    if gives != (None, 1):
        raise ValueError(f"{model.name} gives more than one number; use one with one sigmoid unit.")
    unit = getattr(models.answering(model), "activation", None)
    if getattr(unit, "__name__", "") != "sigmoid":
        raise ValueError(f"{model.name} gives no probability: end it with one sigmoid unit.")
    image = images.read(path, takes[1] or 224, takes[3])
    return float(np.ravel(model(np.float32(image)[None], training=False))[0])
