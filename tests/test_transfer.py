"""Borrowed networks: exact sizes, own preprocessing, weights from a file, stored features."""

import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import pipelines, recipes, store, training, transfer
from helpers.backend import keras, tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import rerun

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3)).astype("float32")
LABELS = np.arange(10, dtype="float32")[:, None] % 2


def stream(batch_size=4):
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(batch_size)


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def test_the_chapters_network_to_the_last_parameter():
    base, _ = transfer.vgg16(224)
    model = transfer.joined(base, transfer.chapter_head(base.output.shape[1:]))
    assert model.count_params() == 121_872_289
    assert trainable(model) == 107_157_601


def test_the_lean_head_is_lean(tmp_path):
    base, _ = transfer.vgg16(32)
    model = training.compiled(transfer.joined(base, transfer.lean_head(base.output.shape[1:])))
    model.fit(stream(), verbose=0)  # now it has an optimizer's state
    assert trainable(model) < 200_000
    training.save(model, tmp_path / "lean.keras")
    assert (tmp_path / "lean.keras").stat().st_size < 65e6
    again = keras.saving.load_model(tmp_path / "lean.keras", safe_mode=True)
    assert getattr(again, "optimizer", None) is None
    np.testing.assert_allclose(
        again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), atol=1e-6
    )
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)  # nothing nested


def test_preprocessing_is_inside_and_vgg16s_own():
    base, _ = transfer.vgg16(32)
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
    base, kind = transfer.vgg16(32)
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
            transfer.vgg16(32)
        assert str(tmp_path) not in str(caught.value)


def test_with_neither_it_warns_and_goes_on(monkeypatch, capsys):
    def offline(*args, **options):
        raise Exception("URL fetch failure")  # what Keras raises, no narrower one

    monkeypatch.setattr(keras.utils, "get_file", offline)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", offline)
    monkeypatch.setattr("keras.src.applications.vgg16.file_utils.get_file", offline)
    monkeypatch.setenv("COURSE_VGG16_WEIGHTS", "imagenet")
    base, kind = transfer.vgg16(32)
    assert kind == "none" and "untrained" in capsys.readouterr().out
    assert base.predict(IMAGES, verbose=0).shape == (10, 1, 1, 512)


def test_the_sample_downloads_nothing(monkeypatch):
    def never(*args, **options):
        raise AssertionError("asked the network")

    monkeypatch.setattr("keras.src.applications.vgg16.file_utils.get_file", never)
    monkeypatch.delenv("COURSE_VGG16_WEIGHTS", raising=False)
    assert transfer.vgg16(32)[1] == "none"


def test_features_are_the_bases_answers():
    base, _ = transfer.vgg16(32)
    values, labels = transfer.features(base, stream(), copies=2)
    assert values.shape == (20, 1, 1, 512) and values.dtype == np.float16
    expected = base.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(values[:10], expected, rtol=2e-3, atol=1e-4)
    np.testing.assert_array_equal(values[:10], values[10:])
    np.testing.assert_array_equal(labels, np.concatenate([LABELS, LABELS]))


def test_copies_are_augmented_anew(tmp_path):
    import pandas as pd
    from PIL import Image

    rows = []
    for n, pixels in enumerate(IMAGES[:4]):
        Image.fromarray(pixels.astype("uint8")).save(tmp_path / f"{n}.png")
        rows.append((str(tmp_path / f"{n}.png"), "ab"[n % 2]))
    table = pd.DataFrame(rows, columns=["path", "label"])
    batches = pipelines.batches(table, ("a", "b"), 32, 3, training=True, batch_size=4)
    pixels = keras.Input((32, 32, 3))
    flat = keras.Model(pixels, keras.layers.Flatten()(pixels))
    values, _ = transfer.features(flat, batches, copies=2)
    first, second = (np.sort(part.sum(axis=1, dtype=float)) for part in (values[:4], values[4:]))
    assert np.abs(first - second).min() > 0


def test_features_on_disk_are_the_same(monkeypatch):
    base, _ = transfer.vgg16(32)
    memory, _ = transfer.features(base, stream())
    monkeypatch.setattr(store, "MEMORY", 1000)
    disk, labels = transfer.features(base, stream())
    assert isinstance(disk, np.memmap) and not isinstance(memory, np.memmap)
    np.testing.assert_array_equal(disk, memory)
    batches = transfer.feature_batches(disk, labels, training=True, batch_size=4)
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
        transfer.features(loud, stream())


