"""Checkpoints of a run: whole or not at all, and found again after a kill or a full disk."""

import contextlib
import errno
import json
import os
import re
import shutil
import zipfile

from helpers import models, runtime

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def save(model, file, history=None):
    """Save a network whole or not at all: beside its place, then renamed.

    Parameters
    ----------
    model : keras.Model
        With `history` its optimizer is saved too, to go on from; without, only what predicts.
    file : pathlib.Path
        Ending in .keras.
    history : dict of str to list, optional
        Kept inside the same file, so that network and history never differ.

    Raises
    ------
    OSError
        When the file cannot be written, as on a full disk. What was there before is kept.
    """
    if history is None:  # a copy that was never compiled: Keras saves an optimizer with the rest
        weights, model = model.get_weights(), type(model).from_config(model.get_config())
        model.set_weights(weights)
    try:
        with beside(file) as part:
            model.save(part)
            if history is not None:
                with zipfile.ZipFile(part, "a") as packed:
                    packed.writestr("history.json", json.dumps(history))
                    packed.writestr("seeds.json", json.dumps([s.tolist() for s in _seeds(model)]))
    except (OSError, ValueError, RuntimeError) as error:  # Keras and HDF5 raise all three
        if (why := reason(error)) is None:
            raise
        done = epochs(file)
        kept = f"; the state after epoch {done} is kept" if done else ""
        what = f"{file.name} cannot be written ({why}): mend its folder"
        if why == "no room":
            what = f"There is no room for {file.name}: free some on its disk"
        raise OSError(f"{what} and run this again{kept}.") from error


def restore(model, file, name=None):
    """Bring a network, its optimizer and its seeds to where a run stopped.

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
    dict of str to list
        The history of the epochs done.

    Raises
    ------
    ValueError
        When the file is broken or holds another network.
    """
    try:
        before = models.load(file)
        with zipfile.ZipFile(file) as packed:
            log = json.loads(packed.read("history.json"))
            seeds = json.loads(packed.read("seeds.json"))
        model.set_weights(before.get_weights())
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
        states = zip(model.optimizer.variables, before.optimizer.variables, strict=True)
        for new, old in [*states, *zip(_seeds(model, True), seeds, strict=True)]:
            new.assign(old)
    except (ValueError, KeyError, OSError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{name or file.name} does not hold a run of this network: delete it, or name another "
            "file."
        ) from error
    return log


def history(file):
    """Return the history that a file holds, empty where there is no whole one."""
    try:
        with zipfile.ZipFile(file) as packed:
            return json.loads(packed.read("history.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return {}


def epochs(file):
    """Return how many epochs a file holds, 0 where there is no whole one."""
    return len(history(file).get("loss", []))


@contextlib.contextmanager
def beside(file):
    """Give a place to write on the same disk, and rename what was written there to `file`."""
    folder = file.with_name(f"{file.stem}-{os.getpid()}.part")
    folder.mkdir(exist_ok=True)  # a folder, for Keras may put temporary files beside its own
    try:
        yield folder / file.name
        with open(folder / file.name, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(folder / file.name, file)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(file):
    """Remove what processes that are gone left half written beside a file."""
    for path in file.parent.glob("*.part"):
        of = re.fullmatch(rf"{re.escape(file.stem)}-(\d+)\.part", path.name)
        if of and not runtime.alive(int(of[1])):
            shutil.rmtree(path, ignore_errors=True)


def reason(error):
    """Return "no room", or what else the system said, from an error and those that led to it."""
    why = None
    while error is not None:
        said = re.search(r"errno = (\d+)", str(error))  # HDF5 hides the number in its message
        number = getattr(error, "errno", None) or (said and int(said[1]))
        if number:
            why = "no room" if number in FULL else os.strerror(number)
        error = error.__cause__ or error.__context__
    return why


def _seeds(model, variables=False):
    """Return the state of what draws at random in a network, which Keras does not save."""
    known = {id(weight) for weight in model.weights}
    states = [state for state in model.variables if id(state) not in known]
    return states if variables else [state.numpy() for state in states]
