"""A run's copy elsewhere: it is used in a fresh runtime, and never stops training."""

import errno
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
from training_run import model, stream

from helpers import checkpoints, training
from helpers.backend import keras

FOREVER = 120  # seconds until a test gives up on a copy that hangs


@pytest.fixture
def places(tmp_path):
    """Return a run's file here, and a folder for its copy."""
    (tmp_path / "here").mkdir()
    (tmp_path / "drive").mkdir()
    return tmp_path / "here" / "run.keras", tmp_path / "drive"


def fit(file, drive, epochs, at=None, units=4):
    """Train; `at` says what happens when an epoch begins."""
    events = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: (at or {}).get(epoch, bool)()
    )
    return training.fit(
        model(units), stream(), None, epochs, file, mirror=drive, callbacks=[events]
    )


def settled(drive):
    """Wait for the copy under way: what happens next then does not depend on how fast it was."""
    thread = checkpoints._COPYING.get(drive / "run.keras")
    if thread:
        thread.join(FOREVER)
        assert not thread.is_alive()


def epochs(file):
    keras.saving.load_model(file)
    return checkpoints.epochs(file)


def test_a_fresh_runtime_goes_on_from_the_copy(places, capsys):
    file, drive = places
    fit(file, drive, 2)
    assert (drive / "run.keras").read_bytes() == file.read_bytes()
    assert [path.name for path in drive.iterdir()] == ["run.keras"]
    shutil.rmtree(file.parent)
    file.parent.mkdir()
    log = fit(file, drive, 4)
    said = f"run.keras: fetched from {drive}\nrun.keras: 2 epochs were done before, going on with"
    assert capsys.readouterr().out.startswith(said)
    assert log == training.fit(model(), stream(), None, 4)
    assert epochs(file) == epochs(drive / "run.keras") == 4
    file.unlink()
    fit(file, drive, 4)  # nothing is left to train: the file is back all the same
    assert epochs(file) == 4


def test_the_further_one_is_used(places, capsys):
    file, drive = places
    fit(file, drive, 1)
    training.fit(model(), stream(), None, 3, file)  # for a while without a mirror
    assert len(fit(file, drive, 3)["loss"]) == 3
    assert "fetched" not in capsys.readouterr().out
    assert epochs(drive / "run.keras") == 3  # and the copy caught up
    file.unlink()
    training.fit(model(), stream(), None, 1, file)
    assert len(fit(file, drive, 3)["loss"]) == 3
    assert "fetched" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_broken_copy_is_said_and_not_used(places, capsys, how):
    file, drive = places
    fit(file, drive, 2)
    whole = file.read_bytes()
    middle = len(whole) // 2
    broken = {"cut": whole[:middle], "flipped": whole[:middle] + b"\xff" * 9 + whole[middle + 9 :]}
    (drive / "run.keras").write_bytes(broken[how])
    file.unlink()
    capsys.readouterr()
    assert len(fit(file, drive, 1)["loss"]) == 1
    said = f"{drive / 'run.keras'} holds no whole run and is not used.\n"
    assert capsys.readouterr().out == said
    assert epochs(drive / "run.keras") == 1


def test_another_networks_copy_is_refused(places):
    file, drive = places
    fit(file, drive, 3, units=7)
    training.fit(model(), stream(), None, 1, file := file.with_name("mine.keras"))
    whole = file.read_bytes()
    shutil.copy(drive / "run.keras", drive / "mine.keras")
    with pytest.raises(ValueError, match=re.escape(f"{drive / 'mine.keras'} does not hold a run")):
        fit(file, drive, 4)
    assert file.read_bytes() == whole
    assert [path.name for path in file.parent.glob("*.part")] == []


@pytest.mark.parametrize("missing", ["gone", "a file", "hangs"])
def test_at_the_start_a_missing_mirror_is_an_error(places, monkeypatch, missing):
    """Nothing is lost by then, and a mistyped folder would be found out too late."""
    file, drive = places
    monkeypatch.setattr(checkpoints, "WAIT", 1)
    training.fit(model(), stream(), None, 1, file)
    whole = file.read_bytes()
    if missing == "hangs":
        os.mkfifo(drive / "run.keras")  # whoever reads it waits for ever
    else:
        drive.rmdir()
        drive.write_text("") if missing == "a file" else None
    said = f"{drive} is no folder that can be read: mount or make it, or train without a mirror."
    with pytest.raises(OSError, match=re.escape(said)):
        fit(file, drive, 2)
    assert file.read_bytes() == whole
    if missing == "hangs":
        os.close(os.open(drive / "run.keras", os.O_RDWR | os.O_NONBLOCK))  # lets the reader go


