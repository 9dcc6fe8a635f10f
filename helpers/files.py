"""A file on disk: written whole or not at all, and told apart from what it was."""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path


@contextlib.contextmanager
def whole(file, sync=False):
    """Give a place to write, and rename what was written there to `file` when all went well.

    A process killed meanwhile, or an error, leaves what was at `file` before.

    Parameters
    ----------
    file : str or Path
        Its folder must be there: one that has vanished, such as a drive, is not made anew.
    sync : bool
        Wait until the disk has it, for what must outlive a loss of power.

    Yields
    ------
    pathlib.Path
        Of the same name and on the same disk, in a folder of this process.
    """
    file = Path(file)
    # a folder, for Keras may put temporary files beside its own; of this process and this call
    folder = Path(tempfile.mkdtemp(".part", f"{file.stem}-{os.getpid()}-", file.parent))
    try:
        yield folder / file.name
        if sync:
            with open(folder / file.name, "rb+") as written:
                os.fsync(written.fileno())
        os.replace(folder / file.name, file)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(file):
    """Remove what processes that are gone left half written beside a file."""
    for path in file.parent.glob("*.part"):
        of = re.fullmatch(rf"{re.escape(file.stem)}-(\d+)-\w+\.part", path.name)
        if of and not alive(int(of[1])):
            shutil.rmtree(path, ignore_errors=True)


def alive(process):
    """Tell whether the process of a number still runs; True where that cannot be asked."""
    if os.name == "nt":
        return True  # there os.kill(process, 0) does not ask but kill
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def mark(path):
    """Return 32 letters that stay the same as long as the file does: its path, time and size.

    "" where there is no file.
    """
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return ""
    text = os.fsencode(os.path.abspath(path)) + f"|{state.st_mtime_ns}|{state.st_size}".encode()
    return hashlib.sha256(text).hexdigest()[:32]
