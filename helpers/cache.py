"""Small copies of image files, made once, so that no epoch, split or session decodes them again."""

import hashlib
import io
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from helpers import check, images, runtime


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
    copies, bad = _copies(rows["path"], folder)
    try:
        bad |= _make_missing(copies, folder, size)
    except OSError as error:  # of writing: a file that cannot be read raises nothing
        raise OSError(
            f"The small copies cannot be written to {folder} ({error.strerror or error}); free "
            "some room, or set COURSE_DATA to a folder of yours."
        ) from error
    bad = {path: bad[path] for path in rows["path"] if path in bad}  # in the table's order
    total = rows["path"].nunique()
    if len(bad) == total:
        name, why = Path(next(iter(bad))).name, next(iter(bad.values()))
        raise ValueError(
            f"None of the {total:,} images can be read, {name} first ({why}); check the table's "
            "paths."
        )
    check.tell(bad, total)
    unread = rows["path"].isin(list(bad)).to_numpy()
    small = rows[~unread]
    return small.assign(original=small["path"], path=small["path"].map(copies))


def _copies(paths, folder):
    """Return the copy's path for every file, and for files that are not there the reason."""
    copies, bad = {}, {}
    for path in paths:
        try:
            state = os.stat(path)
        except OSError as error:
            bad[path] = check.reason(error)
            continue
        marks = f"|{state.st_mtime_ns}|{state.st_size}".encode()
        name = hashlib.sha256(os.fsencode(os.path.abspath(path)) + marks).hexdigest()[:32]
        copies[path] = str(folder / f"{name}.png")
    return copies, bad


def _make_missing(copies, folder, size):
    """Write the copies that are not there; return a reason for each file that cannot be read."""
    folder.mkdir(parents=True, exist_ok=True)
    there = set(os.listdir(folder))
    missing = [path for path, copy in copies.items() if Path(copy).name not in there]
    bad, told = {}, False

    def make(path):
        return _make(path, copies[path], size)

    with check.warnings_off(), ThreadPoolExecutor(check.THREADS) as pool:
        for start in range(0, len(missing), 100):  # a task waits in memory, so never for all files
            part = missing[start : start + 100]
            for path, reason in zip(part, pool.map(make, part), strict=True):
                if reason:
                    bad[path] = reason
                elif not told:  # not before, as files that cannot be read are tried in every call
                    many = f"{len(missing):,} image{'s' * (len(missing) > 1)}"
                    print(f"Shrinking {many} to {size} x {size} pixels, once ...")
                    told = True
    return bad


def _make(path, copy, size):
    """Write the small copy of one file and return None, or why the file cannot be read."""
    packed = io.BytesIO()
    try:
        image = images.small(Path(path).read_bytes(), size)
        image.info.clear()  # a profile or a transparent colour belongs to the pixels that were
        image.save(packed, "PNG")
    except Exception as error:  # damaged data makes decoders raise anything
        return check.reason(error)
    part = Path(f"{copy}.{secrets.token_hex(4)}.part")  # another process may make the same copy
    try:
        part.write_bytes(packed.getvalue())
        os.replace(part, copy)
    finally:
        part.unlink(missing_ok=True)
