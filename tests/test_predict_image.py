"""One file gives the probability that its picture gives in a batch, whatever its format."""

import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from one_sentence import sentence
from PIL import Image

from helpers import dicom, evaluation, images, pipelines
from helpers.backend import keras

SIZE = 32
DICOM = Path(pydicom.__file__).parent / "data" / "test_files"
TURNS = {  # what puts a picture upright whose EXIF orientation is this (Exif 2.3, 4.6.4)
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: np.rot90,
}


@pytest.fixture(scope="module")
def models():
    """Return a grey and an RGB model whose answer depends on every pixel and its place."""
    found, rng = {}, np.random.default_rng(1)
    for channels in (1, 3):
        shape = (SIZE, SIZE, channels)
        layers = [keras.Input(shape), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
        found[channels] = keras.Sequential([*layers, keras.layers.Dense(1, "sigmoid")])
        weights = rng.normal(0, 2 / SIZE, (int(np.prod(shape)), 1))
        found[channels].layers[-1].set_weights([weights - weights.mean(), np.zeros(1)])
    return found


@pytest.fixture
def picture():
    """Return RGB pixels, not square, with no two parts alike."""
    small = np.random.default_rng(2).integers(0, 256, (9, 14, 3), np.uint8)
    return cv2.resize(small, (70, 45), interpolation=cv2.INTER_CUBIC)


def in_a_batch(model, path):
    rows = pd.DataFrame({"path": [str(path)] * 2, "label": ["well", "sick"]})
    stream = pipelines.batches(rows, ("well", "sick"), SIZE, model.input_shape[3])
    return float(model.predict(stream, verbose=0)[0, 0])


def same(models, path, plain, within=0):
    """Assert that a file is worth what an 8-bit file with the same picture is in a batch."""
    for channels, model in models.items():
        pixels = images.read(path, SIZE, channels)
        wanted = images.read(plain, SIZE, channels)
        assert np.abs(pixels.astype(int) - wanted).max() <= within
        answer = evaluation.predict_image(model, path)
        assert isinstance(answer, float) and 0.02 < answer < 0.98
        assert answer == pytest.approx(in_a_batch(model, plain), abs=5e-3 if within else 1e-6)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def save_16(path, pixels):
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[-1]]
    assert cv2.imwrite(str(path), pixels[..., order])
    assert path.read_bytes()[24] == 16
    return path


