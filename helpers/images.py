"""One image file of any kind, to the very pixels that a batch holds of it."""

import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from helpers import check, dicom

ONE = threading.Lock()  # warnings are silenced for the whole process, so by one thread at a time


def read(path, size, channels):
    """Read a JPEG, PNG or DICOM file and resize it, whatever its shape, to a square.

    A JPEG or PNG gives the pixels of `pipelines.batches`; DICOM is shown as `dicom.read` says.

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
    if dicom.is_dicom(path):
        image = Image.fromarray(dicom.read(path))
        return _array(_resized(image.convert("L") if channels == 1 else image, size), channels)
    return pixels(path, size, channels)


def pixels(path, size, channels):
    """Read a JPEG or PNG file as `read` does; DICOM is refused.

    It is turned the way its EXIF tag says; transparent pixels are put over black; of 16 bits per
    value, a file without a value above 4095 counts as 12-bit data. All else is as Pillow decodes
    it, which `keras.utils.load_img` uses too, and is resized with antialiasing.

    Returns
    -------
    ndarray
        uint8 [size, size, channels].

    Raises
    ------
    ValueError
        As `read`.
    """
    data, name = dicom.contents(path), Path(path).name
    try:
        return _array(small(data, size, grey=channels == 1), channels)
    except UnidentifiedImageError:
        raise ValueError(f"{name} is no JPEG, PNG or DICOM file; check what it is.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise ValueError(f"{name} has more than {limit} pixels; shrink it first.") from None
    except Exception as error:  # damaged data makes decoders raise anything
        raise ValueError(
            f"{name} is cut off, damaged or of a rare kind; copy it again, or save it as PNG."
        ) from error


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
        Of any kind, as damaged data makes decoders raise anything; `check.reason` has words for it.
    """
    with ONE, warnings.catch_warnings(action="ignore"):
        image = check.opened(data)
        turn = check.turn(image)
    with image:
        check.complete(image, data)
        # a JPEG is decoded at 1/2, 1/4 or 1/8 where that is still twice too large; its last row and
        # column may then stand for less than a pixel, so `box` says where the image ends
        wanted = "L" if grey and image.mode == "RGB" else image.mode
        _, box = image.draft(wanted, (2 * size, 2 * size)) or (None, None)
        image.load()  # now, as the file is closed below
        seen = check.eight_bits(_sixteen_bit_colours(image, data))
    seen = _resized(seen.convert("L") if grey and seen.mode == "RGB" else seen, size, box)
    if turn == 1:
        return seen
    seen.getexif()[ExifTags.Base.Orientation] = turn
    return ImageOps.exif_transpose(seen)


def _resized(image, size, box=None):
    if image.size == (size, size) and box in (None, (0, 0, size, size)):
        return image
    # averages whole pixels down to three times the size, then weighs neighbours
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=3)


def _sixteen_bit_colours(image, data):
    """Return the image with all that 16 bits per colour hold; Pillow drops the lower half."""
    if image.format != "PNG" or data[24] != 16 or data[25] not in (2, 6):  # bits, kind of colours
        return image
    import cv2  # takes a moment to load, and such files are rare

    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    opaque = bgr[..., 3:] / 65535 if bgr.shape[-1] == 4 else 1.0
    top = 4095 if bgr[..., :3].max() < 4096 else 65535
    rgb = np.round(bgr[..., 2::-1] * (opaque * 255 / top)).astype(np.uint8)
    return Image.fromarray(rgb)


def _array(image, channels):
    values = np.atleast_3d(np.asarray(image))
    return values if values.shape[-1] == channels else np.repeat(values, channels, axis=-1)
