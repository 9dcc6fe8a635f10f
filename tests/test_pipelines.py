"""Batches: right pixels, right labels, the same in every run."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import cache, datasets, files, images, pipelines

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def table(tmp_path):
    rows = []
    for n in range(40):
        path = tmp_path / f"{n}.png"  # grey value = 5 n, so that an image says which it is
        Image.fromarray(np.full((20, 30), 5 * n, np.uint8)).save(path)
        rows.append((str(path), ("a", "b", "c")[n % 3]))
    return pd.DataFrame(rows, columns=["path", "label"])


def drained(stream):
    batches = list(stream.as_numpy_iterator())
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))


def test_in_order_and_unchanged(table):
    images, labels = drained(pipelines.batches(table, ("a", "b", "c"), 16))
    assert images.shape == (40, 16, 16, 1) and images.dtype == np.float32
    assert (images == 5 * np.arange(40)[:, None, None, None]).all()
    assert (labels == np.arange(40) % 3).all() and labels.dtype == np.int32


def test_training_keeps_labels_with_their_images(table):
    stream = pipelines.batches(table, ("a", "b", "c"), 16, training=True, batch_size=7)
    images, labels = drained(stream)
    numbers = images[:, 8, 8, 0] / 5
    assert sorted(numbers) == list(range(40))
    assert (labels == numbers % 3).all()
    assert (numbers != np.arange(40)).any()
    assert (drained(stream)[0] != images).any()  # the next epoch is another


def test_same_seed_same_batches(table):
    one, two, other = (
        drained(pipelines.batches(table, ("a", "b", "c"), 16, training=True, seed=s))[0]
        for s in (1, 1, 2)
    )
    assert (one == two).all() and (one != other).any()


def test_two_classes_are_a_column_of_0_and_1(table):
    two = table[table["label"] != "c"]
    images, labels = drained(pipelines.batches(two, ("a", "b"), 16, channels=3))
    assert images.shape[1:] == (16, 16, 3)
    assert labels.shape == (27, 1) and set(labels.ravel()) == {0, 1}
    assert labels[1] == 1


def test_unknown_labels_and_empty_tables(table):
    with pytest.raises(ValueError, match="the label 'c' is not among them"):
        pipelines.batches(table, ("a", "b"), 16)
    with pytest.raises(ValueError, match="the table is empty"):
        pipelines.batches(table[:0], ("a", "b"), 16)


def test_augment_moves_by_what_it_says():
    image = np.zeros((1, 101, 101, 1), np.uint8)
    image[:, 48:53, 48:53] = 255
    many = np.repeat(image, 300, axis=0)
    shifted = pipelines.augment(many, (1, 2), rotation=0, shift=0.1)[..., 0] / 255.0
    places = np.array([np.argwhere(s > 0.5).mean(0) for s in shifted]) - 50
    assert 8 < np.abs(places).max() <= 10.6
    assert np.abs(places.mean(0)).max() < 1  # to either side alike
    still = pipelines.augment(many, (1, 2), rotation=0, shift=0)
    assert (still == many).all()


def test_augment_rotates_by_what_it_says():
    image = np.zeros((1, 101, 101, 1), np.uint8)
    image[:, 50, :] = 255  # a level line through the centre
    turned = pipelines.augment(np.repeat(image, 300, 0), (3, 4), rotation=5, shift=0)[..., 0]
    tilt = [np.polyfit(*np.argwhere(t > 100).T[::-1], 1)[0] for t in turned]
    angles = np.degrees(np.arctan(tilt))
    assert 4.5 < angles.max() < 5.5 and -5.5 < angles.min() < -4.5
    assert abs(turned[:, 50, 50].mean() - 255) < 5  # about the centre


def test_large_tables_are_decoded_to_a_file(table, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    in_memory = drained(pipelines.batches(table, ("a", "b", "c"), 16))[0]
    monkeypatch.setattr(cache, "MEMORY", 100)
    monkeypatch.setattr(cache, "PART", 7)
    stream = pipelines.batches(table, ("a", "b", "c"), 16)
    first = drained(stream)[0]
    assert (first == in_memory).all()
    (file,) = (tmp_path / "data" / "cache").iterdir()
    assert file.suffix == ".pixels" and file.stat().st_size == 40 * 16 * 16
    assert capsys.readouterr().out == f"Decoding 40 images into {file.name}, once ...\n"
    again = drained(pipelines.batches(table, ("a", "b", "c"), 16))[0]
    assert (first == again).all()
    assert capsys.readouterr().out == ""  # it is decoded once
    turned = table[::-1]  # another order is another cache
    assert (drained(pipelines.batches(turned, ("a", "b", "c"), 16))[0] == first[::-1]).all()


def test_decode_shrinks_by_averaging(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    small = images.read(tmp_path / "stripes.png", 16, 1)
    assert small.dtype == np.uint8 and abs(small[2:-2, 2:-2].astype(int) - 100).max() <= 2
    assert (images.read(tmp_path / "stripes.png", 16, 3) == small).all()


def test_a_file_for_many_images_is_whole_or_not_there(table, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(cache, "MEMORY", 100)
    monkeypatch.setattr(cache, "PART", 7)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="cannot be written to .*free some room"):
        pipelines.batches(table, ("a", "b", "c"), 16)
    assert list((tmp_path / "data" / "cache").iterdir()) == []


@pytest.mark.parametrize("memory", [2e9, 100])
def test_bad_files_are_named_wherever_images_go(table, tmp_path, monkeypatch, memory):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(cache, "MEMORY", memory)
    (tmp_path / "5.png").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"^1 of 40 images cannot be read, 5\.png first \(no JPEG"):
        pipelines.batches(table, ("a", "b", "c"), 16)
    (tmp_path / "3.png").unlink()
    with pytest.raises(ValueError, match=r"^2 of 40 images cannot be read, 3\.png first \(No such"):
        pipelines.batches(table, ("a", "b", "c"), 16)
    assert not list((tmp_path / "data").rglob("*.p*s"))  # no file of pixels, whole or in part


KILLED = """
import os, signal, sys
import pandas as pd
from helpers import cache, pipelines
cache.MEMORY, cache.PART, before, seen = 100, 7, cache._decoded, []
def decode(*args):
    seen.append(1)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(*args)
