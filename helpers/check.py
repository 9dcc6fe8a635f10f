"""Which image files can be read: looked at once, said file by file, left out."""

import contextlib
import errno
import functools
import hashlib
import io
import os
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from helpers import runtime

FORMATS = ("JPEG", "PNG")
END = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}  # a whole file holds it
SHOWN = 20  # files that a list names; the rest is counted
MANY = 2000  # files from which on the check says that it begins, as it takes a while
THREADS = min(os.cpu_count() or 1, 8)  # Pillow decodes in several at once; each holds one image


def readable(rows):
    """Return a table without the files that cannot be read, and print them, each with its reason.

    Parameters
    ----------
    rows : DataFrame
        With a column path.

    Returns
    -------
    DataFrame
        `rows` less these, its index and order kept.
    """
    bad = faults(rows["path"])
    tell(bad, rows["path"].nunique())
    return rows[~rows["path"].isin(list(bad))]


def tell(bad, total):
    """Print which of `total` files are left out and why; nothing when there are none."""
    if bad:
        print(f"{len(bad):,} of {total:,} files are left out, as no image can be read from them:")
    for path, why in list(bad.items())[:SHOWN]:
        print(f"  {Path(path).name}: {why}")
    if len(bad) > SHOWN:
        print(f"  and {len(bad) - SHOWN:,} more, see check.faults(paths)")


def faults(paths):
    """Find the files that cannot be read; every file is decoded once, until it changes.

    Parameters
    ----------
    paths : iterable of str
        The files.

    Returns
    -------
    dict
        Path to reason, in a few words, in the order of `paths`; empty if all can be read.
    """
    paths, store = list(dict.fromkeys(paths)), runtime.data_root() / "cache" / "readable.txt"
    good, bad = _good(store), {}
    keys = {path: _key(path) for path in paths}
    todo = [path for path in paths if keys[path] not in good]
    if len(todo) >= MANY:
        print(f"Checking {len(todo):,} images, once ...")
    with warnings_off(), ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(todo), 500):  # so that little is lost when this is stopped
            part = todo[start : start + 500]
            found = zip(part, pool.map(_fault, part), strict=True)
            bad |= {path: reason for path, reason in found if reason}
            _keep(store, [keys[path] for path in part if keys[path] and path not in bad])
    return bad


def fault(path):
    """Return why a JPEG or PNG file cannot be read, in a few words, or None."""
    with warnings_off():
        return _fault(path)


def opened(data):
    """Open a JPEG or PNG file's bytes as a Pillow image; see `complete` besides.

    Raises
    ------
    Exception
        Of any kind, as damaged data makes decoders raise anything; `reason` puts it in words.
    """
    if not data:
        raise OSError(errno.ENODATA, "empty")
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > Image.MAX_IMAGE_PIXELS:  # Pillow refuses twice as many
        raise Image.DecompressionBombError
    if END.get(image.format, END["JPEG"]) not in data:  # Pillow would fill up with grey
        raise ValueError("cut off")
    if image.format == "PNG":
        image.verify()  # the checksum of every chunk, to the last; the image is closed then
        return Image.open(io.BytesIO(data), formats=FORMATS)
    return image


def complete(image, data):
    """Raise ValueError where a PNG ends before its last row; Pillow would leave the rest black."""
    if image.format != "PNG" or data[28]:  # rows of an interlaced one are not in one piece
        return
    values = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[data[25]]  # of a pixel, by the kind of colours
    missing = image.height * (1 + (image.width * values * data[24] + 7) // 8)
    inflate, place = zlib.decompressobj(), 8
    while missing > 0 and place < len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        packed = data[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
        while packed and missing > 0:
            found = len(inflate.decompress(packed, 1 << 20))
            missing, packed = missing - found, inflate.unconsumed_tail if found else b""
        place += size + 12
    if missing > 0:
        raise ValueError("cut off")


def turn(image):
    """Return the EXIF orientation of a Pillow image, 1 where it has none or none to be read."""
    with contextlib.suppress(Exception):  # an EXIF block may be damaged and the image not
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    return 1


def eight_bits(image):
    """Return a Pillow image as L or RGB, transparent pixels over black."""
    if image.mode.startswith("I"):  # grey of 16 bits, which convert would cut at 255
        pixels = np.asarray(image)
        top = 4095 if pixels.max() < 4096 else 65535
        return Image.fromarray(np.round(pixels * np.float32(255 / top)).astype(np.uint8))
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return image if image.mode == mode else image.convert(mode)  # convert always copies


def reason(error):
    """Say in a few words what an exception from opening or loading an image means."""
    if isinstance(error, UnidentifiedImageError):
        return "no JPEG or PNG in it"
    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    return getattr(error, "strerror", None) or "cut off or damaged"


@contextlib.contextmanager
def warnings_off():
    """Silence Pillow's remarks on odd files."""
    with warnings.catch_warnings(action="ignore"):
        yield


def _fault(path):
    try:
        data = Path(path).read_bytes()
        with opened(data) as image:
            complete(image, data)
            image.draft("L", (1, 1))  # a JPEG at an eighth of its size: all of it is read, fast
            image.load()
    except Exception as error:  # damaged data makes decoders raise anything
        return reason(error)
    return None


def _key(path):
    """Return what stays the same as long as the file does; "" where there is no file."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return ""
    text = os.fsencode(os.path.abspath(path)) + f"|{state.st_mtime_ns}|{state.st_size}".encode()
    return hashlib.sha256(text).hexdigest()[:32]


@functools.cache
def _good(store):
    """Return the keys of the files that could be read; a line that a kill cut off is none."""
    with contextlib.suppress(OSError, UnicodeError):
        lines = store.read_text("ascii").splitlines()
        return {line for line in lines if len(line) == 32}
    return set()


def _keep(store, keys):
    if keys:
        _good(store).update(keys)
        with contextlib.suppress(OSError):  # a full disk costs the next session some seconds
            store.parent.mkdir(parents=True, exist_ok=True)
            with open(store, "a", encoding="ascii") as file:
                file.write("\n" + "\n".join(keys) + "\n")
