"""Borrowed networks: exact sizes, own preprocessing, weights from a file, stored features."""

import contract
import numpy as np
import pandas as pd
import pytest
import rerun
from PIL import Image

from helpers import cache, checkpoints, models, pipelines, recipes, runtime, training
from helpers.backend import keras, tf

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3)).astype("float32")
LABELS = np.arange(10, dtype="float32")[:, None] % 2


def stream(batch_size=4):
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(batch_size)


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def test_the_lean_head_is_lean(tmp_path):
    base, _ = models.vgg16(32)
    model = training.compiled(models.joined(base, models.lean_head(base.output.shape[1:])))
    model.fit(stream(), verbose=0)  # now it has an optimizer's state
    assert trainable(model) < 200_000
    checkpoints.save(model, tmp_path / "lean.keras")
    assert (tmp_path / "lean.keras").stat().st_size < 65e6
    again = keras.saving.load_model(tmp_path / "lean.keras", safe_mode=True)
    assert getattr(again, "optimizer", None) is None
    np.testing.assert_allclose(
        again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), atol=1e-6
    )
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)  # nothing nested


def test_preprocessing_is_inside_and_vgg16s_own():
    base, _ = models.vgg16(32)
    plain = keras.applications.VGG16(False, None, input_shape=(32, 32, 3))
    plain.set_weights(base.get_weights())
    expected = plain.predict(keras.applications.vgg16.preprocess_input(IMAGES.copy()), verbose=0)
    found = base.predict(IMAGES, verbose=0)
    assert found.std() > 0
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_weights_from_a_file(ending, tmp_path, monkeypatch, capsys):
    keras.utils.set_random_seed(5)
    donor = keras.applications.VGG16(False, None, input_shape=(64, 64, 3))
    file = tmp_path / f"mine{ending}"
    if ending == ".h5":  # Keras's own file is of this older kind
        import h5py
        from keras.src.legacy.saving import legacy_h5_format

        with h5py.File(file, "w") as store:
            legacy_h5_format.save_weights_to_hdf5_group(store, donor)
    else:
        donor.save_weights(file)
    monkeypatch.setenv("COURSE_VGG16_WEIGHTS", str(file))
    base, kind = models.vgg16(32)
    assert kind == file.name
    assert capsys.readouterr().out == f"VGG16 weights: {file.name}\n"
    for mine, theirs in zip(base.get_weights(), donor.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_wrong_weights_file_is_said(tmp_path, monkeypatch):
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "text.h5").write_text("not weights")
    for name, said in {
        "missing.h5": "no such file",
        "other.weights.h5": "does not hold the weights of VGG16",
        "text.h5": "does not hold the weights of VGG16",
    }.items():
        monkeypatch.setenv("COURSE_VGG16_WEIGHTS", str(tmp_path / name))
        with pytest.raises(ValueError, match=said) as caught:
            models.vgg16(32)
        assert str(tmp_path) not in str(caught.value)


def test_with_neither_it_warns_and_goes_on(monkeypatch, capsys):
    def offline(*args, **options):
        raise Exception("URL fetch failure")  # what Keras raises, no narrower one

    monkeypatch.setattr(keras.utils, "get_file", offline)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", offline)
    monkeypatch.setattr("keras.src.applications.vgg16.file_utils.get_file", offline)
    monkeypatch.setenv("COURSE_VGG16_WEIGHTS", "imagenet")
    base, kind = models.vgg16(32)
    assert kind == "none" and "untrained" in capsys.readouterr().out
    assert base.predict(IMAGES, verbose=0).shape == (10, 1, 1, 512)


def test_the_sample_downloads_nothing(monkeypatch):
    def never(*args, **options):
        raise AssertionError("asked the network")

    monkeypatch.setattr("keras.src.applications.vgg16.file_utils.get_file", never)
    monkeypatch.delenv("COURSE_VGG16_WEIGHTS", raising=False)
    assert models.vgg16(32)[1] == "none"


