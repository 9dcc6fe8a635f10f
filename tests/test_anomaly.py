"""Errors and distances by hand, a threshold that keeps its promise, AUCs as they are."""

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
from scipy.ndimage import gaussian_filter
from scipy.spatial import distance
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
    """Held-out normals 1..19 (mean 10, deviation 5.63): z = 3 is 26.88; 0.05 is rank 19."""
    well, mass, rare = [5, 19, 20, 31], [27, 26, 19.5, 12, 40], [1, 2, 3]
    scores, labels = np.array([*rare, *well, *mass]), ["rare"] * 3 + ["well"] * 4 + ["mass"] * 5
    return scores, np.array(labels), np.array([7, 8, 9, 0, 0, 1, 2, 3, 3, 4, 5, 6])


def test_report_by_hand():
    scores, labels, groups = three_classes()
    table = anomaly.report(scores, labels, groups, np.arange(1, 20), "well")
    names = ["label", "images", "mean", "deviation", "z >= 3", "quantile"]
    assert list(table) == [*names, "AUC", "low", "high", "points"]
    assert table["label"].tolist() == ["well", "mass", "rare"]  # the normal one first
    assert table["images"].tolist() == [4, 5, 3]
    np.testing.assert_allclose(table["mean"], [18.75, 24.9, 2])
    np.testing.assert_allclose(table["deviation"], np.sqrt([340.75 / 3, 429.2 / 4, 1]))
    np.testing.assert_allclose(table["z >= 3"], [1 / 4, 2 / 5, 0])
    np.testing.assert_allclose(table["quantile"], [2 / 4, 4 / 5, 0])  # 19 does not exceed 19
    assert table.loc[0, ["AUC", "low", "high", "points"]].isna().all()  # of what, against what?
    # pairs (mass, well): 27 and 26 beat 3, 19.5 beats 2, 12 beats 1, 40 beats 4
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
    found = anomaly.report(*columns, pd.Series(np.arange(1, 20)), "well")
    plain = anomaly.report(scores, labels, groups, np.arange(1, 20), "well")
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


def cloud(count, spread, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, len(spread))) @ np.asarray(spread, float)


def test_mahalanobis_is_scipys():
    normals = cloud(50_000, np.eye(3)) + [5, -2, 0]
    features = np.array([[5, -2, 0], [8, -2, 0], [5, 2, 1], [0, 0, 0]])
    found = anomaly.mahalanobis(normals, features)
    centre = np.array([5, -2, 0])
    expected = [distance.mahalanobis(f, centre, np.eye(3)) for f in features]
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)


def test_mahalanobis_knows_what_goes_together():
    normals = cloud(20_000, [[2, 1.8], [0, 0.5]])
    features = np.array([[4, 3.6], [4, -3.6]])  # along the cloud, and across it
    found = anomaly.mahalanobis(normals, features)
    inverse = np.linalg.inv(np.cov(normals.T))
    expected = [distance.mahalanobis(f, normals.mean(0), inverse) for f in features]
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert found[1] > 5 * found[0]  # as far from the middle as the first


@pytest.mark.parametrize("detector", [anomaly.mahalanobis, anomaly.neighbours])
def test_units_do_not_matter(detector):
    normals, features = cloud(60, np.eye(4)), 2 * cloud(10, np.eye(4), 1)
    scale, shift = np.array([1000, 1, 0.01, 3]), np.array([7, 0, -1, 100])
    found = detector(normals * scale + shift, features * scale + shift)
    np.testing.assert_allclose(found, detector(normals, features), rtol=1e-6)


@pytest.mark.parametrize("count", [10, 40, 42])
def test_few_images_with_many_features_are_no_trouble(count):
    normals, features = cloud(count, np.eye(40)), cloud(30, np.eye(40), 1)
    near, far = (anomaly.mahalanobis(normals, times * features) for times in (1, 3))
    assert near.shape == (30,) and np.isfinite(near).all() and (far > 2 * near).all()
    # the sample covariance alone, nearly singular, would give distances of ten and more deviations
    assert near.max() < 3 * 40**0.5


def test_neighbours_by_hand(monkeypatch):
    normals = [[-1, -5], [1, 5], [-1, 5], [1, -5]]  # deviations 1 and 5
    monkeypatch.setattr(anomaly, "NEAREST", 2)
    found = anomaly.neighbours(normals, [[3, 5], [1, 5]])  # so 3 and 1: 2 and sqrt 8 away
    np.testing.assert_allclose(found, [(2 + 8**0.5) / 2, (0 + 2) / 2])


