"""Training goes on after a disconnect: from the last whole epoch, with the optimizer's state."""

import json
import signal
import subprocess
import sys
import textwrap
import time
import zipfile

import numpy as np
import pytest
from training_run import PATHS, X, Y, model, stream

from helpers import training
from helpers.backend import keras, tf


def test_in_two_goes_is_as_in_one(tmp_path, capsys):
    whole = training.fit(model(), stream(), stream(), epochs=5)
    file = tmp_path / "run.keras"
    training.fit(model(), stream(), stream(), epochs=2, file=file)
    assert capsys.readouterr().out == ""
    second = model()
    resumed = training.fit(second, stream(), stream(), epochs=5, file=file)
    said = "run.keras: 2 epochs were done before, going on with epoch 3 of 5\n"
    assert capsys.readouterr().out == said
    assert resumed.keys() == whole.keys()
    for name in whole:
        assert resumed[name] == pytest.approx(whole[name], abs=1e-5), name  # Adam's state is back
    loaded = keras.saving.load_model(file)
    np.testing.assert_allclose(loaded.predict(X, verbose=0), second.predict(X, verbose=0))


@pytest.mark.parametrize("known", [True, False])
def test_going_on_shuffles_as_if_nothing_had_happened(tmp_path, known):
    """The order, and what dropout leaves out, are those of a run that was never stopped."""

    def shuffled():
        data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(64, seed=5).batch(16)
        return data if known else data.filter(lambda x, y: True)

    def dropping():
        keras.utils.set_random_seed(3)
        layers = [keras.layers.Dropout(0.5), keras.layers.Dense(1, "sigmoid")]
        return training.compiled(keras.Sequential([keras.Input((5,)), *layers]), 0.01)

    keras.utils.set_random_seed(3)  # TensorFlow's shuffle heeds it as well as its own
    whole = training.fit(dropping(), shuffled(), None, 4)
    file = tmp_path / "run.keras"
    for epochs in (1, 3, 4):
        log = training.fit(dropping(), shuffled(), None, epochs, file)
    assert log == whole


def test_all_done_trains_nothing(tmp_path, capsys):
    file = tmp_path / "run.keras"
    log = training.fit(model(), stream(), None, epochs=2, file=file)
    again = model(4)
    assert training.fit(again, stream(), None, epochs=2, file=file) == log
    assert "2 epochs were done before, all are done" in capsys.readouterr().out
    expected = keras.saving.load_model(file).predict(X, verbose=0)
    np.testing.assert_allclose(again.predict(X, verbose=0), expected)


def test_another_network_or_a_broken_file_is_said(tmp_path):
    file = tmp_path / "run.keras"
    training.fit(model(), stream(), None, epochs=1, file=file)
    whole = file.read_bytes()
    with pytest.raises(ValueError, match="run.keras does not hold a run of this network"):
        training.fit(model(units=7), stream(), None, epochs=2, file=file)
    assert file.read_bytes() == whole
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="delete it, or name another file"):
        training.fit(model(), stream(), None, epochs=2, file=file)
    keras.saving.save_model(model(), file)  # a network, but no run
    with pytest.raises(ValueError, match="does not hold a run"):
        training.fit(model(), stream(), None, epochs=2, file=file)


def test_killed_while_training(tmp_path):
    """A real process is killed; the next one goes on from a whole epoch."""
    file = tmp_path / "run.keras"
    program = f"""
        import time
        from pathlib import Path
        from training_run import keras, model, stream, training
        slow = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: time.sleep(0.05)
        )
        training.fit(model(), stream(), None, 100, Path({str(file)!r}), callbacks=[slow])
    """
    running = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], env=PATHS)
    deadline = time.monotonic() + 120
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.7)  # into some later epoch
    running.send_signal(signal.SIGKILL)
    running.wait()
    with zipfile.ZipFile(file) as packed:
        done = len(json.loads(packed.read("history.json"))["loss"])
    assert 1 <= done < 100
    log = training.fit(model(), stream(), None, epochs=done + 2, file=file)
    assert len(log["loss"]) == done + 2
