"""Intervals, thresholds and baselines say what they claim."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_sentence import sentence
from PIL import Image
from sklearn.metrics import roc_auc_score

from helpers import evaluation

pairs = st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=4, max_size=60)


@settings(max_examples=200, deadline=None)
@given(pairs)
def test_threshold_is_the_best_there_is(pairs):
    labels = np.array([label for label, _ in pairs])
    scores = np.array([score / 4 for _, score in pairs])
    if labels.all() or not labels.any():
        return
    cut = evaluation.choose_threshold(labels, scores)

    def gain(value):
        called = scores >= value
        return called[labels].mean() + (~called)[~labels].mean()

    # between any two neighbours; nothing better exists but calling all alike, worth 1
    best = max([gain(v) for v in np.unique(scores)] + [1])
    assert gain(cut) == pytest.approx(best) or best == pytest.approx(1)


def test_figures_at_a_threshold():
    found = evaluation.at_threshold([1, 1, 1, 0, 0], [0.9, 0.8, 0.1, 0.7, 0.2], 0.5)
    assert found == {"accuracy": 0.6, "sensitivity": pytest.approx(2 / 3), "specificity": 0.5}


def test_interval_holds_the_auc_and_widens_with_siblings():
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.integers(0, 2, 60), 5)
    scores = np.repeat(rng.normal(size=60), 5) + labels
    auc, low, high = evaluation.auc_interval(labels, scores, np.repeat(np.arange(60), 5), 300)
    assert auc == pytest.approx(roc_auc_score(labels, scores))
    assert low < auc < high
    _, narrow_low, narrow_high = evaluation.auc_interval(labels, scores, np.arange(300), 300)
    assert high - low > 1.5 * (narrow_high - narrow_low)  # five copies are not five patients


def test_interval_is_the_bootstrap_of_scikit_learns_auc(monkeypatch):
    rng = np.random.default_rng(3)
    labels, groups = rng.integers(0, 2, 80), rng.integers(0, 30, 80)
    scores = np.round(rng.normal(size=80) + labels, 1)  # with ties
    patient, draws, values = pd.factorize(groups)[0], np.random.default_rng(5), []
    count = patient.max() + 1
    for _ in range(200):
        times = np.bincount(draws.integers(count, size=count), minlength=count)[patient]
        values.append(roc_auc_score(labels, scores, sample_weight=times))
    monkeypatch.setattr(evaluation, "SEED", 5)
    found = evaluation.auc_interval(labels, scores, groups, 200)
    assert found[1:] == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_interval_covers_the_truth(monkeypatch):
    rng, hits = np.random.default_rng(1), 0
    truth = 0.7602  # of two normal distributions one deviation apart: Phi(1 / sqrt(2))
    for seed in range(60):
        labels = rng.integers(0, 2, 120)
        scores = rng.normal(size=120) + labels
        monkeypatch.setattr(evaluation, "SEED", seed)
        _, low, high = evaluation.auc_interval(labels, scores, np.arange(120), 200)
        hits += low <= truth <= high
    assert 50 <= hits <= 60


def test_one_class_has_no_auc():
    with pytest.raises(ValueError, match="both classes"):
        evaluation.auc_interval([1, 1], [0.1, 0.2], [0, 1])


def test_baselines_find_what_is_there(tmp_path):
    rng, rows = np.random.default_rng(2), []
    for n in range(80):
        sick = n % 2
        pixels = rng.integers(0, 120, (32, 32)).astype(np.uint8) + np.uint8(60 * sick)
        path = tmp_path / f"{n}.png"
        Image.fromarray(pixels).save(path)
        rows.append((str(path), "sick" if sick else "well", n))
    table = pd.DataFrame(rows, columns=["path", "label", "group"])
    found = evaluation.baselines(table[:50], table[50:], "sick").set_index("method")
    assert found.loc["always the larger class", "AUC"] == 0.5
    assert found.loc["mean intensity", "AUC"] == 1
    assert found.loc["logistic regression on 8x8 pixels", "AUC"] == 1
    assert found.loc["mean intensity", "accuracy"] == 1


def test_train_decides_which_way_a_trivial_score_points(tmp_path):
    rows = []
    for n in range(40):
        pixels = np.full((16, 16), 200 - 5 * n, np.uint8)  # the sick are darker
        path = tmp_path / f"{n}.png"
        Image.fromarray(pixels).save(path)
        rows.append((str(path), "sick" if n >= 20 else "well"))
    table = pd.DataFrame(rows, columns=["path", "label"])
    train, other = table[::2], table[1::2].assign(label="well")  # what is scored needs no label
    found = evaluation.trivial_scores(train, [other, train], "sick")
    means = [200 - 5 * np.arange(n, 40, 2) for n in (1, 0)]
    for score, mean in zip(found["mean intensity"], means, strict=True):
        assert (score == -mean).all()
    assert [(score == 0.5).all() for score in found["always the larger class"]] == [True, True]
    sizes = evaluation.file_sizes(other["path"])
    assert (np.abs(found["file size"][0]) == sizes).all()
    assert all((np.diff(score) > 0).all() for score in found["logistic regression on 8x8 pixels"])


def test_thumbnails_are_means_of_boxes(tmp_path):
    pixels = np.random.default_rng(9).integers(0, 256, (64, 32), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    found = evaluation.thumbnails([tmp_path / "grey.png"], 4)
    assert found.shape == (1, 16) and found.dtype == float
    wanted = pixels.reshape(4, 16, 4, 8).mean((1, 3)).ravel()
    np.testing.assert_allclose(found[0], wanted, atol=1)


def test_difference_is_paired():
    rng = np.random.default_rng(6)
    labels, groups = rng.integers(0, 2, 300), np.repeat(np.arange(100), 3)
    first = rng.normal(size=300) + labels
    second = first + 0.3 * rng.normal(size=300) + 0.4 * labels
    gain, low, high = evaluation.auc_difference(labels, first, second, groups)
    assert gain == pytest.approx(roc_auc_score(labels, second) - roc_auc_score(labels, first))
    assert 0 < low < gain < high
    apart = [np.diff(evaluation.auc_interval(labels, s, groups)[1:])[0] for s in (first, second)]
    assert high - low < 0.7 * min(apart)  # what both share cancels


def test_no_difference_is_zero_and_turned_round_is_minus():
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 100)
    one, two = rng.normal(size=100) + labels, rng.normal(size=100)
    assert evaluation.auc_difference(labels, one, one, np.arange(100)) == (0, 0, 0)
    there = evaluation.auc_difference(labels, one, two, np.arange(100))
    back = evaluation.auc_difference(labels, two, one, np.arange(100))
    assert there == pytest.approx((-back[0], -back[2], -back[1]))


def test_draws_without_a_class_do_not_count():
    auc, low, high = evaluation.auc_interval([0, 1, 1], [0.1, 0.5, 0.9], [0, 1, 2], 200)
    assert (auc, low, high) == (1, 1, 1)


def test_mean_interval_widens_with_siblings():
    rng = np.random.default_rng(8)
    values = np.repeat(rng.uniform(size=50), 4)
    mean, low, high = evaluation.mean_interval(values, np.repeat(np.arange(50), 4))
    assert mean == pytest.approx(values.mean()) and low < mean < high
    _, narrow, wide = evaluation.mean_interval(values, np.arange(200))
    assert high - low > 1.5 * (wide - narrow)


WELL, GROUPS = np.array([0, 1] * 20), np.arange(40)
SCORES = np.random.default_rng(0).normal(size=40) + WELL
ASKED = {
    "auc_interval": lambda y, s: evaluation.auc_interval(y, s, GROUPS, 50),
    "auc_difference": lambda y, s: evaluation.auc_difference(y, s, SCORES, GROUPS),
    "choose_threshold": evaluation.choose_threshold,
    "at_threshold": lambda y, s: evaluation.at_threshold(y, s, 0.5),
}


@pytest.mark.parametrize("name", ASKED)
def test_labels_and_scores_that_do_not_fit_are_said(name):
    ask, names = ASKED[name], np.where(WELL, "sick", "normal")
    assert "write labels == 2" in sentence(lambda: ask(WELL + 1, SCORES))
    assert "not -1: write labels == 1," in sentence(lambda: ask(2 * WELL - 1, SCORES))
    assert "write labels == 'sick'" in sentence(lambda: ask(names, SCORES))
    assert "labels before scores" in sentence(lambda: ask(SCORES, WELL))
    assert "labels are missing" in sentence(lambda: ask(np.where(WELL, 1, np.nan), SCORES))
    assert "labels are missing" in sentence(lambda: ask([None, *WELL[1:]], SCORES))
    assert "scores are missing" in sentence(lambda: ask(WELL, [np.nan, *SCORES[1:]]))
    assert "40 labels and 39 scores" in sentence(lambda: ask(WELL, SCORES[1:]))
    assert "40 labels and 80 scores" in sentence(lambda: ask(WELL, np.c_[SCORES, SCORES]))
    plain = ask(WELL, SCORES)
    for same in (WELL == 1, WELL[:, None].astype("float32"), pd.Series(WELL, index=GROUPS[::-1])):
        assert ask(same, SCORES[:, None]) == plain


def test_a_mean_needs_numbers_and_a_group_each():
    assert "missing" in sentence(lambda: evaluation.mean_interval([1, np.nan], [0, 1]))
    assert "missing" in sentence(lambda: evaluation.mean_interval([], []))
    assert "not text" in sentence(lambda: evaluation.mean_interval(["a"], [0]))
    assert "2 images, but 1 groups" in sentence(lambda: evaluation.mean_interval([1, 2], [0]))


def test_an_unknown_patient_is_one_of_its_own():
    known = evaluation.auc_interval(WELL, SCORES, [f"p{n}" for n in GROUPS])
    for unknown in (None, np.nan, pd.NA):
        groups = [f"p{n}" if n < 25 else unknown for n in GROUPS]
        assert evaluation.auc_interval(WELL, SCORES, groups) == known
    assert evaluation.mean_interval(SCORES, [np.nan] * 40)[1:] != (SCORES.mean(),) * 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5), st.integers(0, 4)), min_size=2))
def test_an_interval_holds_its_estimate(rows):
    labels, scores, groups = (np.array(column) for column in zip(*rows, strict=True))
    mean, low, high = evaluation.mean_interval(scores, groups)
    assert low <= mean <= high
    if labels.all() or not labels.any():
        return
    auc, low, high = evaluation.auc_interval(labels, scores, groups, 30)
    assert low <= auc <= high


def test_a_single_draw_does_not_leave_the_estimate_outside():
    auc, low, high = evaluation.auc_interval(WELL, SCORES, GROUPS, 1)
    assert low <= auc <= high and low < high


@pytest.mark.filterwarnings("error")
def test_of_a_class_that_is_not_there_no_share_is_known():
    found = evaluation.at_threshold([1, 1], [0.2, 0.9], 0.5)
    assert found["accuracy"] == found["sensitivity"] == 0.5 and np.isnan(found["specificity"])
