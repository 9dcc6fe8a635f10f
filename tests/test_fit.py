"""Training goes on after a disconnect: from the last whole epoch, with the optimizer's state."""

import json
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from random_cases import MANY
from training_run import PATHS, X, Y, model, stream

from helpers import checkpoints, training
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
    with pytest.raises(ValueError, match="is broken, or holds no run: it is left as it is; name"):
        training.fit(model(), stream(), None, epochs=2, file=file)
    keras.saving.save_model(model(), file)  # a network, but no run
    with pytest.raises(ValueError, match="holds no run"):
        training.fit(model(), stream(), None, epochs=2, file=file)


def test_one_more_layer_or_another_optimizer_is_another_network(tmp_path):
    """Keras itself would pass over what the file has too much."""
    file = tmp_path / "run.keras"
    training.fit(model(), stream(), None, epochs=1, file=file)
    shorter = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "relu")])
    for other, optimizer in ((shorter, "adam"), (model(), "sgd")):
        other.compile(optimizer, "mse")
        with pytest.raises(ValueError, match="does not hold a run of this network"):
            training.fit(other, stream(), None, epochs=2, file=file)


def focal(truth, found):
    return keras.ops.mean((1 - found) ** 2 * (truth - found) ** 2)


class Numbers(keras.utils.PyDataset):
    """Shuffled by itself after every epoch, as many are."""

    def __init__(self):
        super().__init__()
        self.rng, self.order = np.random.default_rng(0), np.arange(len(X))

    def __len__(self):
        return 4

    def __getitem__(self, place):
        part = self.order[16 * place : 16 * place + 16]
        return X[part], Y[part]

    def on_epoch_end(self):
        self.rng.shuffle(self.order)


class Own(keras.Model):
    """A network that is known only once it has been called."""

    def __init__(self):
        super().__init__()
        self.all = [keras.layers.Dense(3, "relu"), keras.layers.Dense(1, "sigmoid")]

    def call(self, values):
        return self.all[1](self.all[0](values))


def dense():
    return keras.Sequential([keras.layers.Dense(3, "relu"), keras.layers.Dense(1, "sigmoid")])


def nested():
    return keras.Sequential([keras.Input((5,)), dense()])


def keras_functions():
    return {"loss": keras.losses.binary_crossentropy, "metrics": [keras.metrics.binary_accuracy]}


def own_functions():
    return {"loss": focal, "metrics": [focal, keras.metrics.F1Score(threshold=0.5)]}


def a_lambda():
    return {"loss": lambda truth, found: keras.ops.mean((truth - found) ** 2)}


@pytest.mark.parametrize(
    ("data", "make", "how"),
    [
        (stream, nested, keras_functions),
        (Numbers, nested, a_lambda),
        (Numbers, dense, own_functions),
        (stream, dense, a_lambda),
        (stream, Own, own_functions),
        (Numbers, Own, keras_functions),
    ],
)
def test_a_run_goes_on_whatever_it_is_made_of(tmp_path, data, make, how):
    logs = []
    for file, goes in ((None, [4]), (str(tmp_path / "run.keras"), [1, 4])):
        for epochs in goes:
            keras.utils.set_random_seed(3)
            network = make()
            network.compile("adam", **how())
            log = training.fit(network, data(), stream(), epochs, file)
        logs.append(log)
    assert logs[0] == logs[1]
    if make is not Own:  # a class of one's own is not loaded for others
        again = checkpoints.load(file).predict(X, verbose=0)
        np.testing.assert_allclose(again, network.predict(X, verbose=0), atol=1e-6)


@pytest.mark.parametrize("name", ["run.h5", "run", "run.weights.h5"])
def test_what_could_not_go_on_is_said_before_the_first_epoch(tmp_path, name, capsys):
    class Parted(keras.layers.Layer):
        def __init__(self, parts):
            super().__init__()

        def call(self, values):
            return values

    lines = [training.lines()]
    with pytest.raises(ValueError, match=f"{name} cannot hold a run: let its name end in .keras"):
        training.fit(model(), stream(), None, 1, tmp_path / name, callbacks=lines)
    with pytest.raises(OSError, match="No such file or directory.: mend its folder"):
        training.fit(model(), stream(), None, 1, tmp_path / "gone" / "run.keras", callbacks=lines)
    unsaved = keras.Sequential([keras.Input((5,)), Parted(object()), keras.layers.Dense(1)])
    unsaved.compile("adam", "mse")
    with pytest.raises(ValueError, match="cannot be saved by Keras"):
        training.fit(unsaved, stream(), None, 1, tmp_path / "run.keras", callbacks=lines)
    assert capsys.readouterr().out == "" and [*tmp_path.iterdir()] == []


def test_an_early_stop_stays_one(tmp_path, capsys):
    """The cell run again gives the same network, the best epoch's, and trains nothing."""
    away, ends = tf.data.Dataset.from_tensor_slices((X, 1 - Y)).batch(16), []
    for _ in range(3):
        stop = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
        network = model()
        log = training.fit(network, stream(), away, 30, tmp_path / "run.keras", callbacks=stop)
        ends.append((log, network.evaluate(away, verbose=0)))
    assert ends[0] == ends[1] == ends[2] and len(log["loss"]) == 3
    assert ends[0][1][0] == pytest.approx(min(log["val_loss"]))
    assert "3 epochs were done before, a callback ended the run there" in capsys.readouterr().out


def test_settings_of_callbacks_are_those_of_now(tmp_path):
    """What a callback has learned is kept, what it was told is not: patience may be raised."""
    away = tf.data.Dataset.from_tensor_slices((X, 1 - Y)).batch(16)
    for epochs, patience in ((2, 2), (30, 5)):
        stop = keras.callbacks.EarlyStopping("val_loss", patience=patience, min_delta=10)
        words = model(), stream(), away, epochs, tmp_path / "run.keras"
        log = training.fit(*words, callbacks=[stop])
    assert len(log["loss"]) == 6


def killed_runs(folder, first, last):
    program = Path(__file__).with_name("killed_runs.py")
    run = [sys.executable, str(program), str(folder), str(first), str(last)]
    done = subprocess.run(run, env=PATHS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each for each in found if each["wrong"]] == []
    return sum(each["kills"] for each in found)


def test_killed_with_callbacks(tmp_path):
    """To the last digit, and for what the callbacks keep and write too."""
    assert killed_runs(tmp_path, 0, 2) >= 2


@pytest.mark.slow
def test_killed_with_random_callbacks_at_random_moments(tmp_path):
    runs = MANY // 50
    assert killed_runs(tmp_path, 2, 2 + runs) >= runs


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