@pytest.mark.parametrize("name", ["grey.jpg", "rgb.jpg", "grey.png", "rgb.png"])
def test_ordinary_files(name, models, picture, tmp_path):
    pixels = picture if name.startswith("rgb") else picture[..., 0]
    path = save(tmp_path / name, pixels)
    same(models, path, path)
    other = tmp_path / "photo.txt"  # what it holds decides
    other.write_bytes(path.read_bytes())
    same(models, str(other), path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1"])
def test_other_8_bit_png(mode, models, picture, tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(picture).convert(mode).save(path)
    same(models, path, path)


def test_transparent_pixels_are_put_over_black(models, picture, tmp_path):
    alpha = np.full(picture.shape[:2] + (1,), 255, np.uint8)
    alpha[10:30, 5:40], alpha[5:10] = 0, 100
    seen = save(tmp_path / "seen.png", np.round(picture * (alpha / 255)).astype(np.uint8))
    same(models, save(tmp_path / "rgba.png", np.dstack([picture, alpha])), seen)
    deep = np.dstack([picture, alpha]).astype(np.uint16) * 257
    same(models, save_16(tmp_path / "deep.png", deep), seen)
    few = Image.fromarray(picture).quantize(8)
    seen = np.array(few.convert("RGB")) * (np.array(few)[..., None] != 3)
    few.save(tmp_path / "few.png", transparency=3)
    same(models, tmp_path / "few.png", save(tmp_path / "seen.png", seen))


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_png(channels, models, picture, tmp_path):
    pixels = picture[..., :channels]
    plain = save(tmp_path / "plain.png", pixels.squeeze())
    full = pixels.astype(np.uint16) * 257
    same(models, save_16(tmp_path / "full.png", full), plain)
    twelve = np.round(pixels / 255 * 4095).astype(np.uint16)
    assert twelve.max() == 4095
    same(models, save_16(tmp_path / "twelve.png", twelve), plain)
    twelve[0, 0] = 4096  # one value more is no 12-bit data
    assert images.read(save_16(tmp_path / "more.png", twelve), SIZE, channels).max() <= 16


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation(orientation, models, picture, tmp_path):
    tag = Image.Exif()
    tag[0x0112] = orientation
    turned = save(tmp_path / "turned.jpg", picture, exif=tag, quality=95)
    for channels, model in models.items():
        with Image.open(turned) as image:
            image.draft({1: "L", 3: "RGB"}[channels], image.size)
            raw = np.atleast_3d(np.asarray(image))
        upright = np.ascontiguousarray(TURNS[orientation](raw))
        # Pillow rounds between the rows and the columns, so that which comes first may show
        same({channels: model}, turned, save(tmp_path / "upright.png", upright.squeeze()), 1)
    turned = save(tmp_path / "turned.png", picture, exif=tag)
    same(models, turned, save(tmp_path / "upright.png", TURNS[orientation](picture)), 1)


@pytest.mark.parametrize("name", ["CT_small", "MR_small_RLE", "examples_rgb_color", "image_dfl"])
def test_dicom(name, models, tmp_path):
    plain = save(tmp_path / "plain.png", dicom.read(DICOM / f"{name}.dcm"))
    hidden = tmp_path / "hidden.png"  # what it holds decides
    hidden.write_bytes((DICOM / f"{name}.dcm").read_bytes())
    for path in (DICOM / f"{name}.dcm", hidden):
        same(models, path, plain)


def bomb(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + body + struct.pack(">I", 9) + b"IDAT"


def failures(picture, tmp_path):
    jpeg = save(tmp_path / "whole.jpg", picture).read_bytes()
    png = save(tmp_path / "whole.png", picture).read_bytes()
    deep = save_16(tmp_path / "deep.png", picture.astype(np.uint16) * 257).read_bytes()
    scan = (DICOM / "CT_small.dcm").read_bytes()
    for name, data in (("jpg", jpeg), ("png", png), ("16.png", deep), ("dcm", scan)):
        for share in (0.3, 0.5, 0.9):
            yield f"cut.{name}", data[: int(share * len(data))], "cut off"
    yield "end.png", png[:-12], "cut off"  # all pixels are there, the last chunk is not
    yield "empty.jpg", b"", "is empty"
    yield "text.png", b"No picture, but text. " * 30, "no JPEG, PNG or DICOM"
    yield "text.dcm", b"No picture, but text. " * 30, "not a DICOM file"
    yield "drawn.bmp", save(tmp_path / "whole.bmp", picture).read_bytes(), "no JPEG, PNG or DICOM"
    yield "bomb.png", bomb(20_000, 20_000), "more than 89,478,485 pixels"
    yield "large.png", bomb(10_000, 10_000), "more than 89,478,485 pixels"


def refused(model, path):
    return sentence(lambda: evaluation.predict_image(model, path))


def test_what_cannot_be_read(models, picture, tmp_path, capfd):
    with warnings.catch_warnings(action="error"):
        for name, data, words in failures(picture, tmp_path):
            (tmp_path / name).write_bytes(data)
            sentence = refused(models[1], tmp_path / name)
            assert sentence.startswith(name) and words in sentence, name
            assert str(tmp_path) not in sentence
        assert "No such file" in refused(models[1], tmp_path / "absent.jpg")
        assert "is a folder" in refused(models[1], tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_model_for_any_size_gets_224(picture, tmp_path):
    inputs = keras.Input((None, None, 3))
    seen = keras.layers.GlobalMaxPooling2D()(inputs[:, 200:, 200:] / 255.0)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(seen))
    path = save(tmp_path / "image.png", picture)
    batch = images.read(path, 224, 3)[None].astype(np.float32)
    wanted = model.predict(batch, verbose=0)[0, 0]
    assert evaluation.predict_image(model, path) == pytest.approx(wanted, abs=1e-6)


def test_models_that_do_not_fit(picture, tmp_path):
    path = save(tmp_path / "image.png", picture)

    def model(*shape, units=1):
        inputs = keras.Input(shape)
        return keras.Model(inputs, keras.layers.Dense(units)(keras.layers.Flatten()(inputs)))

    one, other = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    two_inputs = keras.Model([one, other], keras.layers.Add()([one, other]))
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    for wrong in (model(8, 9, 1), model(8, 8, 2), model(64), two_inputs, unbuilt):
        assert "takes no square" in refused(wrong, path)
    assert "gives no probability" in refused(model(8, 8, 1), path)
    for wrong in (model(8, 8, 1, units=2), keras.Model(one, one), keras.Model(one, [one, one])):
        assert "more than one number" in refused(wrong, path)