cache._decoded = decode
pipelines.batches(pd.read_csv(sys.argv[1]), ("a", "b", "c"), 16)
"""


def test_a_kill_leaves_nothing_that_is_taken_for_whole(table, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    table.to_csv(tmp_path / "rows.csv", index=False)
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "rows.csv"], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "data" / "cache").iterdir()
    assert left.suffix == ".part"
    monkeypatch.setattr(cache, "MEMORY", 100)
    images, _ = drained(pipelines.batches(table, ("a", "b", "c"), 16))
    assert (images == 5 * np.arange(40)[:, None, None, None]).all()
    (file,) = (tmp_path / "data" / "cache").iterdir()
    assert file.suffix == ".pixels"


def test_no_order_is_left_in_a_shuffled_table(table):
    """Rows are shuffled all over the table, however large it is."""
    many = pd.concat([table] * 100, ignore_index=True)
    stream = pipelines.batches(many, ("a", "b", "c"), 4, training=True)
    numbers = drained(stream)[0][:, 2, 2, 0] / 5
    assert abs(np.corrcoef(numbers, np.arange(4000) % 40)[0, 1]) < 0.06


@pytest.mark.parametrize("shape", [(6, 40, 40, 1), (6, 40, 48, 3)])
def test_disturbing_depends_on_the_seed_alone(shape):
    batch = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = batch.copy()
    one, same, other = (pipelines.disturb(batch, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert one.shape == shape and one.dtype == np.uint8 and np.array_equal(batch, before)
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert pipelines.disturb(batch, (-1, 2)).shape == shape  # tf.data draws negative seeds too


NOTHING = {"tone": 0, "field": 0, "blur": 0, "sharpen": 0, "noise": 0}
MOVES = {"rotation": 10, "shift": 0.08, "zoom": 0.15, "stretch": 0.08}


def fine_detail(images):
    return (np.diff(images.astype(float), axis=1) ** 2).mean(axis=(1, 2, 3))


def test_each_disturbance_does_what_it_says():
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (8, 8, 8, 1)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    moved = pipelines.augment(batch, (1, 5), **MOVES)

    def only(**amount):
        return pipelines.disturb(batch, (1, 5), **NOTHING | amount).astype(float)

    assert np.abs(only() - moved).mean() < 2  # half the images are blurred by a fifth of a pixel
    for before, after in zip(moved, only(tone=0.8), strict=True):
        order = np.argsort(before, axis=None)
        # grey levels keep their order, but for a fifth of a pixel's blur
        assert np.quantile(np.diff(after.ravel()[order]), 0.01) >= -5
        assert np.abs(after - before).mean() > 1
    light = only(field=0.5) / np.maximum(moved, 1.0)
    assert np.ptp(light[moved > 60]) > 0.3
    fine = [fine_detail(x) for x in (moved, only(blur=3))]
    assert (fine[1] < 0.8 * fine[0]).sum() >= 2 and (fine[1] < 1.05 * fine[0]).all()
    assert (fine_detail(only(sharpen=1.0)) > 1.1 * fine[0]).any()
    noisy = np.abs(only(noise=20) - only()).mean(axis=(1, 2, 3))
    assert (noisy > 1).any() and (noisy < 1e-9).any()


def test_zooming_keeps_the_middle():
    square = np.zeros((40, 41, 41, 1), np.uint8)
    square[:, 16:25, 16:25] = 255
    zoomed = pipelines.augment(square, (3, 4), rotation=0, shift=0, zoom=0.3).astype(float) / 255
    areas = zoomed.sum(axis=(1, 2, 3))
    assert areas.min() > 81 * np.exp(-0.61) and areas.max() < 81 * np.exp(0.61)
    assert areas.min() < 60 and areas.max() > 105
    places = np.arange(41) - 20
    assert np.abs((zoomed[..., 0] * places).sum(axis=(1, 2)) / areas).max() < 0.2
    wide = pipelines.augment(square, (3, 4), rotation=0, shift=0, stretch=0.3).astype(float) / 255
    assert np.abs(wide.sum(axis=(1, 2, 3)) - 81).max() < 12
    assert np.ptp((wide.max(axis=1) > 0.5).sum(axis=(1, 2))) >= 3


def test_batches_take_another_augmentation():
    rows = datasets.table("chest_xray").head(8)
    classes = datasets.REGISTRY["chest_xray"].classes

    def black(pixels, seed):
        return np.zeros_like(pixels)

    for training in (True, False):  # never where nothing is to be changed
        options = {"training": training, "augmentation": black}
        images, _ = next(iter(pipelines.batches(rows, classes, 32, **options)))
        assert (images.numpy().max() == 0) == training


@pytest.mark.parametrize(
    "change, options, said",
    [({}, {"classes": (0, 1)}, "classes are 0, 1, but the label '0' is not among them"),
     ({"label": ["0", np.nan]}, {}, "the label nan is not among them"),
     ({"label": ["0", 2]}, {}, "the label 2 is not among them"),
     ({}, {"size": (8, 8)}, "size is one number"), ({}, {"size": "8"}, "size is one number")],
)  # fmt: skip
def test_slips_are_said(change, options, said):
    rows = pd.DataFrame({"path": ["a.png"] * 2, "label": ["0", "1"]}).assign(**change)
    with pytest.raises(ValueError, match=re.escape(said)):
        pipelines.batches(rows, **({"classes": ("0", "1"), "size": 8} | options))
    with pytest.raises(ValueError, match="no column label: rename one of"):
        pipelines.batches(rows[["path"]], ("0", "1"), 8)
