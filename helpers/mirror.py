"""A copy of a run in a folder that may be slow, hang or vanish, such as Google Drive."""

import contextlib
import os
import queue
import shutil
import threading
import time
import zipfile
from pathlib import Path

from helpers import checkpoints

WAIT = 60  # seconds that a mirror gets to answer at the start, and to catch up at the end
_COPYING = {}  # one thread for each copy, so that one that hangs never overtakes a later one


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
    dict of str to list
        The copy's history, or an empty one where it was not used.

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
    if there <= done:
        if there == 0 and copy.exists():
            print(f"{copy} holds no whole run and is not used.")
        return {}
    try:
        with checkpoints.beside(file) as part:
            shutil.copyfile(copy, part)
            with zipfile.ZipFile(part) as packed:
                if packed.testzip():
                    raise zipfile.BadZipFile
            log = checkpoints.restore(model, part, copy)
    except zipfile.BadZipFile:
        print(f"{copy} holds no whole run and is not used.")
        return {}
    except OSError as error:
        raise OSError(
            f"{copy} cannot be fetched ({checkpoints.reason(error)}): mend this and run it again, "
            "or train without a mirror."
        ) from error
    print(f"{file.name}: fetched from {mirror}")
    return log


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
    copy, failed, told = Path(mirror) / file.name, queue.SimpleQueue(), []

    def tell():
        if not told and not failed.empty():
            told.append(failed.get())
            print(
                f"{file.name} cannot be copied to {mirror} ({told[0]}): training goes on, and "
                "tries again after each epoch."
            )

    def start():
        tell()
        if file.exists() and _idle(copy):  # else the copy under way is caught up with later
            _COPYING[copy] = threading.Thread(target=_put, args=(file, copy, failed), daemon=True)
            _COPYING[copy].start()

    start()
    yield start
    until = time.monotonic() + WAIT
    if _idle(copy, until):
        start()  # for what came while another copy was made
    late = not _idle(copy, until)
    tell()
    if late:
        print(f"{mirror} is slow or does not answer: {file.name} there lacks the last epochs.")


def _put(file, copy, failed):
    try:
        if checkpoints.history(copy) != checkpoints.history(file):
            with checkpoints.beside(copy) as part:
                shutil.copyfile(file, part)
    except OSError as error:
        failed.put(checkpoints.reason(error) or str(error))


def _idle(copy, until=0):
    """Wait until then, no longer, and return whether nothing is being copied any more."""
    if copy not in _COPYING:
        return True
    _COPYING[copy].join(max(0, until - time.monotonic()))
    return not _COPYING[copy].is_alive()


def _ask(copy):
    """Return how many epochs a copy holds; a folder that is missing or hangs is an error."""
    answer = queue.SimpleQueue()

    def look():
        there = os.path.isdir(copy.parent)
        if there:
            checkpoints.sweep(copy)
        answer.put(checkpoints.epochs(copy) if there else None)

    threading.Thread(target=look, daemon=True).start()
    with contextlib.suppress(queue.Empty):
        if (epochs := answer.get(timeout=WAIT)) is not None:
            return epochs
    raise OSError(
        f"{copy.parent} is no folder that can be read: mount or make it, or train without a mirror."
    )
