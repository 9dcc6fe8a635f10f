"""Files of networks and of runs: saved, loaded, gone on from after a kill, copied elsewhere."""

import base64
import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np

import helpers.models  # noqa: F401  so that Keras knows the course's own layers when it loads
from helpers import cache, files, runtime
from helpers.backend import keras

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
WAIT = 60  # seconds that a mirror gets to answer at the start, and to catch up at the end
_COPYING = {}  # one thread for each copy, so that one that hangs never overtakes a later one


def folder(name, rows):
    """Return the folder, made if need be, of what a network learns from a table's images.

    Parameters
    ----------
    name : str
        Of the network.
    rows : DataFrame
        With columns path and label: other images have another folder, so that nothing that was
        learned from real ones is written over by what was learned from drawn ones.

    Returns
    -------
    pathlib.Path
        build/models/<name>/<fingerprint of the images>; `COURSE_BUILD` is another build/.
    """
    path = runtime.build_root() / "models" / name / cache.fingerprint(rows)
    path.mkdir(parents=True, exist_ok=True)
    return path


def save(model, file, history=None, memory=None):
    """Save a network whole or not at all: beside its place, then renamed.

    Parameters
    ----------
    model : keras.Model
        With `history` its optimizer is saved too, to go on from; without, only what predicts.
    file : str or Path
        Ending in .keras.
    history : dict of str to list, optional
        Kept inside the same file, so that network and history never differ.
    memory : dict, optional
        What else a run goes on from: JSON values, in which arrays may stand.

    Raises
    ------
    OSError
        When the file cannot be written, as on a full disk. What was there before is kept.
    """
    file = Path(file)
    if history is None:  # a copy that was never compiled: Keras saves an optimizer with the rest
        weights, model = model.get_weights(), type(model).from_config(model.get_config())
        model.set_weights(weights)
    try:
        with files.whole(file, sync=True) as part:
            model.save(part)
            if history is not None:
                _add_run(part, model, history, memory or {})
    except (OSError, ValueError, RuntimeError) as error:  # Keras and HDF5 raise all three
        if reason(error) is None:
            raise
        raise _unwritable(file, error) from error


def _add_run(file, model, history, memory):
    """Add what `restore` needs to a network's file, beside what Keras has written."""
    seeds = [seed.numpy().tolist() for seed in _seeds(model)]
    parts = {"history": history, "seeds": seeds, "shapes": _shapes(model), "memory": memory}
    with zipfile.ZipFile(file, "a") as packed:
        for name, part in parts.items():
            packed.writestr(f"{name}.json", json.dumps(part, default=_packed))


def _packed(array):
    """Return an array as JSON can hold it."""
    array = np.asarray(array)
    bits = base64.b64encode(array.tobytes()).decode()
    return {"array": bits, "dtype": array.dtype.str, "shape": array.shape}


def _unpacked(part):
    """Return the array that `_packed` made such a part of, a number where it was one."""
    if part.keys() != {"array", "dtype", "shape"}:
        return part
    flat = np.frombuffer(base64.b64decode(part["array"]), part["dtype"])
    return flat.reshape(part["shape"]).copy()[()]


def _unwritable(file, error):
    why, done = reason(error), epochs(file)
    what = f"{file.name} cannot be written ({why}): mend its folder"
    if why == "no room":
        what = f"There is no room for {file.name}: free some on its disk"
    kept = f"; the state after epoch {done} is kept" if done else ""
    return OSError(f"{what} and run this again{kept}.")


def checked(model, file):
    """Return a run's file as a Path; refuse, before the first epoch, what could not be kept.

    Raises
    ------
    ValueError
        When the name does not end in .keras, or the network or what it is compiled with cannot be
        saved by Keras.
    OSError
        When the folder is missing or cannot be written to.
    """
    file = Path(file)
    if file.suffix != ".keras":
        raise ValueError(f"{file.name or file} cannot hold a run: let its name end in .keras.")
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            json.dumps(keras.saving.serialize_keras_object(model))
    except OSError as error:
        raise _unwritable(file, error) from error
    except Exception as error:  # of a layer's own get_config, any
        raise ValueError(
            f"{model.name} cannot be saved by Keras ({str(error).strip().splitlines()[0]}): mend "
            "that, or train without a file."
        ) from error
    return file


