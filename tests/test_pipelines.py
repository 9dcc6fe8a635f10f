"""Batches: right pixels, right labels, the same in every run."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import images, pipelines, store

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
    monkeypatch.setattr(store, "MEMORY", 100)
    monkeypatch.setattr(store, "PART", 7)
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
    monkeypatch.setattr(store, "MEMORY", 100)
    monkeypatch.setattr(store, "PART", 7)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "replace", full)
    with pytest.raises(OSError, match="cannot be written to .*free some room"):
        pipelines.batches(table, ("a", "b", "c"), 16)
    assert list((tmp_path / "data" / "cache").iterdir()) == []


@pytest.mark.parametrize("memory", [2e9, 100])
def test_bad_files_are_named_wherever_images_go(table, tmp_path, monkeypatch, memory):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(store, "MEMORY", memory)
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
from helpers import pipelines, store
store.MEMORY, store.PART, before, seen = 100, 7, store._fill, []
def fill(*args):
    before(*args)
    seen.append(1)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
store._fill = fill
pipelines.batches(pd.read_csv(sys.argv[1]), ("a", "b", "c"), 16)
"""


def test_a_kill_leaves_nothing_that_is_taken_for_whole(table, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    table.to_csv(tmp_path / "rows.csv", index=False)
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "rows.csv"], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "data" / "cache").iterdir()
    assert left.suffix == ".part"
    monkeypatch.setattr(store, "MEMORY", 100)
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
