"""A network from elsewhere is loaded in safe mode, or one sentence says why it is not."""

import json
import random
import zipfile

import numpy as np
import pytest

from helpers import checkpoints, models, training
from helpers.backend import keras

layers = keras.layers
LAMBDA = "holds a Lambda layer, that is program code, so it is not loaded"
BROKEN = "is no whole .keras file: copy or save it again."


def net(*body):
    values = keras.Input((4,))
    x = values
    for layer in body:
        x = layer(x)
    return keras.Model(values, layers.Dense(1)(x))


def double():
    return layers.Lambda(lambda x: x * 2, output_shape=(4,))


class Odd(layers.Layer):
    """A layer that nobody registered."""

    def call(self, x):
        return x


def refused(file):
    with pytest.raises(ValueError) as told:
        checkpoints.load(file)
    said = str(told.value)
    assert said.endswith(".") and "\n" not in said and ". " not in said.replace("a .keras", "")
    assert file.name in said and str(file.parent) not in said
    return said


def wrapped():
    steps = keras.Input((3, 4))
    return keras.Model(steps, layers.TimeDistributed(net(double()))(steps))


WITH_CODE = {
    "plain": lambda: net(double()),
    "nested": lambda: net(net(double())),
    "nested twice": lambda: net(keras.Sequential([keras.Input((4,)), net(double())])),
    "sequential": lambda: keras.Sequential([keras.Input((4,)), double()]),
    "wrapped": wrapped,
    "of a named function": lambda: net(layers.Lambda(keras.ops.abs, output_shape=(4,))),
}


@pytest.mark.parametrize("kind", WITH_CODE)
def test_a_lambda_is_refused(tmp_path, kind, monkeypatch):
    WITH_CODE[kind]().save(tmp_path / "theirs.keras")
    monkeypatch.setattr(keras.saving, "load_model", None)  # not even begun
    assert LAMBDA in refused(tmp_path / "theirs.keras")


def test_safe_mode_stays_on(tmp_path):
    net(double()).save(tmp_path / "theirs.keras")
    keras.config.enable_unsafe_deserialization()
    try:
        assert LAMBDA in refused(tmp_path / "theirs.keras")
        net(layers.ReLU()).save(tmp_path / "theirs.keras")
        seen, load = [], keras.saving.load_model
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keras.saving, "load_model", lambda f, **k: seen.append(k) or load(f, **k))
            checkpoints.load(tmp_path / "theirs.keras")
        assert seen == [{"safe_mode": True}]
    finally:
        keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", None)


@pytest.mark.parametrize("name", ["theirs.h5", "theirs.hdf5", "theirs.keras"])
@pytest.mark.filterwarnings("ignore")
def test_hdf5_is_refused(tmp_path, name):
    net(layers.ReLU()).save(tmp_path / "theirs.h5")
    (tmp_path / "theirs.h5").rename(tmp_path / name)
    said = refused(tmp_path / name)
    assert "is HDF5, which Keras cannot load in safe mode" in said and "save the model as" in said


def test_an_unknown_layer_is_named(tmp_path):
    file = tmp_path / "theirs.keras"
    net(Odd()).save(file)
    assert "holds Odd, which Keras does not know" in refused(file)
    net(net(Odd())).save(file)
    assert "holds Odd, which Keras does not know" in refused(file)
    with keras.saving.custom_object_scope({"Odd": Odd}):  # one's own, and made known
        assert isinstance(checkpoints.load(file), keras.Model)


def test_a_layer_of_another_keras(tmp_path):
    file = tmp_path / "theirs.keras"
    net(layers.ReLU()).save(file)
    with zipfile.ZipFile(file) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    parts["config.json"] = parts["config.json"].replace(b'"ReLU"', b'"NewReLU"')
    with zipfile.ZipFile(file, "w") as packed:
        for name, data in parts.items():
            packed.writestr(name, data)
    assert "cannot be loaded by Keras 3" in refused(file)


def test_what_is_no_model(tmp_path):
    file = tmp_path / "theirs.keras"
    for data in (b"", b"text", bytes(100)):
        file.write_bytes(data)
        assert refused(file).endswith(BROKEN)
    for name, text in (("a", "b"), ("config.json", "{"), ("config.json", "\0")):
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr(name, text)
        assert refused(file).endswith(BROKEN)
    for config in ([], {}, {"class_name": "Model"}, 7):
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr("config.json", json.dumps(config))
        refused(file)
    assert refused(tmp_path / "none.keras") == "There is no file none.keras: check the path."
    (tmp_path / "folder.keras").mkdir()
    assert "no file folder.keras" in refused(tmp_path / "folder.keras")


def test_cut_anywhere_or_one_bit_changed(tmp_path):
    file, rng = tmp_path / "theirs.keras", random.Random(0)
    net(layers.Dense(50)).save(file)
    whole, weights = file.read_bytes(), checkpoints.load(file).get_weights()
    for size in [1, len(whole) - 1, *rng.sample(range(len(whole)), 30)]:
        file.write_bytes(whole[:size])
        assert refused(file).endswith(BROKEN)
    for _ in range(60):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
        try:
            loaded = checkpoints.load(file)
        except ValueError:
            refused(file)
        else:  # in what does not count, such as a date
            for one, other in zip(loaded.get_weights(), weights, strict=True):
                np.testing.assert_array_equal(one, other)


OURS = {
    "smallnet": lambda: models.smallnet(64),
    "compactnet": lambda: training.compiled(models.compactnet(64)),
    "vgg16": lambda: models.joined(models.vgg16(32)[0], models.lean_head((1, 1, 512))),
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.filterwarnings("ignore:Skipping variable loading")
def test_the_courses_own_are_loaded(tmp_path, monkeypatch, name):
    monkeypatch.setenv("COURSE_VGG16_WEIGHTS", "none")
    model = OURS[name]()
    checkpoints.save(model, tmp_path / "ours.keras", {} if name == "compactnet" else None)
    again = checkpoints.load(str(tmp_path / "ours.keras"))
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