def load(file):
    """Load a network from a `.keras` file in safe mode, whoever made it.

    Parameters
    ----------
    file : str or Path
        As `save` or Keras writes it. No code in it is run: a Lambda layer, which is
        program code, is refused, and so is HDF5, for which Keras has no safe mode.

    Returns
    -------
    keras.Model
        With its optimizer where that was saved.

    Raises
    ------
    ValueError
        When it is not loaded: one sentence with the file's name and what to do.
    """
    file = Path(file)
    if not file.is_file():
        raise ValueError(f"There is no file {file.name or file}: check the path.")
    config, fault = _checked_config(file)
    if fault:
        raise ValueError(f"{file.name} {fault}")
    try:
        if not _unknown(config.get("compile_config") or {}):
            with contextlib.suppress(Exception):  # a loss of one's own: it predicts without
                return keras.saving.load_model(file, safe_mode=True)
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises anything on what it cannot build
        raise ValueError(
            f"{file.name} cannot be loaded by Keras {keras.version()}: save it again with this "
            "version."
        ) from error


def _checked_config(file):
    """Return what a file says of its network, and why it is not loaded: a few words, or None."""
    with open(file, "rb") as opened:
        if opened.read(8) == b"\x89HDF\r\n\x1a\n":
            cannot = "is HDF5, which Keras cannot load in safe mode, so it is not loaded"
            return None, f"{cannot}: ask its maker to save the model as .keras."
    config = _part(file, "config.json", whole=True)
    if not isinstance(config, dict):
        return None, "is no whole .keras file: copy or save it again."
    network = {key: part for key, part in config.items() if key != "compile_config"}
    if what := _unknown(network):
        ask = "ask its maker to save it with layers of Keras only."
        return config, f"holds {what}, so it is not loaded: {ask}"
    return config, None


def _unknown(config):
    """Name the first thing in a configuration that is program code or unknown to Keras; or None."""
    parts = [config]
    for part in parts:  # grows as it is gone through
        inside = part.values() if isinstance(part, dict) else part
        parts += [each for each in inside if isinstance(each, (dict, list))]
        if not isinstance(part, dict) or "class_name" not in part:
            continue
        if part["class_name"] in ("Lambda", "__lambda__"):
            return "a Lambda layer, that is program code"
        name = part.get("registered_name")
        registered = name and keras.saving.get_registered_object(name)
        if not registered and not str(part.get("module", "keras")).startswith("keras"):
            return f"{part['class_name']}, which Keras does not know"
    return None


def restore(model, file, name=None):
    """Bring a network, its optimizer and its seeds to where a run stopped.

    Nothing of the file is built: its numbers go into the network as it is here, so that losses,
    metrics and layers may be one's own.

    Parameters
    ----------
    model : keras.Model
        Compiled, and made as the run's was.
    file : pathlib.Path
        As `save` wrote it with a history.
    name : str, optional
        What an error calls the file.

    Returns
    -------
    tuple of dict
        The history of the epochs done, and what was saved as `memory`.

    Raises
    ------
    ValueError
        When the file is broken, holds another network, or the network cannot be built.
    """
    config, log, seeds = (_part(file, f"{part}.json") for part in ("config", "history", "seeds"))
    if not log or config is None or seeds is None:
        raise _no_run(name or file.name, "is broken, or holds no run")
    if not model.built:
        _build(model, config.get("build_config") or {})
    try:
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
            if _part(file, "shapes.json") not in (None, _shapes(model)):
                raise ValueError
            model.load_weights(file)
        for new, old in zip(_seeds(model), seeds, strict=True):
            new.assign(old)
        return log, _part(file, "memory.json") or {}  # of before there was any, none
    except Exception as error:  # a broken part raises anything
        raise _no_run(name or file.name, "does not hold a run of this network") from error


def _no_run(name, what):
    return ValueError(f"{name} {what}: it is left as it is; name another file for this run.")


def _build(model, config):
    """Give a network without Input its weights, by a call on one blank input of the run's shape."""
    try:
        model(np.zeros((1, *config["input_shape"][1:]), np.float32))
    except Exception as error:  # several inputs, sizes that are left open
        raise ValueError(
            f"{model.name} has no weights yet, so the run cannot go on: call it on a batch first, "
            "or begin it with keras.Input."
        ) from error


def history(file):
    """Return the history that a file holds, empty where there is no whole one."""
    return _part(file, "history.json") or {}


def epochs(file):
    """Return how many epochs a file holds, 0 where there is no whole one."""
    return length(history(file))


def length(history):
    """Return how many epochs a history has; a metric may have been measured in some only."""
    return max(map(len, history.values()), default=0)


