"""One image file of any kind, to the pixels that a batch holds; and which files can be read."""

import contextlib
import errno
import functools
import io
import os
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from helpers import dicom, files, runtime

FORMATS = ("JPEG", "PNG")
END = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}  # a whole file holds it
BEGIN = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
# parts of a PNG that do not change its pixels: text, colour profile, resolution, time
BESIDE = b"tEXt zTXt iTXt iCCP gAMA cHRM sRGB sBIT bKGD hIST pHYs sPLT tIME".split()
SHOWN = 20  # files that a list names; the rest is counted
MANY = 2000  # files from which on the check says that it begins, as it takes a while
THREADS = min(os.cpu_count() or 1, 8)  # Pillow decodes in several at once; each holds one image
ONE = threading.Lock()  # warnings are silenced for the whole process, so by one thread at a time


def read(path, size, channels=1):
    """Read a JPEG, PNG or DICOM file and resize it, whatever its shape, to a square.

    A JPEG or PNG is turned the way its EXIF tag says; transparent pixels are put over black; of 16
    bits per value, a file without a value above 4095 counts as 12-bit data. All else is as Pillow
    decodes it, which `keras.utils.load_img` uses too, and is resized with antialiasing. DICOM is
    shown as `dicom.read` says.

    Parameters
    ----------
    path : str or Path
        The file; what it holds decides, and its ending only when that is DICOM without its mark.
    size : int
        Height and width of the result, in pixels.
    channels : int
        1 for grey, 3 for RGB.

    Returns
    -------
    ndarray
        uint8 [size, size, channels] in 0..255.

    Raises
    ------
    ValueError
        When there is no such file, no image in it, or one cut off, damaged or absurdly large:
        one sentence with the file's name and what to do.
    """
    grey = channels == 1
    if dicom.is_dicom(path):
        image = _resized(picture(path, grey=grey), size)
    else:
        image = _explained(path, lambda data: small(data, size, grey))
    values = np.atleast_3d(np.asarray(image))
    return values if values.shape[-1] == channels else np.repeat(values, channels, axis=-1)


def picture(path, least=None, grey=False):
    """Read a JPEG, PNG or DICOM file as `read` does, but keep its shape.

    Parameters
    ----------
    path : str or Path
        The file.
    least : int, optional
        Pixels a side that are enough: a JPEG may be decoded at 1/2, 1/4 or 1/8, but not below.
    grey : bool
        Make colours grey.

    Returns
    -------
    PIL.Image.Image
        Upright, of mode L or RGB.

    Raises
    ------
    ValueError
        As `read`.
    """

    def upright(data):
        image, _, turn = _decoded(data, least, grey)
        return _turned(image, turn)

    if dicom.is_dicom(path):
        image = Image.fromarray(dicom.read(path))
        return image.convert("L") if grey else image
    return _explained(path, upright)


def small(data, size, grey=False):
    """Turn a JPEG or PNG file's bytes into a Pillow image of size x size pixels.

    Parameters
    ----------
    data : bytes
        What the file holds.
    size : int
        Height and width, in pixels.
    grey : bool
        Make colours grey.

    Returns
    -------
    PIL.Image.Image
        Upright, of mode L for a grey file or where grey was asked for, RGB for all others.

    Raises
    ------
    Exception
        Of any kind, as damaged data makes decoders raise anything; `reason` has words for it.
    """
    image, box, turn = _decoded(data, 2 * size, grey)
    return _turned(_resized(image, size, box), turn)


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
    list_faults(bad, rows["path"].nunique())
    return rows[~rows["path"].isin(list(bad))]


def list_faults(bad, total):
    """Print which of `total` files are left out and why; nothing when there are none."""
    if bad:
        print(f"{len(bad):,} of {total:,} files are left out, as no image can be read from them:")
        for path, why in list(bad.items())[:SHOWN]:
            print(f"  {Path(path).name}: {why}")
    if len(bad) > SHOWN:
        print(f"  and {len(bad) - SHOWN:,} more, see images.faults(paths)")


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
    known_file = runtime.data_root() / "cache" / "readable-2.txt"  # 2: what it checks has grown
    marks = {path: files.mark(path) for path in paths}
    todo = [path for path, mark in marks.items() if mark not in _known_good(known_file)]
    bad = {}
    if len(todo) >= MANY:
        print(f"Checking {len(todo):,} images, once ...")
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(todo), 500):  # so that little is lost when this is stopped
            part = todo[start : start + 500]
            found = zip(part, pool.map(_fault, part), strict=True)
            bad |= {path: why for path, why in found if why}
            _keep_good(
                known_file, [marks[path] for path in part if marks[path] and path not in bad]
            )
    return bad


def reason(error):
    """Say in a few words what an exception from opening or loading an image means."""
    if isinstance(error, UnidentifiedImageError):
        return "no JPEG or PNG in it"
    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, MemoryError):
        return "too large for the memory at hand"
    return getattr(error, "strerror", None) or "cut off or damaged"


