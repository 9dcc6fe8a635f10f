"""Errors by hand, a threshold that keeps its promise, AUCs as they are."""

import gc
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from helpers import anomaly, evaluation
from helpers.backend import keras, tf

layers = keras.layers
GREY = np.random.default_rng(0).uniform(0, 255, (10, 8, 6, 1)).astype("float32")
RGB = np.random.default_rng(1).uniform(0, 255, (10, 8, 6, 3)).astype("float32")
MIX = np.random.default_rng(2).uniform(0, 0.4, (3, 3)).astype("float32")


def dim():
    """A Sequential that gives 2/3 of the light back; dropout is for training only."""
    stack = [keras.Input((8, 6, 1)), layers.Dropout(0.5), layers.Rescaling(1 / 382.5)]
    return keras.Sequential(stack)


def mixed_up(dtype=None):
    """A functional model that mixes the three colours of each pixel."""
    pixels = keras.Input((8, 6, 3))
    x = layers.Rescaling(1 / 255, dtype=dtype)(pixels)
    mix = layers.Conv2D(3, 1, dtype=dtype)
    model = keras.Model(pixels, mix(x))
    mix.set_weights([MIX[None, None], np.float32([0.1, 0.05, 0])])
    return model


def batched(*parts, size=4):
    """Ten images make 4, 4 and 2: the last batch is smaller."""
    return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0]).batch(size)


def by_hand(images, given):
    gap = images.astype("float64") / 255 - given
    return pd.DataFrame({"MSE": (gap**2).mean((1, 2, 3)), "L1": np.abs(gap).mean((1, 2, 3))})


@pytest.mark.parametrize("parts", [(), (np.arange(10),), (np.arange(10), np.ones(10))])
def test_errors_by_hand_with_and_without_labels(parts):
    found = anomaly.errors(dim(), batched(GREY, *parts))
    # in this order, with these names
    pd.testing.assert_frame_equal(found, by_hand(GREY, GREY / 382.5), check_dtype=False, rtol=1e-5)
    assert found["MSE"].is_unique  # so that another order would have shown


def test_errors_of_rgb_and_of_whole_numbers():
    for images in (RGB, RGB.astype("uint8")):
        found = anomaly.errors(mixed_up(), batched(images, np.arange(10)))
        expected = by_hand(images, images / 255 @ MIX + [0.1, 0.05, 0])
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_errors_in_half_precision_lose_only_what_the_network_does():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = mixed_up()
    finally:
        keras.config.set_dtype_policy("float32")
    found = anomaly.errors(model, batched(RGB))
    given = model.predict(RGB, verbose=0)
    assert given.dtype == np.float16
    np.testing.assert_allclose(found, by_hand(RGB, given.astype("float64")), rtol=1e-5)
    np.testing.assert_allclose(found, by_hand(RGB, RGB / 255 @ MIX + [0.1, 0.05, 0]), atol=1e-3)


def test_perfect_and_worst():
    perfect = keras.Sequential([keras.Input((8, 6, 1)), layers.Rescaling(1 / 255)])
    np.testing.assert_allclose(anomaly.errors(perfect, batched(GREY)), 0, atol=1e-12)
    inverse = keras.Sequential([keras.Input((8, 6, 1)), layers.Rescaling(-1 / 255, offset=1)])
    white = np.full_like(GREY, 255)
    np.testing.assert_allclose(anomaly.errors(inverse, batched(white)), 1, rtol=1e-6)


def test_errors_refuse_what_does_not_reconstruct():
    model = keras.Sequential([keras.Input((8, 6, 1)), layers.Flatten(), layers.Dense(1)])
    with pytest.raises(ValueError, match=r"turns \(8, 6, 1\) into \(1,\): it does not reconstruct"):
        anomaly.errors(model, batched(GREY))


def test_errors_need_images():
    with pytest.raises(ValueError, match="There are no images to score"):
        anomaly.errors(dim(), batched(GREY[:0]))


def test_errors_must_be_numbers():
    images = GREY.copy()
    images[-1, 0, 0] = np.nan  # one pixel of the last image is enough
    runaway = keras.Sequential([keras.Input((8, 6, 1)), layers.Rescaling(1e25)])  # squared, inf
    for model, batches in ((dim(), batched(images)), (runaway, batched(GREY))):
        with pytest.raises(ValueError, match="not numbers: train again with smaller steps"):
            anomaly.errors(model, batches)


def test_memory_does_not_grow_with_the_images():
    model = keras.Sequential([keras.Input((128, 128, 1)), layers.Rescaling(1 / 500)])
    seen = {}

    def batches(count):
        for n in range(count):
            if n == count - 1:  # what is still there when the last of 1 MiB each is asked for
                tensors = [x for x in gc.get_objects() if type(x) is type(one)]
                seen[count] = sum(math.prod(x.shape) * 4 for x in tensors)
            yield one + n

    one = tf.zeros((16, 128, 128, 1))
    anomaly.errors(model, batches(2))  # what is made once is made here
    peaks = []
    for count in (3, 24):
        gc.collect()
        tracemalloc.start()  # sees the arrays of NumPy, not those of TensorFlow
        assert len(anomaly.errors(model, batches(count))) == 16 * count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert seen[24] - seen[3] < 2**20 and peaks[1] - peaks[0] < 2**20