def test_what_makes_no_sense_is_said(places):
    file, _ = places
    with pytest.raises(ValueError, match="name the file as well"):
        training.fit(model(), stream(), None, 1, mirror=file.parent)
    with pytest.raises(ValueError, match="is the folder of run.keras itself"):
        fit(file, file.parent, 1)


def lost(how, drive):
    """Return what makes a folder vanish in one of several ways."""

    def strike():
        settled(drive)
        shutil.rmtree(drive)
        if how == "a file in its place":
            drive.write_text("")
        elif how == "read-only":
            drive.symlink_to("/sys")  # where nobody can write, not even root

    return strike


@pytest.mark.parametrize(
    "how, why",
    [
        ("deleted", "No such file or directory"),
        ("a file in its place", "Not a directory"),
        ("read-only", "Operation not permitted|Permission denied|Read-only file system"),
    ],
)
def test_training_goes_on_without(places, capsys, how, why):
    if how == "read-only" and not Path("/sys").is_dir():
        pytest.skip("no /sys here")
    file, drive = places
    log = fit(file, drive, 6, at={2: lost(how, drive), 4: lambda: settled(drive)})
    assert log == training.fit(model(), stream(), None, 6)
    assert epochs(file) == 6
    said = (
        f"run.keras cannot be copied to {re.escape(str(drive))} \\(({why})\\): training goes on, "
    )
    assert re.fullmatch(said + "and tries again after each epoch.\n", capsys.readouterr().out)


def test_a_folder_that_comes_back_is_caught_up_with(places, capsys):
    file, drive = places

    def back():
        settled(drive)
        drive.mkdir()

    fit(file, drive, 5, at={1: lost("deleted", drive), 3: back})
    assert capsys.readouterr().out.count("cannot be copied") == 1
    assert epochs(drive / "run.keras") == 5


def test_a_folder_without_room(places, capsys, monkeypatch):
    file, drive = places
    real = shutil.copyfile

    def full(source, target):
        real(source, target)
        os.truncate(target, 500)
        raise OSError(errno.ENOSPC, "No space left on device")

    fit(file, drive, 1)
    monkeypatch.setattr(checkpoints.shutil, "copyfile", full)
    assert len(fit(file, drive, 4)["loss"]) == 4
    assert f"run.keras cannot be copied to {drive} (no room)" in capsys.readouterr().out
    assert epochs(drive / "run.keras") == 1  # the earlier copy, whole
    assert [path.name for path in drive.iterdir()] == ["run.keras"]


def test_a_slow_folder_does_not_stall_training(places, capsys, monkeypatch):
    """The copy goes on only when training is over: were it waited for, this could not end."""
    file, drive = places
    over, real, copied = threading.Event(), shutil.copyfile, []

    def slow(source, target):
        assert over.wait(FOREVER)
        copied.append(checkpoints.epochs(source))
        return real(source, target)

    monkeypatch.setattr(checkpoints, "WAIT", 0.5)
    monkeypatch.setattr(checkpoints.shutil, "copyfile", slow)
    log = fit(file, drive, 5)
    assert len(log["loss"]) == epochs(file) == 5 and copied == []
    said = f"{drive} is slow or does not answer: run.keras there lacks the last epochs.\n"
    assert capsys.readouterr().out == said
    over.set()
    settled(drive)
    monkeypatch.setattr(checkpoints, "WAIT", 60)
    fit(file, drive, 5)
    assert epochs(drive / "run.keras") == 5


def test_a_slow_folder_is_caught_up_with_at_the_end(places, capsys, monkeypatch):
    file, drive = places
    go, real, copied = threading.Event(), shutil.copyfile, []

    def slow(source, target):
        assert go.wait(FOREVER)
        copied.append(real(source, target))

    monkeypatch.setattr(checkpoints.shutil, "copyfile", slow)
    fit(file, drive, 5, at={4: go.set})
    assert epochs(drive / "run.keras") == 5 and len(copied) < 5
    assert capsys.readouterr().out == ""


def test_a_pipe_in_its_place_hangs_only_the_copy(places, capsys, monkeypatch):
    """A real folder that never answers: reading a named pipe waits until somebody writes."""
    file, drive = places
    copy = drive / "run.keras"

    def pipe():
        settled(drive)
        copy.unlink()
        os.mkfifo(copy)

    fit(file, drive, 1)
    monkeypatch.setattr(checkpoints, "WAIT", 0.5)
    log = fit(file, drive, 6, at={3: pipe})
    assert len(log["loss"]) == epochs(file) == 6
    assert f"{drive} is slow or does not answer" in capsys.readouterr().out
    assert checkpoints._COPYING[copy].is_alive()
    os.close(os.open(copy, os.O_WRONLY))
    settled(drive)
    assert epochs(copy) == 6
