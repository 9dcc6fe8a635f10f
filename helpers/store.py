"""Decoded images, each decoded once: in memory or, when there are too many, in one file on disk."""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from helpers import check, images, runtime

MEMORY = 2e9  # bytes of decoded images kept in memory; more go to a file
PART = 256  # images decoded at a time on their way to the file


def opened(rows, size, channels, keep=True):
    """Decode every image of a table, and return a function that hands them out.

    Parameters
    ----------
    rows : DataFrame
        With columns path and label.
    size, channels : int
        As for `pipelines.batches`.
    keep : bool
        Keep what was decoded. Without, files are only checked here, and decoded when asked for.

    Returns
    -------
    callable
        Takes places in the table, a sequence of int, and returns uint8 [n, size, size, channels].

    Raises
    ------
    ValueError
        When files cannot be read.
    OSError
        When the file for many images cannot be written, as on a full disk.
    """
    paths, shape = rows["path"].to_list(), (size, size, channels)
    if not keep:
        _refuse(check.faults(paths), paths)
        return lambda places: np.stack([images.pixels(paths[n], size, channels) for n in places])
    if len(paths) * np.prod(shape, dtype=int) < MEMORY:
        kept = np.empty((len(paths), *shape), np.uint8)
        _fill(kept, paths)
        return lambda places: kept[places]
    return _OnDisk(_file(rows, shape), shape)


def fingerprint(rows):
    """Return 16 letters that change with the files, their times, their order or their labels."""
    digest = hashlib.sha256()
    for path, label in zip(rows["path"], rows["label"], strict=True):
        digest.update(f"{path}|{Path(path).stat().st_mtime_ns}|{label}\n".encode())
    return digest.hexdigest()[:16]


class _OnDisk:
    """Images in one file, one after the other; memory holds no more than what was asked for."""

    def __init__(self, path, shape):
        self.file, self.shape, self.one = open(path, "rb"), shape, threading.Lock()

    def __call__(self, places):
        found = np.empty((len(places), *self.shape), np.uint8)
        for image, place in zip(found, places, strict=True):
            with self.one:
                self.file.seek(int(place) * image.size)
                self.file.readinto(image.data)
        return found

    def __del__(self):
        self.file.close()


def _file(rows, shape):
    """Return the file of a table's decoded images, written whole or not at all."""
    paths = rows["path"].to_list()
    try:
        name = f"{fingerprint(rows)}-{shape[0]}-{shape[2]}.pixels"
    except OSError:  # a file that is not there has no time
        _refuse(check.faults(paths), paths)
        raise
    path = runtime.data_root() / "cache" / name
    if path.is_file():
        return path
    print(f"Decoding {len(rows):,} images into {path.name}, once ...")
    for left in path.parent.glob(f"{path.stem}.*.part"):  # by processes that were killed
        if not runtime.alive(int(left.suffixes[0][1:])):
            left.unlink(missing_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")  # others may be at the same
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            for start in range(0, len(paths), PART):
                some = paths[start : start + PART]
                decoded = np.empty((len(some), *shape), np.uint8)
                _fill(decoded, some, paths)
                file.write(decoded.data)
        os.replace(part, path)
    except OSError as error:
        raise OSError(
            f"The decoded images cannot be written to {path.parent} ({error.strerror or error}); "
            "free some room, or set COURSE_DATA to a folder of yours."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _fill(room, paths, all_paths=None):
    """Decode files into uint8 [n, size, size, channels]; ValueError names all that cannot be."""
    size, grey = room.shape[2], room.shape[3] == 1

    def decode(place):
        try:
            image = images.small(Path(paths[place]).read_bytes(), size, grey)
        except Exception as error:  # damaged data makes decoders raise anything
            return check.reason(error)
        room[place] = np.atleast_3d(np.asarray(image))  # grey goes into all three colours
        return None

    with ThreadPoolExecutor(check.THREADS) as pool:
        reasons = list(pool.map(decode, range(len(paths))))
    bad = {path: why for path, why in zip(paths, reasons, strict=True) if why}
    if bad:
        _refuse(check.faults(all_paths or paths) or bad, all_paths or paths)


def _refuse(bad, paths):
    if bad:
        first, why = next(iter(bad.items()))
        raise ValueError(
            f"{len(bad):,} of {len(paths):,} images cannot be read, {Path(first).name} first "
            f"({why}); leave them out with check.readable(rows)."
        )