def test_z_scores_are_scipys():
    rng = np.random.default_rng(0)
    scores, normals = rng.lognormal(size=20), rng.lognormal(size=30)
    found = anomaly.z_scores(scores, normals)
    np.testing.assert_allclose(found, stats.zmap(scores, normals, ddof=1))
    np.testing.assert_allclose(anomaly.z_scores([3, 5], [1, 2, 3]), [1, 3])  # no n for n - 1


@pytest.mark.parametrize("normals", [[], [1.0], [2.0, 2.0, 2.0]])
def test_z_scores_need_a_spread(normals):
    with pytest.raises(ValueError, match="at least two normal images with different scores"):
        anomaly.z_scores([1.0, 2.0], normals)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 400), st.integers(1, 999), st.randoms(use_true_random=False))
def test_threshold_is_the_rank_without_rounding(count, rate, random):
    """Fractions have no rounding: 0.95 * 20 must not become rank 20 of 19."""
    normals = list(range(count))
    random.shuffle(normals)
    rank = math.ceil((count + 1) * (1 - Fraction(rate, 1000)))
    if rank > count:
        with pytest.raises(ValueError, match="too few"):
            anomaly.threshold(normals, rate / 1000)
    else:
        assert anomaly.threshold(normals, rate / 1000) == rank - 1


@pytest.mark.parametrize(
    "count, rate", [(19, 0.05), (99, 0.01), (9, 0.1), (999, 0.001), (29, 1 / 30), (48, 1 / 49)]
)
def test_the_fewest_normals_that_do(count, rate):
    normals = np.random.default_rng(0).lognormal(size=count)
    assert anomaly.threshold(normals, rate) == normals.max()
    with pytest.raises(ValueError, match=f"{count - 1} held-out normals are too few .* {rate}"):
        anomaly.threshold(normals[1:], rate)


@pytest.mark.parametrize("rate", [-0.1, 0, 1, 1.5])
def test_a_rate_is_a_share(rate):
    with pytest.raises(ValueError):
        anomaly.threshold(np.arange(100), rate)


def test_threshold_default_is_one_in_twenty():
    assert anomaly.threshold(np.arange(1, 100)) == 95


@pytest.mark.parametrize("count, rate", [(19, 0.05), (30, 0.05), (99, 0.01), (50, 0.2)])
def test_threshold_keeps_its_promise_on_a_skewed_curve(count, rate):
    """On average over held-out sets, normals raise as many false alarms as asked for, or fewer."""
    rng = np.random.default_rng(0)
    held_out = rng.lognormal(sigma=1.5, size=(4000, count))
    cuts = [anomaly.threshold(normals, rate) for normals in held_out]
    alarms = stats.lognorm.sf(cuts, 1.5)  # of endlessly many new normals
    slack = 3 * alarms.std() / len(alarms) ** 0.5
    one_less = 1 / (count + 1)  # no finer step exists with so few
    assert rate - one_less - slack < alarms.mean() < rate + slack


def test_threshold_keeps_its_promise_with_ties():
    rng = np.random.default_rng(1)
    held_out, new = rng.integers(0, 5, (2000, 39)), rng.integers(0, 5, 2000)
    cuts = np.array([anomaly.threshold(normals, 0.25) for normals in held_out])
    assert 0.1 < (new > cuts).mean() < 0.25


def test_two_sided_by_hand():
    found = anomaly.two_sided([1, 5, 3, -4], [2, 3, 100])  # median 3, where the mean is 35
    np.testing.assert_allclose(found, [2, 2, 0, 7])


def test_two_sided_finds_what_scores_too_low():
    rng = np.random.default_rng(3)
    held_out, sick = rng.normal(size=500), rng.normal(-4, 1, 200)
    assert (sick > anomaly.threshold(held_out)).mean() == 0
    cut = anomaly.threshold(anomaly.two_sided(held_out, held_out))
    assert (anomaly.two_sided(sick, held_out) > cut).mean() > 0.9


def test_an_auc_is_never_turned_round():
    rng = np.random.default_rng(4)
    labels, groups = np.repeat([0, 1], 50), np.arange(100)
    scores = rng.normal(size=100) + labels
    up, down = (anomaly.signed_auc(labels, sign * scores, groups) for sign in (1, -1))
    assert up["AUC"] == pytest.approx(roc_auc_score(labels, scores)) and up["points"] == "up"
    assert down["AUC"] == pytest.approx(1 - up["AUC"]) and down["points"] == "down"
    assert (down["low"], down["high"]) == pytest.approx((1 - up["high"], 1 - up["low"]))
    assert 0.5 < up["low"] < up["AUC"] < up["high"] and list(up) == ["AUC", "low", "high", "points"]


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_with_chance_in_it_points_nowhere(sign):
    labels = np.repeat([0, 1], 10)
    scores = np.random.default_rng(5).normal(size=20) + 0.3 * labels
    found = anomaly.signed_auc(labels, sign * scores, np.arange(20))
    assert found["low"] < 0.5 < found["high"] and found["points"] == "?"
    assert abs(found["AUC"] - 0.5) > 0.05  # the AUC alone would point


