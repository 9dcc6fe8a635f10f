"""Image files of every kind that people have, whole and not, for the tests that read them."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

NONE, DAMAGED, HUGE = "no JPEG or PNG in it", "cut off or damaged", "more than 89,478,485 pixels"


def picture(seed=0, width=64, height=48):
    """Draw coloured blobs, no two parts alike."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def encoded(kind, image, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned():
    tag = Image.Exif()
    tag[0x0112] = 6
    return tag


def chunk(name, data, wrong=0):
    """One part of a PNG, with its checksum or, with 1, a wrong one."""
    checksum = struct.pack(">I", zlib.crc32(name + data) ^ wrong)
    return struct.pack(">I", len(data)) + name + data + checksum


def with_chunk(png, *parts):
    """A PNG with one more part behind its head."""
    return png[:33] + chunk(*parts) + png[33:]


def zeros_png(width, height, whole=True):
    """A PNG of black pixels that is small on disk however large it is."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height if whole else 1))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", rows + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body


def whole(image):
    """Return name to bytes of every kind that is read."""
    grey, png, long = image.convert("L"), encoded("PNG", image), zlib.compress(bytes(2_000_000))
    pairs = np.dstack([np.asarray(grey), np.full((48, 64), 255)]).astype(np.uint16) * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pairs)
    grey_alpha = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 16, 4, 0, 0, 0))
    grey_alpha += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    deep = np.asarray(image).astype(np.uint16) * 257
    clear = image.copy()
    clear.putalpha(Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))))
    return {
        "rgb.jpg": encoded("JPEG", image),
        "grey.jpg": encoded("JPEG", grey),
        "progressive.jpg": encoded("JPEG", image, progressive=True),
        "cmyk.jpg": encoded("JPEG", image.convert("CMYK")),
        "turned.jpg": encoded("JPEG", image, exif=turned()),
        "damaged-exif.jpg": encoded("JPEG", image, exif=b"Exif\0\0rubbish"),
        "two.jpg": encoded("MPO", image, save_all=True, append_images=[Image.new("RGB", (9, 9))]),
        "rgb.png": encoded("PNG", image),
        "rgba.png": encoded("PNG", clear),
        "palette.png": encoded("PNG", image.quantize(200)),
        "palette-clear.png": encoded("PNG", image.quantize(60), transparency=7),
        "bits.png": encoded("PNG", image.convert("1")),
        "grey16.png": encoded("PNG", Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)),
        "grey12.png": encoded("PNG", Image.fromarray(np.asarray(grey).astype(np.uint16) * 16)),
        "rgb16.png": cv2.imencode(".png", deep[..., ::-1])[1].tobytes(),
        "alpha.grey16.png": b"\x89PNG\r\n\x1a\n" + grey_alpha,
        "long-text.png": with_chunk(png, b"zTXt", b"text\0\0" + long),
        "long-unicode.png": with_chunk(png, b"iTXt", b"text\0\1\0\0\0" + long),
        "long-profile.png": with_chunk(png, b"iCCP", b"icc\0\0" + long),
        "checksum.png": with_chunk(png, b"tEXt", b"Software\0x", 1),
        "turned.png": encoded("PNG", image, exif=turned()),
        "damaged-exif.png": encoded("PNG", image, exif=b"Exif\0\0rubbish"),
        "one-wide.png": encoded("PNG", image.resize((1, 48))),
        "one-high.jpg": encoded("JPEG", image.resize((64, 1))),
        "one-pixel.png": encoded("PNG", image.resize((1, 1))),
        "20000-wide.png": encoded("PNG", image.resize((20_000, 30))),
        "named.txt": encoded("PNG", image),
    }


def bad(image):
    """Return name to (bytes, reason) of every kind that is not."""
    jpeg, png = encoded("JPEG", image), encoded("PNG", image)
    changed = png[:900] + bytes([png[900] ^ 1]) + png[901:]
    return {
        "empty.png": (b"", "empty"),
        "text.jpg": (b"No picture, but text. " * 9, NONE),
        "half.jpg": (jpeg[: len(jpeg) // 2], DAMAGED),
        "endless.jpg": (jpeg[:-2], DAMAGED),
        "zeros.jpg": (jpeg[:700] + bytes(len(jpeg) - 700), DAMAGED),
        "grey-below.jpg": (jpeg[: len(jpeg) * 3 // 4] + b"\xff\xd9", "cut off, plain grey below"),
        "head.png": (png[:30] + b"\0" + png[31:], "damaged, or of a rare kind"),
        "clear-checksum.png": (with_chunk(png, b"tRNS", bytes(6), 1), "damaged, or of a rare kind"),
        "half.png": (png[: len(png) // 2], DAMAGED),
        "endless.png": (png[:-12], DAMAGED),
        "bit.png": (changed, DAMAGED),
        "other.gif": (encoded("GIF", image), NONE),
        "other.bmp": (encoded("BMP", image), NONE),
        "other.webp": (encoded("WEBP", image), NONE),
        "other.tif": (encoded("TIFF", image), NONE),
        "claims.png": (zeros_png(20_000, 20_000, whole=False), HUGE),
        "bomb.png": (BOMB, HUGE),
        "short.png": (zeros_png(5000, 5000, whole=False), DAMAGED),
    }


BOMB = zeros_png(10_000, 9_000)  # 90 million pixels in 90 kB