def test_features_are_the_bases_answers():
    base, _ = models.vgg16(32)
    values, labels = cache.features(base, stream())
    assert values.shape == (10, 1, 1, 512) and values.dtype == np.float16
    np.testing.assert_allclose(values, base.predict(IMAGES, verbose=0), rtol=2e-3, atol=1e-4)
    np.testing.assert_array_equal(labels, LABELS)


def test_vgg16_sees_each_image_as_it_is_and_moved(rows):
    pixels = keras.Input((32, 32, 3))
    flat = keras.Model(pixels, keras.layers.Flatten()(pixels))
    values, labels = recipes.vgg16_features(flat, rows, ("a", "b"), 32)
    sums = np.sort(values.sum(axis=1, dtype=float).reshape(2, len(rows)), axis=1)
    assert np.abs(sums[0] - sums[1]).max() > 0
    expected = np.concatenate([x for x, _ in pipelines.batches(rows, ("a", "b"), 32, 3)])
    np.testing.assert_array_equal(values[: len(rows)], expected.reshape(len(rows), -1))
    np.testing.assert_array_equal(labels[: len(rows), 0], rows["label"] == "b")
    assert labels[len(rows) :].sum() == labels[: len(rows)].sum()


def test_features_on_disk_are_the_same(monkeypatch):
    base, _ = models.vgg16(32)
    memory, _ = cache.features(base, stream())
    monkeypatch.setattr(cache, "MEMORY", 1000)
    disk, labels = cache.features(base, stream())
    assert isinstance(disk, np.memmap) and not isinstance(memory, np.memmap)
    np.testing.assert_array_equal(disk, memory)
    batches = pipelines.feature_batches(disk, labels, training=True, batch_size=4)
    read = [(x.numpy(), y.numpy()) for x, y in batches]
    assert [len(x) for x, _ in read] == [4, 4, 2]
    for x, y in read:  # each with its own label, whatever the order
        for value, label in zip(x, y, strict=True):
            (place,) = np.flatnonzero((memory == value).all(axis=(1, 2, 3)))
            assert labels[place] == label


def test_features_too_large_are_said():
    pixels = keras.Input((32, 32, 3))
    loud = keras.Model(pixels, keras.layers.Rescaling(1000.0)(pixels))
    with pytest.raises(ValueError, match="beyond float16"):
        cache.features(loud, stream())


def test_joined_says_what_the_head_says():
    base, _ = models.vgg16(32)
    head = models.lean_head(base.output.shape[1:])
    values, _ = cache.features(base, stream())
    joined = models.joined(base, head)
    expected = head.predict(values.astype("float32"), verbose=0)
    np.testing.assert_allclose(joined.predict(IMAGES, verbose=0), expected, atol=1e-3)


