"""Give labels to images that have none, from their neighbours that have one."""

import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelSpreading

ALPHA = 0.2  # 0..1: how far a known label may give way to its neighbours
STEPS = 100


def unit_length(features):
    """Scale each feature vector to length 1, so that distance is an angle; zeros stay zeros.

    Parameters
    ----------
    features : array of float
        [N, ...]; what follows the first axis is flattened.

    Returns
    -------
    ndarray of float32
        [N, D].
    """
    flat = np.asarray(features, np.float32).reshape(len(features), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(length == 0, 1, length)


def spread(features, labels, neighbours=7, kernel="knn"):
    """Spread known labels to the images that have none, along a graph of nearest neighbours.

    scikit-learn's LabelSpreading (Zhou et al. 2004). Where no labelled image can be reached it
    silently says class 0; here such an image keeps no label.

    Parameters
    ----------
    features : ndarray of float
        [N, D], of labelled and unlabelled images together, on one scale: see `unit_length`.
    labels : array
        [N], the class of each image, None where unknown.
    neighbours : int
        Edges of each image in the graph, itself included; all where there are fewer images.
    kernel : str
        "knn", or "rbf", whose memory grows with N squared.

    Returns
    -------
    DataFrame
        label (None where no known label reaches in 100 steps), confidence (the share of that
        class, 0..1; low for a known label that its neighbours contradict), and known (whether the
        label was given).

    Raises
    ------
    ValueError
        When fewer than two classes are known, a feature is not a number, or the lengths differ.
    """
    if len(features) != len(labels):
        raise ValueError(f"There are {len(features)} images, but {len(labels)} labels.")
    places, classes = pd.factorize(np.array(labels, object), sort=True)  # -1 where unknown
    known = places >= 0
    if len(classes) < 2:
        raise ValueError(f"Spreading needs labels of two classes, but there are {len(classes)}.")
    if np.ndim(features) != 2:
        raise ValueError(
            "Features are [N, D]: label_spreading.unit_length(features) makes them so."
        )
    if not np.isfinite(np.asarray(features)).all():
        raise ValueError("Some features are not numbers.")
    # tol 0: by default it stops when little changes, long before a label came to the far ones
    options = {"alpha": ALPHA, "max_iter": STEPS, "tol": 0}
    edges = min(neighbours, len(features))
    spreader = LabelSpreading(kernel=kernel, n_neighbors=edges, **options)
    with warnings.catch_warnings():
        # overflow: an rbf kernel of huge features, which reaches nobody, as is reported below
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        spreader.fit(features, places)
    shares = np.nan_to_num(spreader.label_distributions_)
    reached = shares.sum(axis=1) > 0
    chosen = np.where(known, places, shares.argmax(axis=1))
    return pd.DataFrame(
        {
            "label": np.where(known | reached, classes[chosen], None),
            "confidence": shares[np.arange(len(chosen)), chosen],
            "known": known,
        }
    )
