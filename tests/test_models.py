"""The networks: sizes to the last parameter, own preprocessing, safe to save and load."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import gradcam, models, runtime, training
from helpers.backend import keras


def test_smallnet_is_the_chapters():
    assert models.smallnet().count_params() == 2_788_353


@pytest.mark.parametrize("size, cells", [(64, 8), (112, 7), (128, 8)])
def test_compactnets_heat_map_has_8_cells_or_fewer(size, cells):
    (pooled,) = [
        layer
        for layer in models.compactnet(size).layers
        if isinstance(layer, keras.layers.GlobalAveragePooling2D)
    ]
    assert pooled.input.shape[1:3] == (cells, cells)


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
    assert losses[-1] < min(0.3, losses[0] / 2)


def test_class_weights_balance():
    weights = training.class_weights([0, 1, 1, 1])
    assert weights == {0: 2.0, 1: pytest.approx(2 / 3)}


def test_class_weights_of_a_batch_and_of_what_is_no_class():
    weights = training.class_weights(np.array([[0], [1], [1], [1]], "float32"))
    assert weights == {0: 2.0, 1: pytest.approx(2 / 3)}
    assert training.class_weights(np.ones((3, 1))) == {1: 1.0}
    for wrong in (["a", "b"], [1, 2], [-1, 1], [0, np.nan], [0, None], [0.5, 1]):
        with pytest.raises(ValueError, match="need labels 0, 1, .*makes them of names.$"):
            training.class_weights(wrong)


def test_epochs_follow_the_source():
    assert runtime.epochs("compactnet", True) < runtime.epochs("compactnet", False)


def test_lines_are_one_an_epoch(capsys):
    model = training.compiled(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, callbacks=[training.lines()], verbose=0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["epoch", "1"], ["epoch", "2"]]


def alexnet_parameters(size, classes):
    """Count by hand: kernels and biases, four numbers a channel of batch norm, the logits."""
    total, before, side = 0, 1, (size - 11) // 4 + 1
    for kernel, channels, pooled in (
        (11, 96, True), (5, 256, True), (3, 384, False), (3, 384, False), (3, 256, True)
    ):  # fmt: skip
        total += (kernel * kernel * before + 1) * channels + 4 * channels
        before, side = channels, (side - 3) // 2 + 1 if pooled else side
    return total + (side * side * before + 1) * classes


def test_alexnet_to_the_last_parameter():
    # 55 x 55 cells, then 27, 13 and 6: 9,216 features, as in the paper
    convolutions = 11_712 + 614_656 + 885_120 + 1_327_488 + 884_992
    by_hand = convolutions + 4 * (96 + 256 + 384 + 384 + 256) + (6 * 6 * 256 + 1) * 3
    assert by_hand == alexnet_parameters(227, 3) == 3_757_123
    model = models.alexnet()
    assert model.count_params() == by_hand
    assert model.get_layer("features").output.shape == (None, 9216)
    assert models.alexnet(96, 5).count_params() == alexnet_parameters(96, 5)


def test_alexnet_can_be_thinner():
    thin = models.alexnet(67, 3, width=0.25)
    kernels = [n for n in thin.layers if isinstance(n, keras.layers.Conv2D)]
    assert [n.filters for n in kernels] == [24, 64, 96, 96, 64]
    assert thin.count_params() < models.alexnet(67, 3).count_params() / 12
    assert thin.get_layer("heat").output.shape == (None, 3, 3, 64)


def test_alexnet_sees_green_only():
    keras.utils.set_random_seed(1)
    model = models.alexnet(96, width=0.25)
    images = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3)).astype("float32")
    before = model.predict(images, verbose=0)
    assert before.shape == (4, 3)
    np.testing.assert_allclose(before.sum(axis=1), 1, rtol=1e-5)
    for channel, same in enumerate((True, False, True)):
        changed = images.copy()
        changed[..., channel] = 255 - changed[..., channel]
        assert np.array_equal(model.predict(changed, verbose=0), before) == same


AFRESH = """
import sys
import numpy as np
from helpers import models
from helpers.backend import keras
model = keras.saving.load_model(sys.argv[1] + "/model.keras")
images = np.load(sys.argv[1] + "/images.npy")
np.save(sys.argv[1] + "/answers.npy", model.predict(images, verbose=0))
"""


def test_alexnet_is_loaded_safely_elsewhere_and_explained(tmp_path):
    keras.utils.set_random_seed(1)
    model = models.alexnet(96, width=0.25)
    images = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3)).astype("float32")
    before = model.predict(images, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    root = Path(models.__file__).parent.parent
    subprocess.run([sys.executable, "-c", AFRESH, str(tmp_path)], check=True, cwd=root)
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), before, atol=1e-6)
    again = keras.saving.load_model(tmp_path / "model.keras")
    explained = [gradcam.heat_maps(model, images, n, layer="heat") for n in range(3)]
    for label, maps in enumerate(explained):
        assert maps.shape == (4, 96, 96) and maps.min() >= 0 and (maps.max((1, 2)) > 0.999).any()
        np.testing.assert_allclose(gradcam.heat_maps(again, images, label, "heat"), maps, atol=1e-4)
        assert np.abs(maps - explained[label - 1]).max() > 0.1  # each class has its own
