"""Images decoded, or shrunk, and features computed once: in memory, or in files."""

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from helpers import files, images, runtime

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
        _refuse(images.faults(paths), paths)
        return lambda places: np.stack([images.read(paths[n], size, channels) for n in places])
    bytes_each = int(np.prod(shape))
    if len(paths) * bytes_each < MEMORY:
        kept = _decoded(paths, shape)
        return lambda places: kept[places]
    file = _decoded_file(rows, shape)

    # not np.memmap: whatever has been read of one counts as this process's memory
    def from_file(places):
        found = np.empty((len(places), *shape), np.uint8)
        with open(file, "rb", buffering=0) as stored:
            for image, place in zip(found, places, strict=True):
                stored.seek(int(place) * bytes_each)
                stored.readinto(image.data)
        return found

    return from_file


def fingerprint(rows):
    """Return 16 letters that change with the files, their times, their order or their labels."""
    digest = hashlib.sha256()
    for path, label in zip(rows["path"], rows["label"], strict=True):
        digest.update(f"{files.mark(path)}|{label}\n".encode())
    return digest.hexdigest()[:16]


def shrink(rows, size):
    """Keep a small copy of every image file, and return the table with the copies' paths.

    A copy is made once, whatever table its file is in, and again only when the file changes. When
    this is stopped or killed, the next call makes what is missing.

    The pixels are those of `images.read(path, size, 3)`. A grey file gives a grey copy, all others
    RGB.

    Parameters
    ----------
    rows : DataFrame
        With a column path. Files that cannot be read are left out, and a list says so.
    size : int
        Height and width of the copies, in pixels, whatever the shape of the images.

    Returns
    -------
    DataFrame
        A copy of `rows`, its index and order kept; path is now that of a PNG file in data/cache,
        and original the path that came in.

    Raises
    ------
    ValueError
        When the table is empty or none of its files can be read.
    OSError
        When the copies cannot be written, as on a full disk.
    """
    if len(rows) == 0:
        raise ValueError("The table has no rows, so nothing can be shrunk; choose some images.")
    folder = runtime.data_root() / "cache" / f"shrunk-{size}"
    paths = list(dict.fromkeys(rows["path"]))
    copies = {path: folder / f"{files.mark(path)}.png" for path in paths}
    try:
        bad = _shrink_missing(copies, folder, size)
    except OSError as error:  # of writing: a file that cannot be read raises nothing
        raise _unwritable("small copies", folder, error) from error
    if len(bad) == len(paths):
        name, why = Path(paths[0]).name, bad[paths[0]]
        raise ValueError(
            f"None of the {len(paths):,} images can be read, {name} first ({why}); check the "
            "table's paths."
        )
    images.list_faults(bad, len(paths))
    rows = rows[~rows["path"].isin(list(bad))]
    return rows.assign(original=rows["path"], path=rows["path"].map(copies).map(str))


def features(base, batches):
    """Run a frozen base over images once and keep what it gives.

    Parameters
    ----------
    base : keras.Model
        From images to features [B, ...].
    batches : tf.data.Dataset
        Of (images, labels).

    Returns
    -------
    tuple of ndarray
        Features float16 [N, ...], in memory or, above `MEMORY` bytes, in a file that
        vanishes with them; and labels [N, ...].

    Raises
    ------
    ValueError
        When a feature is too large for float16.
    """
    shape, labels = base.output.shape[1:], []
    file = tempfile.TemporaryFile(dir=_folder())  # noqa: SIM115 - lives as long as the features
    for pixels, part in batches:
        values = base.predict_on_batch(pixels).astype(np.float16)
        if not np.isfinite(values).all():
            raise ValueError(f"{base.name} gives features beyond float16: scale its output.")
        file.write(values.tobytes())
        labels.append(np.asarray(part))
    labels = np.concatenate(labels)
    kept = np.memmap(file, np.float16, "r+", shape=(len(labels), *shape))
    return (np.array(kept) if kept.nbytes < MEMORY else kept), labels


def _folder():
    folder = runtime.data_root() / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _unwritable(what, folder, error):
    return OSError(
        f"The {what} cannot be written to {folder} ({error.strerror or error}); free some room, "
        "or set COURSE_DATA to a folder of yours."
    )


def _decoded_file(rows, shape):
    """Return the file of a table's decoded images, one after the other; make it where missing."""
    paths, folder = rows["path"].to_list(), runtime.data_root() / "cache"
    file = folder / f"{fingerprint(rows)}-{shape[0]}-{shape[2]}.pixels"
    if file.is_file():
        return file
    files.sweep(file)
    print(f"Decoding {len(rows):,} images into {file.name}, once ...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with files.whole(file) as part, open(part, "wb") as out:
            for start in range(0, len(paths), PART):
                out.write(_decoded(paths[start : start + PART], shape, paths).data)
    except OSError as error:
        raise _unwritable("decoded images", folder, error) from error
    return file


def _decoded(paths, shape, all_paths=None):
    """Decode files into uint8 [n, size, size, channels]; ValueError names all that cannot be."""
    pixels, grey = np.empty((len(paths), *shape), np.uint8), shape[2] == 1

    def decode(place):
        try:
            image = images.small(Path(paths[place]).read_bytes(), shape[0], grey)
        except Exception as error:  # damaged data makes decoders raise anything
            return images.reason(error)
        pixels[place] = np.atleast_3d(np.asarray(image))  # grey goes into all three colours
        return None

    with ThreadPoolExecutor(images.THREADS) as pool:
        reasons = list(pool.map(decode, range(len(paths))))
    bad = {path: why for path, why in zip(paths, reasons, strict=True) if why}
    if bad:
        _refuse(images.faults(all_paths or paths) or bad, all_paths or paths)
    return pixels


def _refuse(bad, paths):
    if bad:
        first, why = next(iter(bad.items()))
        raise ValueError(
            f"{len(bad):,} of {len(paths):,} images cannot be read, {Path(first).name} first "
            f"({why}); leave them out with images.readable(rows)."
        )


def _shrink_missing(copies, folder, size):
    """Write the copies that are not there; return path to reason of files that cannot be read."""
    folder.mkdir(parents=True, exist_ok=True)
    there = set(folder.iterdir())
    missing = [path for path, copy in copies.items() if copy not in there]
    bad, begun = {}, False

    def make(path):
        try:
            image = images.small(Path(path).read_bytes(), size)
        except Exception as error:  # damaged data makes decoders raise anything
            return images.reason(error)
        image.info.clear()  # a profile or a transparent colour belongs to the pixels that were
        with files.whole(copies[path]) as part:
            image.save(part)
        return None

    with ThreadPoolExecutor(images.THREADS) as pool:
        for start in range(0, len(missing), 100):  # a task waits in memory, so never for all files
            part = missing[start : start + 100]
            bad |= {path: why for path, why in zip(part, pool.map(make, part), strict=True) if why}
            if not begun and len(bad) < start + len(part):  # some file could be read
                many = f"{len(missing):,} image{'s' * (len(missing) > 1)}"
                print(f"Shrinking {many} to {size} x {size} pixels, once ...")
                begun = True
    return bad