def test_neighbours_are_five():
    normals = np.array([-1.0] * 5 + [1.0] * 5)[:, None]
    np.testing.assert_allclose(anomaly.neighbours(normals, [[1], [3]]), [0, 2])
    normals = np.array([-1.0] * 6 + [1.5] * 4)[:, None]  # deviation 1.2247, so the fifth is apart
    np.testing.assert_allclose(anomaly.neighbours(normals, [[1.5]]), 2.5 / 1.5**0.5 / 5)


def noise(count=4, size=64, seed=0):
    return np.random.default_rng(seed).uniform(20, 200, (count, size, size))


@pytest.mark.parametrize("gain, offset", [(0.2, 0), (1, 90), (3, -500), (1e-3, 0.5)])
def test_spectrum_does_not_see_exposure_and_contrast(gain, offset):
    images = gaussian_filter(noise(), (0, 1, 1))
    found = anomaly.spectrum(gain * images + offset)
    np.testing.assert_allclose(found, anomaly.spectrum(images), atol=0.01)


def test_spectrum_does_not_see_the_other_images():
    images = noise() * np.array([1, 2, 3, 0])[:, None, None]
    single = [anomaly.spectrum(image[None])[0] for image in images]
    np.testing.assert_allclose(anomaly.spectrum(images), single, atol=1e-4)


def test_blur_lowers_what_is_fine():
    images = noise(8)
    before = anomaly.spectrum(images)
    after = anomaly.spectrum(gaussian_filter(images, (0, 1, 1)))
    assert (after[:, -1] < before[:, -1] - 2).all() and (after[:, 0] > before[:, 0] + 0.5).all()


@pytest.mark.parametrize("waves, ring", [(1, 0), (3, 1), (6, 2), (11, 3), (22, 4), (30, 4)])
@pytest.mark.parametrize("turn", ["across", "down", "aslant"])
def test_a_wave_lies_in_its_ring(waves, ring, turn, monkeypatch):
    rows, columns = np.indices((64, 64)) / 64
    along = {"across": columns, "down": rows, "aslant": (rows + columns) / 2**0.5}[turn]
    image = np.sin(2 * np.pi * waves * along)
    monkeypatch.setattr(anomaly, "RINGS", 5)
    found = anomaly.spectrum(image[None])  # from 1, 2, 4, 8, 16 waves on
    assert found.shape == (1, 5) and found[0].argmax() == ring


def test_white_noise_is_the_same_in_every_ring(monkeypatch):
    monkeypatch.setattr(anomaly, "RINGS", 5)
    found = np.exp(anomaly.spectrum(noise(300, 32))).mean(axis=0)
    power = np.sum(np.hanning(32) ** 2) ** 2  # of the fade: what each frequency gets, on average
    np.testing.assert_allclose(found, power, rtol=0.15)


def test_the_border_does_not_count(monkeypatch):
    """Left edge black and right edge white is no sharp edge: the image does not go round."""
    ramp = np.tile(np.arange(64.0), (1, 64, 1))
    monkeypatch.setattr(anomaly, "RINGS", 5)
    found = anomaly.spectrum(ramp)[0]
    assert found[0] - found[-1] > 10


@pytest.mark.parametrize("size, rings", [(32, 24), (64, 24), (128, 24), (64, 5), (64, 60)])
def test_every_ring_is_a_number(size, rings, monkeypatch):
    images = np.concatenate([noise(2, size), np.full((1, size, size), 77)])
    monkeypatch.setattr(anomaly, "RINGS", rings)
    found = anomaly.spectrum(images)
    assert np.isfinite(found).all() and 5 <= found.shape[1] <= rings
    np.testing.assert_allclose(found[2], np.log(1e-6))  # blank: nothing, coarse or fine
    assert (found[:2] > 0).all()


def test_standardised():
    images = np.stack([*noise(2), np.full((64, 64), 9.0)])
    found = anomaly.standardised(images)
    assert found.dtype == np.float32 and (found[2] == 0).all()
    np.testing.assert_allclose(found[:2].mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found[:2].std((1, 2)), 1, rtol=1e-5)


def textures(count, seed, size=32):
    return gaussian_filter(noise(count, size, seed), (0, 2, 2))


@pytest.mark.parametrize("side, tenth", [(32, 10), (12, 1)])  # of 10 x 10 and of 3 x 3 patches
def test_patch_distances_by_hand(side, tenth, monkeypatch):
    """Patches of 5 x 5 with mean 0 have 24 dimensions: the 24 components lose nothing."""

    def patches(image):
        image, rows = (image - image.mean()) / image.std(), []
        for top in range(0, side - 4, 3):
            for left in range(0, side - 4, 3):
                patch = image[top : top + 5, left : left + 5].ravel()
                rows.append(patch - patch.mean())
        return rows

    normals, images = noise(5, side), noise(3, side, 1)
    memory = np.concatenate([patches(image) for image in normals])
    expected = []
    for image in images:
        away = sorted(distance.cdist(patches(image), memory).min(axis=1))
        expected.append(np.mean(away[-tenth:]))
    monkeypatch.setattr(anomaly, "PATCH", 5)
    monkeypatch.setattr(anomaly, "STEP", 3)
    found = anomaly.patch_distances(normals, images)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_patches_that_were_seen_are_not_strange(monkeypatch):
    normals = textures(4, 0)
    assert anomaly.patch_distances(normals, normals).max() < 0.01  # all are kept
    assert anomaly.patch_distances(normals, 3 * normals[:2] + 40).max() < 0.01  # brighter ones
    monkeypatch.setattr(anomaly, "KEPT", 40)
    assert anomaly.patch_distances(normals, normals).min() > 0.1  # most are not


