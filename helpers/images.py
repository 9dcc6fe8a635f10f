"""One image file of any kind, to the very pixels that a batch holds of it."""

import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from helpers import check, dicom
from helpers.backend import tf

ONE = threading.Lock()  # warnings are silenced for the whole process, so by one thread at a time


def read(path, size, channels):
    """Read a JPEG, PNG or DICOM file and resize it, whatever its shape, to a square.

    A JPEG or PNG gives the pixels of `pipelines.decode`; DICOM is shown as `dicom.read` says.

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
    tf.Tensor
        uint8 [size, size, channels] in 0..255.

    Raises
    ------
    ValueError
        When there is no such file, no image in it, or one cut off, damaged or absurdly large:
        one sentence with the file's name and what to do.
    """
    if dicom.is_dicom(path):
        return resize(_decoded(_png(dicom.read(path)), channels), size)
    return resize(pixels(path, channels), size)


def pixels(path, channels):
    """Read a JPEG or PNG file as it is meant to be seen.

    It is turned the way its EXIF tag says; transparent pixels are put over black; of 16 bits per
    value, a file without a value above 4095 counts as 12-bit data; of printing colours (CMYK) grey
    is made through RGB. All else is as TensorFlow decodes it.

    Returns
    -------
    ndarray
        uint8 [H, W, channels].

    Raises
    ------
    ValueError
        As `read`.
    """
    data, name = dicom.contents(path), Path(path).name
    try:
        with ONE, warnings.catch_warnings(action="ignore"):
            image = check.opened(data)
            turn = check.turn(image)
        try:
            seen = _upright(image, data, channels)
        except tf.errors.InvalidArgumentError:  # it gives up on some files that Pillow reads whole
            check.complete(image, data)
            seen = _decoded(_png(np.asarray(check.eight_bits(image))), channels).numpy()
        return _turned(seen, turn)
    except UnidentifiedImageError:
        raise ValueError(f"{name} is no JPEG, PNG or DICOM file; check what it is.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise ValueError(f"{name} has more than {limit} pixels; shrink it first.") from None
    except Exception as error:  # damaged data makes decoders raise anything
        raise ValueError(
            f"{name} is cut off, damaged or of a rare kind; copy it again, or save it as PNG."
        ) from error


def resize(image, size):
    """Resize an image [H, W, C] in 0..255, whatever its shape, to uint8 [size, size, C]."""
    fits = tf.reduce_all(tf.equal(tf.shape(image)[:2], size))
    image = tf.cond(
        fits,
        lambda: tf.cast(image, tf.float32),  # antialiasing costs time even where nothing changes
        lambda: tf.image.resize(image, (size, size), antialias=True),
    )
    return tf.saturate_cast(tf.round(image), tf.uint8)


def _upright(image, data, channels):
    """Return uint8 [H, W, channels], not yet turned."""
    if image.format == "PNG" and data[24] == 16:  # bits per value, in the header
        data = _png(_sixteen_bits(data))
    elif image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        if (rgba[..., 3] < 255).any():
            data = _png(np.round(rgba[..., :3] * (rgba[..., 3:] / 255)).astype(np.uint8))
    elif image.mode == "CMYK" and channels == 1:  # TensorFlow makes RGB of it, but no grey
        data = _png(_decoded(data, 3).numpy())
    return _decoded(data, channels).numpy()


def _decoded(data, channels):
    return tf.io.decode_image(data, channels, expand_animations=False)


def _png(pixels):
    """Pack uint8 [H, W] or [H, W, C], so that grey is made of colours in one way only."""
    return tf.io.encode_png(pixels if pixels.ndim == 3 else pixels[..., None])


def _sixteen_bits(data):
    """Return uint8 [H, W, 1 or 3]; Pillow would drop the lower half of colours."""
    pixels = tf.io.decode_png(data, dtype=tf.uint16).numpy()
    opaque = 1.0
    if pixels.shape[-1] in (2, 4):
        pixels, opaque = pixels[..., :-1], pixels[..., -1:] / 65535
    top = 4095 if pixels.max() < 4096 else 65535
    return np.round(pixels * (opaque * 255 / top)).astype(np.uint8)


def _turned(pixels, turn):
    if turn == 1:
        return pixels
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    image.getexif()[ExifTags.Base.Orientation] = turn
    return np.atleast_3d(np.asarray(ImageOps.exif_transpose(image)))