def _part(file, name, whole=False):
    """Return a part of a `.keras` file, from JSON; None where it, or with `whole` any, is broken.

    Reading one part is quick, however large the network and however slow the disk.
    """
    try:
        with zipfile.ZipFile(file) as packed:
            if whole and packed.testzip():
                return None
            return json.loads(packed.read(name), object_hook=_unpacked)
    except Exception:  # damage raises anything
        return None


def _seeds(model):
    """Return the states of what draws at random in a network, which Keras does not save."""
    weights = {id(weight) for weight in model.weights}
    return [state for state in model.variables if id(state) not in weights]


def _shapes(model):
    """Return the shape of every weight of a network, then of every number of its optimizer."""
    return [list(weight.shape) for weight in [*model.weights, *model.optimizer.variables]]


def reason(error):
    """Return "no room", or the system's words, for an error and those that led to it; or None."""
    why = None
    while error is not None:
        hidden = re.search(r"errno = (\d+)", str(error))  # HDF5 has the number in its message only
        number = getattr(error, "errno", None) or (hidden and int(hidden[1]))
        if number:
            why = "no room" if number in NO_ROOM else os.strerror(number)
        error = error.__cause__ or error.__context__
    return why


def fetch(model, file, mirror, done=0):
    """Go on from a mirror's copy where it is whole and has more epochs than are done here.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    file : pathlib.Path
        Where the run is kept here; the copy bears the same name.
    mirror : pathlib.Path
        The folder with the copy.
    done : int
        Epochs done here.

    Returns
    -------
    tuple of dict or None
        As `restore`, or None where the copy was not used.

    Raises
    ------
    ValueError
        When the copy holds another network.
    OSError
        When the mirror is missing or does not answer, or the copy cannot be fetched.
    """
    copy = Path(mirror) / file.name
    if os.path.realpath(copy) == os.path.realpath(file):
        raise ValueError(f"The mirror is the folder of {file.name} itself: name another one.")
    there = _ask(copy)
    try:
        if there > done:
            with contextlib.suppress(zipfile.BadZipFile), files.whole(file) as part:
                shutil.copyfile(copy, part)
                if _part(part, "history.json", whole=True) is None:
                    raise zipfile.BadZipFile  # so that it is not put in the file's place
                run = restore(model, part, copy)
                print(f"{file.name}: fetched from {mirror}")
                return run
    except OSError as error:
        raise OSError(
            f"{copy} cannot be fetched ({reason(error)}): mend this and run it again, "
            "or train without a mirror."
        ) from error
    if there > done or (there == 0 and copy.exists()):
        print(f"{copy} holds no whole run and is not used.")
    return None


def _ask(copy):
    """Return how many epochs a copy holds; a folder that is missing or hangs is an error."""
    answers = []

    def look():
        if copy.parent.is_dir():
            files.sweep(copy)
            answers.append(epochs(copy))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(WAIT)
    if not answers:
        raise OSError(
            f"{copy.parent} is no folder that can be read: mount or make it, or train without a "
            "mirror."
        )
    return answers[0]


@contextlib.contextmanager
def copies(file, mirror):
    """Copy a run's file while training goes on.

    A copy is made in the background, beside its place and then renamed. The first failure prints
    one line; every later epoch tries again.

    Parameters
    ----------
    file : pathlib.Path
        What is copied.
    mirror : pathlib.Path
        The folder where the copy goes.

    Yields
    ------
    function
        To call after each save. It never waits. Only the end of training waits, `WAIT` seconds at
        most, for the last epoch to be there, and says so if it is not.
    """
    copy, failures, reported = Path(mirror) / file.name, [], False

    def put():
        try:
            if history(copy) != history(file):
                with files.whole(copy) as part:
                    shutil.copyfile(file, part)
        except OSError as error:
            failures.append(reason(error) or str(error))

    def report():
        nonlocal reported
        if failures and not reported:
            reported = True
            print(
                f"{file.name} cannot be copied to {mirror} ({failures[0]}): training goes on, and "
                "tries again after each epoch."
            )

    def start():
        report()
        if file.exists() and not _copying(copy):  # else a later copy catches up
            _COPYING[copy] = threading.Thread(target=put, daemon=True)
            _COPYING[copy].start()

    yield start
    end = time.monotonic() + WAIT
    if not _copying(copy, WAIT):
        start()  # for what came while another copy was made, or before this run
    late = _copying(copy, max(0, end - time.monotonic()))
    report()
    if late:
        print(f"{mirror} is slow or does not answer: {file.name} there lacks the last epochs.")


def _copying(copy, seconds=0):
    """Return whether a copy is still being made after so many seconds."""
    thread = _COPYING.get(copy)
    if thread is None:
        return False
    thread.join(seconds)
    return thread.is_alive()
