"""One image file of any kind, to the very pixels that `pipelines` would make of it."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from helpers import dicom, pipelines
from helpers.backend import tf


def read(path, size, channels):
    """Read a JPEG, PNG or DICOM file and resize it, whatever its shape, to a square.

    An 8-bit JPEG or PNG gives the pixels of `pipelines.decode`. Besides, it is turned the way its
    EXIF tag says; transparent pixels are put over black; of 16 bits per value, a file without a
    value above 4095 counts as 12-bit data; DICOM is shown as `dicom.read` says.

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
        pixels = _decoded(_png(dicom.read(path)), channels)
        return pipelines.resize(pixels, size)
    data, name = dicom.contents(path), Path(path).name
    try:
        with warnings.catch_warnings(action="ignore"):
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return pipelines.resize(_ordinary(data, channels), size)
    except UnidentifiedImageError:
        raise ValueError(f"{name} is no JPEG, PNG or DICOM file; check what it is.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise ValueError(f"{name} has more than {limit} pixels; shrink it first.") from None
    except Exception as error:  # damaged data makes decoders raise anything
        raise ValueError(
            f"{name} is cut off, damaged or of a rare kind; copy it again, or save it as PNG."
        ) from error


def _ordinary(data, channels):
    image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
    turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    if image.format == "PNG" and data[24] == 16:  # bits per value, in the header
        data = _png(_sixteen_bits(data))
    elif image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        if (rgba[..., 3] < 255).any():
            data = _png(np.round(rgba[..., :3] * (rgba[..., 3:] / 255)).astype(np.uint8))
    pixels = _decoded(data, channels)
    return pixels if turn == 1 else _turned(pixels.numpy(), turn)


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
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    image.getexif()[ExifTags.Base.Orientation] = turn
    return np.atleast_3d(np.asarray(ImageOps.exif_transpose(image)))