def _explained(path, decode):
    """Decode a file's bytes; what goes wrong becomes one sentence."""
    data, name = dicom.contents(path), Path(path).name
    try:
        return decode(data)
    except UnidentifiedImageError:
        raise ValueError(f"{name} is no JPEG, PNG or DICOM file; check what it is.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise ValueError(f"{name} has more than {limit} pixels; shrink it first.") from None
    except Exception as error:  # damaged data makes decoders raise anything
        raise ValueError(
            f"{name} is cut off, damaged or of a rare kind; copy it again, or save it as PNG."
        ) from error


def _forgiving(decode):
    """Let a PNG that Pillow refuses be decoded once more, without what is no part of its pixels.

    A long text or profile, or a wrong checksum in one, keeps no viewer from showing the picture.
    """

    @functools.wraps(decode)
    def again(data, *options):
        try:
            return decode(data, *options)
        except Exception:  # damaged data makes decoders raise anything
            bare = _without_side_chunks(data)
            if len(bare) == len(data):
                raise
        return decode(bare, *options)

    return again


def _without_side_chunks(data):
    """Return a PNG's bytes less the chunks of `BESIDE`; unchanged where it has no end."""
    kept, place = [data[:8]], 8
    while data.startswith(BEGIN[0]) and place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        kept += [] if kind in BESIDE else [data[place:end]]
        if kind == b"IEND":
            return b"".join(kept)
        place = end
    return data


@_forgiving
def _decoded(data, least, grey):
    """Return an image of 8 bits as it is stored, the box that it fills, and its orientation."""
    with ONE, warnings.catch_warnings(action="ignore"):
        image = _opened(data)
        turn = _orientation(image)
    with image:
        _check_rows(image, data)
        # a JPEG is decoded at 1/2, 1/4 or 1/8 where that is still large enough; its last row and
        # column may then stand for less than a pixel, so `box` says where the image ends
        wanted, box = "L" if grey and image.mode == "RGB" else image.mode, None
        if least and (drafted := image.draft(wanted, (least, least))):
            box = drafted[1]
        image.load()  # now, as the file is closed below
        _check_end(image, data)
        shown = _eight_bits(_all_16_bits(image, data))
    return shown.convert("L") if grey and shown.mode == "RGB" else shown, box, turn


def _opened(data):
    """Open a JPEG or PNG file's bytes as a Pillow image; damage raises any kind of exception."""
    if not data:
        raise OSError(errno.ENODATA, "empty")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        if data.startswith(BEGIN):
            raise OSError(errno.EILSEQ, "damaged, or of a rare kind") from None
        raise
    if image.width * image.height > Image.MAX_IMAGE_PIXELS:  # Pillow refuses twice as many
        raise Image.DecompressionBombError
    if END.get(image.format, END["JPEG"]) not in data:  # Pillow would fill up with grey
        raise ValueError("cut off")
    if image.format == "PNG":
        image.verify()  # the checksum of every chunk, to the last; the image is closed then
        return Image.open(io.BytesIO(data), formats=FORMATS)
    return image


def _check_rows(image, data):
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


def _check_end(image, data):
    """Raise OSError where a JPEG has ended before its last block, in spite of an end mark.

    Decoders make the blocks that are missing plain grey, 128. More data behind the last block
    change nothing in a whole file, be its corner grey or not.
    """
    corner = image.getpixel((image.width - 1, image.height - 1))
    if image.format == "PNG" or np.abs(np.subtract(corner, 128)).max() > 1:  # CMYK has 127
        return
    end = data.rfind(END["JPEG"])
    more = data[:end] + np.random.default_rng(0).bytes(4096).replace(b"\xff", b"") + data[end:]
    small = [Image.open(io.BytesIO(each), formats=FORMATS) for each in (data, more)]
    for each in small:
        each.draft("L", (1, 1))
    if small[0].tobytes() != small[1].tobytes():
        raise OSError(errno.EILSEQ, "cut off, plain grey below")


def _eight_bits(image):
    """Return a Pillow image as L or RGB, transparent pixels over black."""
    if image.mode.startswith("I"):  # grey of 16 bits, which convert would cut at 255
        pixels = np.asarray(image)
        top = 4095 if pixels.max() < 4096 else 65535
        pixels = np.where(pixels == image.info.get("transparency"), 0, pixels)
        return Image.fromarray(np.round(pixels * np.float32(255 / top)).astype(np.uint8))
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return image if image.mode == mode else image.convert(mode)  # convert always copies


def _all_16_bits(image, data):
    """Return colours or grey with alpha with all that 16 bits hold; Pillow drops the lower half."""
    if image.format != "PNG" or data[24] != 16 or data[25] not in (2, 4, 6):  # kind of colours
        return image
    import cv2  # takes a moment to load, and such files are rare

    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    opaque = bgr[..., 3:] / 65535 if bgr.shape[-1] == 4 else 1.0
    top = 4095 if bgr[..., :3].max() < 4096 else 65535
    rgb = np.round(bgr[..., 2::-1] * (opaque * 255 / top)).astype(np.uint8)
    return Image.fromarray(rgb[..., 0] if data[25] == 4 else rgb)


def _resized(image, size, box=None):
    if image.size == (size, size) and box in (None, (0, 0, size, size)):
        return image
    # averages whole pixels down to three times the size, then weighs neighbours
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=3)


def _orientation(image):
    with contextlib.suppress(Exception):  # an EXIF block may be damaged and the image not
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    return 1


def _turned(image, orientation):
    if orientation == 1:
        return image
    image.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(image)


def _fault(path):
    try:
        _load(Path(path).read_bytes())
    except Exception as error:  # damaged data makes decoders raise anything
        return reason(error)
    return None


@_forgiving
def _load(data):
    with _opened(data) as image:
        _check_rows(image, data)
        image.draft("L", (1, 1))  # a JPEG at an eighth of its size: all of it is read, fast
        image.load()
        _check_end(image, data)


@functools.cache
def _known_good(known_file):
    """Return the marks of files that could be read; a line that a kill cut off is none."""
    with contextlib.suppress(OSError, UnicodeError):
        return {line for line in known_file.read_text("ascii").splitlines() if len(line) == 32}
    return set()


def _keep_good(known_file, marks):
    if marks:
        _known_good(known_file).update(marks)
        with contextlib.suppress(OSError):  # a full disk costs the next session some seconds
            known_file.parent.mkdir(parents=True, exist_ok=True)
            with open(known_file, "a", encoding="ascii") as file:
                file.write("\n" + "\n".join(marks) + "\n")
