"""A picture and a zip archive as bytes, for tests that need one."""

import io
import warnings
import zipfile

import numpy as np
from PIL import Image


def picture(kind="JPEG"):
    """Return the bytes of a black image of 8 x 8 pixels."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def make_zip(files):
    """Return a zip's bytes; files: (name, bytes) pairs, or (name, bytes, Unix mode)."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name given twice
        for name, content, *mode in files:
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode[0] if mode else 0) << 16
            archive.writestr(info, content)
    return data.getvalue()