def three_classes():
    """Held-out normals 1..19 (mean 10, deviation 5.63): z = 3 is 26.88; 0.1 is rank 18."""
    well, mass, rare = [5, 18, 19, 30], [27, 26, 18.5, 12, 40], [1, 2, 3]
    scores, labels = np.array([*rare, *well, *mass]), ["rare"] * 3 + ["well"] * 4 + ["mass"] * 5
    return scores, np.array(labels), np.array([7, 8, 9, 0, 0, 1, 2, 3, 3, 4, 5, 6])


def test_report_by_hand():
    scores, labels, groups = three_classes()
    table = anomaly.report(scores, labels, groups, np.arange(1, 20), "well", 0.1)
    names = ["label", "images", "mean", "deviation", "z >= 3", "quantile"]
    assert list(table) == [*names, "AUC", "low", "high", "points"]
    assert table["label"].tolist() == ["well", "mass", "rare"]  # the normal one first
    assert table["images"].tolist() == [4, 5, 3]
    np.testing.assert_allclose(table["mean"], [18, 24.7, 2])
    np.testing.assert_allclose(table["deviation"], np.sqrt([314 / 3, 440.8 / 4, 1]))
    np.testing.assert_allclose(table["z >= 3"], [1 / 4, 2 / 5, 0])
    np.testing.assert_allclose(table["quantile"], [2 / 4, 4 / 5, 0])  # 18 does not exceed 18
    assert table.loc[0, ["AUC", "low", "high", "points"]].isna().all()  # of what, against what?
    # pairs (mass, well): 27 and 26 beat 3, 18.5 beats 2, 12 beats 1, 40 beats 4
    np.testing.assert_allclose(table["AUC"][1:], [13 / 20, 0])
    assert table["points"].tolist()[1:] == ["?", "down"]


def test_report_takes_a_z_of_three_itself_and_five_percent():
    held_out = [-1] * 10 + [0] + [1] * 10  # mean 0, deviation 1: z is the score
    scores, labels = [3, 2.9, 0.5, 5], ["well", "well", "ill", "ill"]
    table = anomaly.report(scores, labels, range(4), held_out, "well")
    assert table["z >= 3"].tolist() == [0.5, 0.5] and table["quantile"].tolist() == [1, 0.5]
    with pytest.raises(ValueError, match="of 0.05"):
        anomaly.report(scores, labels, range(4), held_out[3:], "well")


def test_report_draws_patients_and_compares_with_normals_only():
    rng = np.random.default_rng(6)
    labels = np.repeat(["well", "mass", "worse"], 60)
    groups = np.repeat(np.arange(36), 5)  # five images each
    scores = np.repeat(rng.normal(size=36), 5) + np.repeat([0, 1, 9], 60)
    table = anomaly.report(scores, labels, groups, rng.normal(size=50), "well").set_index("label")
    for name in ("mass", "worse"):
        pair = labels != ("worse" if name == "mass" else "mass")
        expected = evaluation.auc_interval(labels[pair] == name, scores[pair], groups[pair])
        assert tuple(table.loc[name, ["AUC", "low", "high"]]) == pytest.approx(expected)
    single = anomaly.report(scores, labels, np.arange(180), rng.normal(size=50), "well")
    width = (table["high"] - table["low"])["mass"]
    assert width > 1.5 * (single["high"] - single["low"])[1]  # five copies are not five patients


def test_report_takes_the_columns_of_a_table():
    scores, labels, groups = three_classes()
    frame = pd.DataFrame({"score": scores, "label": labels, "group": groups}).sample(12)
    columns = (frame["score"], frame["label"], frame["group"])
    found = anomaly.report(*columns, pd.Series(np.arange(1, 20)), "well", 0.1)
    plain = anomaly.report(scores, labels, groups, np.arange(1, 20), "well", 0.1)
    rest = [name for name in plain if name not in ("low", "high")]  # draws follow the order
    pd.testing.assert_frame_equal(found[rest], plain[rest])


def test_images_without_a_channel_axis_are_refused():
    pixels = keras.Input((8, 8, 1))
    copier = keras.Model(pixels, keras.layers.Rescaling(1 / 255)(pixels))
    with pytest.raises(ValueError, match="copies"):  # they would broadcast to a wrong number
        anomaly.errors(copier, [np.zeros((4, 8, 8), np.float32)])


def test_normals_without_a_score_are_refused():
    scores = [*range(30), np.nan]
    for function in (anomaly.threshold, lambda normals: anomaly.z_scores([1.0], normals)):
        with pytest.raises(ValueError, match="not numbers"):
            function(scores)
    with pytest.raises(ValueError, match="at least two"):
        anomaly.z_scores([1.0], [0.1, 0.1, 0.1])  # whose deviation is 1e-17 by rounding


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5])
def test_a_rate_that_is_none_is_called_so(rate):
    with pytest.raises(ValueError, match="choose one between"):
        anomaly.threshold(range(100), rate)