def test_joined_says_what_the_head_says():
    base, _ = transfer.vgg16(32)
    head = transfer.lean_head(base.output.shape[1:])
    values, _ = transfer.features(base, stream())
    joined = transfer.joined(base, head)
    expected = head.predict(values.astype("float32"), verbose=0)
    np.testing.assert_allclose(joined.predict(IMAGES, verbose=0), expected, atol=1e-3)


def test_narrow_vgg_has_vggs_pattern():
    narrow = transfer.narrow_vgg(64, width=1 / 8)
    widths = [n.filters for n in narrow.layers if isinstance(n, keras.layers.Conv2D)]
    full, _ = transfer.vgg16(64)
    assert [8 * w for w in widths] == [
        n.filters for n in full.layers if isinstance(n, keras.layers.Conv2D)
    ]
    assert narrow.output.shape == (None, 184)


def test_restart_forgets_everything():
    model = training.compiled(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
    x, y = np.ones((8, 3)), np.ones((8, 1))
    runs = []
    for seed in (1, 2, 1):
        transfer.restart(model, seed)
        runs.append(model.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"])
    assert runs[0] == runs[2] != runs[1]
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)


def test_trained_once_then_loaded(tmp_path, monkeypatch, capsys):
    import pandas as pd
    from PIL import Image

    rows = []
    for n in range(12):
        Image.fromarray(IMAGES[n % 10].astype("uint8")).save(tmp_path / f"{n}.png")
        rows.append((str(tmp_path / f"{n}.png"), "ab"[n % 2]))
    table = pd.DataFrame(rows, columns=["path", "label"])
    monkeypatch.setattr(training, "folder", lambda name: tmp_path / name)
    for name in ("smallnet", "compactnet", "vgg16"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(training, "SIZES", {name: (32,) * 3 for name in training.SIZES})
    monkeypatch.setattr(training, "EPOCHS", {name: (1, 1) for name in training.EPOCHS})
    for name in ("smallnet", "compactnet", "vgg16"):
        first = recipes.trained(name, table, ("a", "b"), True)
        told = capsys.readouterr().out
        again = recipes.trained(name, table, ("a", "b"), True)
        loaded = capsys.readouterr().out
        first_line, second = told.splitlines()[-2:]
        assert first_line.startswith(
            f"{name}: not trained on this computer yet, so that comes first"
        )
        assert "1 epochs of 12 images" in first_line and second.startswith(f"{name}: trained here")
        assert loaded.endswith(f"{name}: trained before, loaded\n")
        assert rerun.sanitized(told) == rerun.sanitized(loaded) == "NETWORK\n"
        x = IMAGES[:2, ..., : first.input_shape[-1]]
        expected = first.predict(x, verbose=0)
        np.testing.assert_allclose(again.predict(x, verbose=0), expected, atol=1e-6)
    assert recipes.kept("vgg16", table, ("a", "b"), True) != recipes.kept(
        "vgg16", table[:8], ("a", "b"), True
    )
    assert not list(tmp_path.rglob("*.part.keras"))


def test_compactnet_by_recipe(tmp_path):
    import pandas as pd
    from PIL import Image

    rows = []
    for n in range(40):
        Image.fromarray(IMAGES[n % 10].astype("uint8")).save(tmp_path / f"{n}.png")
        rows.append((str(tmp_path / f"{n}.png"), "ab"[n % 4 == 0]))
    table, runs, seen = pd.DataFrame(rows, columns=["path", "label"]), {}, []

    def watched(pixels, seed):
        seen.append(len(pixels))
        return pipelines.disturb(pixels, seed)

    for average in (None, 0.9):
        keras.utils.set_random_seed(1)
        options = {"augmentation": watched, "average": average}
        model, log = recipes.compactnet(table, table, ("a", "b"), 32, 2, **options)
        runs[average] = model.get_weights()
        assert len(log["loss"]) == len(log["val_loss"]) == 2
        assert model.optimizer.use_ema == bool(average)
    assert sum(seen) == 4 * len(table)
    change = [np.abs(a - b).max() for a, b in zip(*runs.values(), strict=True)]
    assert max(change) > 1e-4  # the average is what the network ends with