def test_restart_forgets_everything():
    model = training.compiled(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
    x, y = np.ones((8, 3)), np.ones((8, 1))
    runs = []
    for seed in (1, 2, 1):
        training.restart(model, seed)
        runs.append(model.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"])
    assert runs[0] == runs[2] != runs[1]
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Write 40 tiny images, a quarter of them of class b; networks train on them for two epochs."""
    found = []
    for n in range(40):
        Image.fromarray(IMAGES[n % 10].astype("uint8")).save(tmp_path / f"{n}.png")
        found.append((str(tmp_path / f"{n}.png"), "ab"[n % 4 == 0]))
    monkeypatch.setenv("COURSE_BUILD", str(tmp_path))
    monkeypatch.setattr(runtime, "SIZES", {name: (32,) * 3 for name in runtime.SIZES})
    monkeypatch.setattr(runtime, "EPOCHS", {name: (2, 2) for name in runtime.EPOCHS})
    return pd.DataFrame(found, columns=["path", "label"])


@pytest.mark.parametrize("name", ["smallnet", "compactnet", "vgg16"])
def test_trained_once_then_loaded(rows, tmp_path, capsys, name):
    parts = rows, rows[::2], ("a", "b"), True
    first = recipes.trained(name, *parts)
    told = capsys.readouterr().out
    again = recipes.trained(name, *parts)
    loaded = capsys.readouterr().out
    first_line, second = told.splitlines()[-2:]
    assert first_line.startswith(f"{name}: not trained on this computer yet, so that comes first")
    assert "2 epochs of 40 images" in first_line and second.startswith(f"{name}: trained here")
    assert loaded.endswith(f"{name}: trained before, loaded\n")
    assert rerun.sanitized(told) == rerun.sanitized(loaded) == "NETWORK\n"
    x = IMAGES[:2, ..., : first.input_shape[-1]]
    expected = first.predict(x, verbose=0)
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, atol=1e-6)
    assert not list(tmp_path.rglob("*.part*"))


def test_another_version_setting_or_image_is_another_file(rows, monkeypatch):
    parts = rows, rows[::2], ("a", "b"), True
    names = {recipes.kept("smallnet", *parts), recipes.kept("compactnet", *parts)}
    names |= {recipes.kept("vgg16", *parts, weights) for weights in ("none", "ImageNet")}
    names |= {recipes.kept("smallnet", rows[:8], *parts[1:])}
    names |= {recipes.kept("smallnet", rows, rows[:8], *parts[2:])}
    names |= {recipes.kept("smallnet", rows.assign(label="a"), *parts[1:])}
    monkeypatch.setitem(runtime.EPOCHS, "smallnet", (3, 3))
    names |= {recipes.kept("smallnet", *parts)}
    monkeypatch.setattr(recipes, "VERSION", recipes.VERSION + 1)
    names |= {recipes.kept("smallnet", *parts)}
    assert len(names) == 9


def test_a_comment_retrains_nothing(rows, monkeypatch):
    """The key is made of what is said to matter, not of the text of the code."""
    parts = rows, rows[::2], ("a", "b"), True
    before = recipes.kept("compactnet", *parts)
    monkeypatch.setattr("inspect.getsource", lambda room: "# another comment")
    assert recipes.kept("compactnet", *parts) == before


def test_what_lesson_4_keeps_is_what_others_train(rows, tmp_path, monkeypatch, capsys):
    """Lesson 4's own cells, and `recipes.trained` where lesson 4 never ran, give equal weights."""
    (lesson,) = (contract.ROOT / "notebooks").glob("04_*.ipynb")
    marks = ("from helpers import checkpoints", "watchers = [", "small_size, small_epochs =")
    marks += (
        "recipes.smallnet(",
        "lean_size, lean_epochs =",
        "recipes.compactnet(",
        "recipes.kept(",
    )
    cells = [cell.source for cell in contract.code(lesson)]
    room = {"train": rows, "validation": rows[::2], "classes": ("a", "b"), "drawn": True}
    for mark in marks:
        (source,) = [cell for cell in cells if mark in cell]
        if mark == marks[0]:  # the rooms; the images are ours
            source = (
                source.partition("keras.utils.set_random_seed")[0] + "from helpers import runtime"
            )
        exec(source, room)
    monkeypatch.setenv("COURSE_BUILD", str(tmp_path / "elsewhere"))
    for name in ("smallnet", "compactnet"):
        trained = recipes.trained(name, rows, rows[::2], ("a", "b"), True)
        assert f"{name}: trained here" in capsys.readouterr().out
        monkeypatch.setenv("COURSE_BUILD", str(tmp_path))
        kept = checkpoints.load(recipes.kept(name, rows, rows[::2], ("a", "b"), True))
        monkeypatch.setenv("COURSE_BUILD", str(tmp_path / "elsewhere"))
        for ours, theirs in zip(kept.get_weights(), trained.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_compactnet_by_recipe(rows):
    runs, seen = {}, []

    def watched(pixels, seed):
        seen.append(len(pixels))
        return pipelines.disturb(pixels, seed)

    for average in (None, 0.9):
        options = {"augmentation": watched, "average": average}
        model, log = recipes.compactnet(rows, rows, ("a", "b"), 32, 2, **options)
        runs[average] = model.get_weights()
        assert len(log["loss"]) == len(log["val_loss"]) == 2
        assert model.optimizer.use_ema == bool(average)
    assert sum(seen) == 4 * len(rows)
    change = [np.abs(a - b).max() for a, b in zip(*runs.values(), strict=True)]
    assert max(change) > 1e-4  # the average is what the network ends with
