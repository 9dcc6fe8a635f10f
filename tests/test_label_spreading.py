"""Spread labels: where they get, where they cannot, and what is said when they may not."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelSpreading

from helpers import label_spreading
from helpers.label_spreading import spread, unit_length

pytestmark = pytest.mark.filterwarnings("error")  # no warning may escape


def some(truth, each, seed=0):
    """Keep the labels of a few images of each class."""
    rng, labels = np.random.default_rng(seed), np.full(len(truth), None, object)
    for label in np.unique(truth):
        places = rng.choice(np.flatnonzero(truth == label), each, replace=False)
        labels[places] = truth[places]
    return labels


def blobs(count=300, spread=1.5, seed=0):
    centres = [[0, 0], [6, 0], [3, 5]]
    return make_blobs(count, centers=centres, cluster_std=spread, random_state=seed)


def scikit(features, labels, **options):
    places = np.array([-1 if label is None else label for label in labels])
    model = LabelSpreading(**{"max_iter": 100, "tol": 0, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, places)


def test_unit_length_by_hand():
    found = unit_length([[3, 4], [0, 0], [-2, 0], [5, 12]])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [-1, 0], [5 / 13, 12 / 13]], rtol=1e-6)


def test_unit_length_flattens():
    features = np.random.default_rng(0).normal(size=(5, 3, 2, 4))
    found = unit_length(features)
    assert found.shape == (5, 24)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found[1] * np.linalg.norm(features[1]), features[1].ravel(), 1e-5)
    np.testing.assert_allclose(unit_length(1000 * features), found, rtol=1e-5)


def test_three_blobs_with_three_labels_each():
    features, truth = blobs(spread=1.0)
    found = spread(features, some(truth, 3))
    assert list(found.columns) == ["label", "confidence", "known"] and len(found) == 300
    assert (found["label"] == truth).mean() > 0.97


@pytest.mark.parametrize("count, each", [(200, 1), (1000, 10)])
def test_labels_go_all_along_the_moons(count, each):
    """scikit-learn's own tolerance stops before the labels have come to the ends."""
    features, truth = make_moons(count, noise=0.05, random_state=0)
    labels = some(truth, each)
    found = spread(features, labels)
    assert (found["label"] == truth).mean() > 0.97
    early = scikit(features, labels, kernel="knn", tol=1e-3).label_distributions_
    assert (early.sum(axis=1) == 0).mean() > 0.2


@pytest.mark.parametrize("kernel", ["knn", "rbf"])
def test_where_all_is_reached_it_is_scikit_learns(kernel):
    features, truth = blobs()
    labels = some(truth, 20)
    expected = scikit(features, labels, kernel=kernel)
    found, unknown = spread(features, labels, kernel=kernel), labels == None  # noqa: E711
    assert found["label"].notna().all()
    assert (found["label"] == expected.transduction_)[unknown].all()
    shares = expected.label_distributions_.max(axis=1)
    np.testing.assert_allclose(found["confidence"][unknown], shares[unknown])


def test_options_are_handed_on(monkeypatch):
    features, truth = blobs(spread=2.5)
    labels = some(truth, 5)
    usual = spread(features, labels)
    assert (spread(features, labels, neighbours=20)["confidence"] != usual["confidence"]).any()
    for name, value in (("STEPS", 2), ("ALPHA", 0.9)):
        with monkeypatch.context() as changed:
            changed.setattr(label_spreading, name, value)
            assert (spread(features, labels)["confidence"] != usual["confidence"]).any()
    monkeypatch.setattr(label_spreading, "ALPHA", 0.9)
    found = spread(features, labels, neighbours=20)
    expected = scikit(features, labels, kernel="knn", n_neighbors=20, alpha=0.9)
    best = expected.label_distributions_.max(axis=1)
    np.testing.assert_allclose(found["confidence"][~found["known"]], best[~found["known"]])


def test_an_island_keeps_no_label():
    features, truth = blobs(spread=1.0)
    island = np.random.default_rng(0).normal(size=(20, 2)) + 500
    features = np.concatenate([features, island])
    labels = np.append(some(truth, 5), [None] * 20)
    assert (scikit(features, labels, kernel="knn").transduction_[300:] == 0).all()  # silently
    found = spread(features, labels)
    assert all(label is None for label in found["label"][300:])
    assert (found["confidence"][300:] == 0).all() and not found["known"][300:].any()
    assert found["label"][:300].notna().all() and (found["confidence"][:300] > 0).all()


def test_known_labels_are_kept_and_flagged():
    features, truth = blobs()
    labels = some(truth, 8)
    found = spread(features, labels)
    known = found["known"].to_numpy()
    assert found["known"].dtype == bool and known.sum() == 24
    assert (known == (labels != None)).all()  # noqa: E711
    assert (found["label"][known] == truth[known]).all()