def stripes(count, seed):
    rng = np.random.default_rng(seed)
    rows = np.indices((32, 32))[0] + rng.uniform(0, 8, (count, 1, 1))
    return np.sin(np.pi / 4 * rows) + 0.1 * rng.normal(size=rows.shape)


def test_a_foreign_patch_is_strange():
    normals, images = stripes(12, 0), stripes(4, 1)
    turned, blank = images.copy(), images.copy()
    turned[:, 8:20, 8:20] = images[:, 8:20, 8:20].transpose(0, 2, 1)  # upright, as none ever was
    blank[:, 8:20, 8:20] = 0
    plain = anomaly.patch_distances(normals, images)
    for foreign in (turned, blank):
        assert (anomaly.patch_distances(normals, foreign) > 3 * plain).all()


def test_each_normal_gives_as_many_patches(monkeypatch):
    """Four patches an image, each with all of 0..24, so that cut out they are the same."""
    rng = np.random.default_rng(0)
    quarters = rng.permuted(np.tile(np.arange(25.0), (30, 4, 1)), axis=2).reshape(30, 2, 2, 5, 5)
    normals = quarters.swapaxes(2, 3).reshape(30, 10, 10)

    def drawn(kept, some):
        pieces = quarters[:some].reshape(-1, 5, 5)
        for name, value in (("PATCH", 5), ("STEP", 5), ("KEPT", kept)):
            monkeypatch.setattr(anomaly, name, value)
        found = anomaly.patch_distances(normals, pieces)
        return (found < 0.01).reshape(some, 4)

    two = drawn(60, 8)
    assert (two.sum(axis=1) == 2).all() and two[:, 2:].any()  # not the first two of each
    fewer = drawn(25, 30)
    assert fewer.sum() == 25 and fewer[25:].any()  # not of the first 25 images


def test_the_same_seed_draws_the_same(monkeypatch):
    normals, images = textures(6, 0), textures(4, 1)
    monkeypatch.setattr(anomaly, "KEPT", 50)
    draw = []
    for seed in (1, 1, 2):
        monkeypatch.setattr(anomaly, "SEED", seed)
        draw.append(anomaly.patch_distances(normals, images))
    np.testing.assert_array_equal(draw[0], draw[1])
    assert draw[0].shape == (4,) and (draw[0] != draw[2]).all()


def test_many_images_are_as_one_by_one():
    normals, images = textures(4, 0), textures(70, 1)  # more than are taken at a time
    some = [0, 1, 63, 64, 69]
    single = [anomaly.patch_distances(normals, images[n : n + 1])[0] for n in some]
    found = anomaly.patch_distances(normals, images)
    assert found.shape == (70,)
    np.testing.assert_allclose(found[some], single, rtol=1e-4)


def test_memory_of_patches_does_not_grow_with_the_images():
    normals, images = textures(2, 0), textures(320, 1)
    peaks = []
    for count in (1, 128, 320):  # the first only loads what is loaded once
        tracemalloc.start()
        anomaly.patch_distances(normals, images[:count])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 2**18  # the patches of 192 more images are 4 MB


def test_memory_of_patches_does_not_grow_with_the_normals(monkeypatch):
    images, peaks = textures(1, 1, 96), []
    monkeypatch.setattr(anomaly, "KEPT", 200)
    for count in (1, 4, 40):
        normals = textures(count, 0, 96)
        tracemalloc.start()
        anomaly.patch_distances(normals, images)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 2**20  # the patches of 36 more images are 10 MB


def test_every_blank_image_becomes_zero():
    blank = np.full((1, 33, 33), 0.1, np.float32)  # not a float32 to the last digit
    assert np.all(anomaly.standardised(blank) == 0)


@pytest.mark.parametrize("size", [49, 98, 103, 187])
def test_one_wave_is_in_the_first_ring_at_every_size(size):
    across = np.cos(2 * np.pi * np.arange(size) / size)
    image = np.tile(across, (size, 1))[None]
    rings = anomaly.spectrum(image)[0]
    assert rings.argmax() == 0
