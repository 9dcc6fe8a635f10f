"""The networks: sizes to the last parameter, own preprocessing, safe to save and load."""

import numpy as np
import pytest

from helpers import models, training
from helpers.backend import keras


def test_smallnet_is_the_chapters():
    assert models.smallnet().count_params() == 2_788_353


def test_compactnet_is_small():
    assert models.compactnet().count_params() < 500_000


@pytest.mark.parametrize("build", [models.smallnet, models.compactnet])
def test_saved_and_loaded_safely_gives_the_same(build, tmp_path):
    keras.utils.set_random_seed(1)
    model = build(size=64, channels=1)
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 1)).astype("float32")
    before = model.predict(images, verbose=0)
    assert before.shape == (4, 1) and ((before > 0) & (before < 1)).all()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(again.predict(images, verbose=0), before, atol=1e-6)


def test_compactnet_does_not_see_exposure():
    keras.utils.set_random_seed(1)
    model = models.compactnet(size=64)
    images = np.random.default_rng(0).integers(40, 90, (4, 64, 64, 1)).astype("float32")
    brighter = model.predict(images * 2 + 30, verbose=0)
    np.testing.assert_allclose(model.predict(images, verbose=0), brighter, atol=1e-4)


@pytest.mark.parametrize("size, latent, widths", [(64, 5, (16, 32, 64, 64)), (48, 32, (8, 12))])
def test_autoencoder_squeezes_and_gives_back(size, latent, widths, tmp_path):
    keras.utils.set_random_seed(1)
    model = models.lean_autoencoder(size, latent, widths)
    assert model.get_layer("latent").output.shape == (None, latent)
    code = keras.Model(model.input, model.get_layer("latent").output)
    images = np.random.default_rng(0).integers(0, 256, (3, size, size, 1)).astype("float32")
    assert code.predict(images, verbose=0).shape == (3, latent)
    before = model.predict(images, verbose=0)
    assert before.shape == images.shape
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(again.predict(images, verbose=0), before, atol=1e-6)
    last = model.get_layer("reconstruction")
    last.set_weights([1e6 * w for w in last.get_weights()])  # however far training drives it
    driven = model.predict(images, verbose=0)
    assert 0 <= driven.min() < 0.01 and 0.99 < driven.max() <= 1


def test_autoencoder_as_lesson_7_takes_it():
    model = models.lean_autoencoder()
    assert model.input_shape == model.output_shape == (None, 128, 128, 1)
    assert model.get_layer("latent").units == 32


def test_autoencoder_can_learn_and_has_no_way_round_the_latent():
    keras.utils.set_random_seed(0)
    centres = np.random.default_rng(0).uniform(8, 24, (64, 2, 1, 1))
    rows, columns = np.indices((32, 32))
    away = (rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2
    spots = np.exp(-away / 30)[..., None].astype("float32")
    model = models.lean_autoencoder(32, 8, (8, 16, 16))
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(255 * spots, spots, epochs=12, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * spots.var()  # grey alone would leave all of the variance
    kernel, bias = model.get_layer("latent").get_weights()
    model.get_layer("latent").set_weights([0 * kernel, bias])
    given = model.predict(255 * spots[:2], verbose=0)
    np.testing.assert_allclose(given[0], given[1], atol=1e-6)


@pytest.mark.parametrize("build", [models.smallnet, models.compactnet])
def test_they_can_learn(build):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (64, 1)).astype("float32")
    images = rng.integers(0, 100, (64, 48, 48, 1)).astype("float32")
    images[:, 16:32, 16:32] += 100 * labels[:, :, None, None]
    model = training.compiled(build(size=48, channels=1))
    losses = model.fit(images, labels, epochs=12, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.3 < losses[0]


def test_class_weights_balance():
    weights = training.class_weights([0, 1, 1, 1])
    assert weights == {0: 2.0, 1: pytest.approx(2 / 3)}


def test_epochs_follow_the_source():
    assert training.epochs("compactnet", True) < training.epochs("compactnet", False)


def test_lines_are_one_an_epoch(capsys):
    model = training.compiled(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, callbacks=[training.lines()], verbose=0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["epoch", "1"], ["epoch", "2"]]