def test_a_wrong_label_is_kept_with_little_confidence(monkeypatch):
    features, truth = blobs(spread=1.0)
    labels = some(truth, 80)
    places = np.flatnonzero(labels == 0)
    middle = places[np.linalg.norm(features[places], axis=1).argmin()]
    labels[middle] = 1
    monkeypatch.setattr(label_spreading, "ALPHA", 0.9)
    found = spread(features, labels)
    assert found["label"][middle] == 1 and found["known"][middle]
    right = found["known"] & (truth == 0) & (found.index != middle)
    assert found["confidence"][middle] < 0.5 < found["confidence"][right].median()


def test_confidence_is_low_between_the_classes():
    features, truth = make_blobs(600, centers=[[-3, 0], [3, 0]], cluster_std=1.8, random_state=0)
    found = spread(features, some(truth, 60))
    confidence = found["confidence"].to_numpy()
    assert confidence.min() >= 0 and confidence.max() <= 1
    away = np.abs(features[:, 0])
    assert confidence[away < 0.5].mean() + 0.1 < confidence[away > 3].mean()
    right, unknown = (found["label"] == truth).to_numpy(), ~found["known"].to_numpy()
    assert confidence[unknown & ~right].mean() < confidence[unknown & right].mean() - 0.1


def test_the_order_of_the_images_does_not_matter():
    features, truth = blobs()
    labels = some(truth, 5)
    order = np.random.default_rng(3).permutation(300)
    found, turned = spread(features, labels), spread(features[order], labels[order])
    expected = found.iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(turned, expected, rtol=1e-9)


@pytest.mark.parametrize("unknown", [None, math.nan, np.nan, pd.NA])
def test_words_as_labels(unknown):
    features, truth = blobs(spread=1.0)
    words = np.array(["drusen", "healthy", "bleeding"], object)
    kept, numbers = some(truth, 5), some(truth, 5)
    labels = pd.Series([unknown if n is None else words[n] for n in kept], index=range(900, 1200))
    found = spread(features, labels)
    assert found.index[0] == 0 and set(found["label"]) == set(words)
    expected = spread(features, numbers)  # other places for the classes, all else the same
    assert (found["label"] == words[expected["label"].astype(int)]).all()
    np.testing.assert_allclose(found["confidence"], expected["confidence"])


def test_a_class_may_be_called_minus_one():
    """scikit-learn takes -1 for unknown."""
    features, truth = blobs()
    labels = some(truth - 1, 8)
    assert set(spread(features, labels)["label"]) == {-1, 0, 1}


FEATURES = np.random.default_rng(0).normal(size=(30, 4))
LABELS = [0, 1, 1] + [None] * 27


@pytest.mark.parametrize(
    "labels, said",
    [(["a"] * 5 + [None] * 25, "labels of two classes, but there are 1."),
     ([None] * 30, "labels of two classes, but there are 0."),
     (LABELS[:-1], "There are 30 images, but 29 labels.")],
)  # fmt: skip
def test_labels_that_will_not_do(labels, said):
    with pytest.raises(ValueError, match=said) as caught:
        spread(FEATURES, labels)
    assert str(caught.value).count(".") == 1  # one sentence


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_features_that_are_not_numbers(bad):
    features = FEATURES.copy()
    features[7, 2] = bad
    with pytest.raises(ValueError, match="^Some features are not numbers.$"):
        spread(features, LABELS)


def test_nothing_at_all_is_said():
    with pytest.raises(ValueError, match="there are 0"):
        spread(np.zeros((0, 4)), [])


@pytest.mark.parametrize("scale", [100, 1e200])
def test_rbf_on_raw_features_reaches_nobody(scale):
    """Gamma 20 means lengths about 0.2: see unit_length. scikit-learn calls all of them class 0."""
    rng, truth = np.random.default_rng(0), np.arange(300) % 3
    raw = scale * (np.eye(64)[truth] + 0.05 * rng.normal(size=(300, 64)))
    labels = some(truth, 10)
    found = spread(raw, labels, kernel="rbf")
    assert found["label"][~found["known"]].isna().all()
    assert (found["label"] == truth)[found["known"]].all()
    assert found["confidence"].between(0, 1).all()
    if scale == 100:
        assert (scikit(raw, labels, kernel="rbf").transduction_[~found["known"]] == 0).all()
    for kernel in ("knn", "rbf"):
        scaled = unit_length(raw / scale)
        assert (spread(scaled, labels, kernel=kernel)["label"] == truth).all()


def test_fewer_images_than_neighbours_and_features_that_are_not_flat():
    found = label_spreading.spread(np.eye(5) + 1, ["a", "b", None, None, None])
    assert len(found) == 5 and found["label"][:2].tolist() == ["a", "b"]
    with pytest.raises(ValueError, match=r"unit_length\(features\) makes them so\.$"):
        label_spreading.spread(np.ones((2, 3, 3)), ["a", "b"])
