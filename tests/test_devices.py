"""Several devices train as one does: two of the processor's, where there are no GPUs.

A process of its own divides the processor, for TensorFlow does so only before anything else.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from training_run import PATHS

EPOCHS = 3
# Read with the lesson's own words: compile inside the scope, train with training.fit outside.
PROGRAM = """
import json, shutil, sys
from pathlib import Path
from training_run import CLASSES, images, network
from helpers import pipelines, training
from helpers.backend import keras, tf

processor = tf.config.list_physical_devices("CPU")[0]
half = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(processor, [half, half])
here, found = Path(sys.argv[1]), {}
# one for all networks: a second one's sums meet the first one's, of other shapes, and fail
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def streams(count):
    rows = images(here, count)
    return [
        pipelines.batches(rows, CLASSES, 32, training=t, batch_size=8) for t in (True, False)
    ]


def run(devices, count, epochs=3, file=None, name="smallnet"):
    keras.utils.set_random_seed(1)  # TensorFlow's shuffle heeds it as well as its own
    train, check = streams(count)
    if devices == 1:
        model = network(name)
        train = train.filter(lambda images, labels: True)  # as for several: then one epoch is
        iter(train)  # one shuffle, but for one to build with
    else:
        with strategy.scope():
            model = network(name)
        assert model.distribute_strategy.num_replicas_in_sync == 2
    weights = {0: 1.0, 1: 2.0}
    return training.fit(model, train, check, epochs, file, class_weight=weights)


found["one"], found["two"] = run(1, 48), run(2, 48)
file = here / "run.keras"
run(2, 48, 2, file)
shutil.copy(file, here / "other.keras")
found["resumed"] = run(2, 48, 3, file)
found["resumed on one"] = run(1, 48, 3, here / "other.keras")
found["batch norm, last batch of one"] = run(2, 49, 2, None, "compactnet")
with tf.distribute.MultiWorkerMirroredStrategy().scope():
    model = network("smallnet")
try:
    training.fit(model, *streams(8), 1)
except ValueError as error:
    found["workers"] = str(error)
(here / "found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    here = tmp_path_factory.mktemp("devices")
    (here / "program.py").write_text(PROGRAM)
    words = [sys.executable, here / "program.py", here]
    done = subprocess.run(words, capture_output=True, text=True, env=PATHS)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((here / "found.json").read_text())


def same(one, two, digits):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(one[name], two[name], atol=digits, err_msg=name)


@pytest.mark.slow
def test_two_devices_train_as_one_does(found):
    same(found["one"], found["two"], 1e-4)
    assert found["two"]["loss"][-1] < found["two"]["loss"][0]


@pytest.mark.slow
def test_a_run_goes_on_with_several_devices(found):
    same(found["two"], found["resumed"], 1e-4)
    assert len(found["resumed on one"]["loss"]) == EPOCHS
    same(found["two"], found["resumed on one"], 0.1)  # which shuffles otherwise from there on


@pytest.mark.slow
def test_no_device_is_left_without_images(found):
    log = found["batch norm, last batch of one"]
    assert all(np.isfinite(values).all() for values in log.values())
    assert len(log["loss"]) == len(log["val_loss"]) == 2


@pytest.mark.slow
def test_several_workers_are_refused_in_a_sentence(found):
    assert found["workers"] == (
        "Keras 3 cannot train under MultiWorkerMirroredStrategy: take MirroredStrategy, for the "
        "GPUs of one machine."
    )
