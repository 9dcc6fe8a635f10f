"""The networks of the course, which take raw 0..255 pixels and scale them; and those in files."""

import json
import math
import zipfile
from pathlib import Path

from helpers.backend import keras

layers = keras.layers


def smallnet(size=224, channels=3):
    """Build SmallNet, the textbook chapter's first network, as its code prints it.

    Parameters
    ----------
    size : int
        Height and width of the images, in pixels.
    channels : int
        1 for grey images, 3 for RGB. With 224 and 3 the network has 2,788,353 parameters.

    Returns
    -------
    keras.Model
        Uncompiled; maps images [B, size, size, channels] in 0..255 to probabilities [B, 1].
    """
    pixels = keras.Input((size, size, channels), name="pixels")
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(32, activation="relu")(x)
    x = layers.Dense(1, activation="sigmoid", name="probability")(x)
    return keras.Model(pixels, x, name="smallnet")


def compactnet(size=128, channels=1, widths=(32, 64, 96, 128)):
    """Build CompactNet: residual blocks with batch norm, then global average pooling.

    Under 0.5 M parameters. The first layer gives every image mean 0 and deviation 1, so that
    exposure cannot betray the class; residual blocks after He et al. 2016, arXiv:1512.03385. The
    picture is halved until a heat map would have 8 x 8 cells or fewer.

    Parameters
    ----------
    size : int
        Height and width of the images, in pixels.
    channels : int
        1 for grey images, 3 for RGB.
    widths : tuple of int
        Channels of each block.

    Returns
    -------
    keras.Model
        Uncompiled; maps images [B, size, size, channels] in 0..255 to probabilities [B, 1].
    """
    pixels = keras.Input((size, size, channels), name="pixels")
    x = layers.LayerNormalization(axis=[1, 2, 3], center=False, scale=False)(pixels)
    x = conv_norm(x, 24, strides=2)
    for width in widths:
        shortcut = layers.Conv2D(width, 1, use_bias=False)(x)
        x = conv_norm(conv_norm(x, width), width, activation=None)
        x = layers.ReLU()(layers.Add()([x, shortcut]))
        if width != widths[-1] and x.shape[1] > 8:
            x = layers.MaxPooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Dense(1, activation="sigmoid", name="probability")(x)
    return keras.Model(pixels, x, name="compactnet")


def lean_autoencoder(size=128, latent=32, widths=(8, 16, 32, 64)):
    """Build a convolutional autoencoder that squeezes an image into a few numbers.

    Parameters
    ----------
    size : int
        Height and width of the grey images, in pixels: a multiple of 2 to the number of widths.
    latent : int
        Numbers that an image is squeezed into, by the layer "latent".
    widths : tuple of int
        Channels of each convolution; each halves the picture.

    Returns
    -------
    keras.Model
        Uncompiled; maps images [B, size, size, 1] in 0..255 to reconstructions of that shape in
        0..1.
    """
    pixels = keras.Input((size, size, 1), name="pixels")
    x = layers.Rescaling(1 / 255)(pixels)
    for width in widths:
        x = conv_norm(x, width, strides=2)
    small = x.shape[1:]
    x = layers.Dense(latent, name="latent")(layers.Flatten()(x))
    x = layers.Dense(math.prod(small), activation="relu")(x)
    x = layers.Reshape(small)(x)
    for width in widths[-2::-1]:  # convolve first, enlarge then: a quarter of the work
        x = layers.UpSampling2D(2)(conv_norm(x, width))
    x = layers.Conv2DTranspose(1, 2, 2, activation="sigmoid", name="reconstruction")(x)
    return keras.Model(pixels, x, name="lean_autoencoder")


@keras.saving.register_keras_serializable("course")
class GreenChannel(layers.Layer):
    """Keep the green channel of RGB images: vessels and bleeding stand out most in it.

    A registered layer instead of a Lambda, which Keras refuses to load safely.
    """

    def call(self, images):
        """Turn [B, H, W, 3] into [B, H, W, 1]."""
        return images[..., 1:2]


def alexnet(size=227, classes=3, width=1.0):
    """Build AlexNet on the green channel, as the retina workbook had it.

    After Krizhevsky, Sutskever and Hinton 2012, with batch norm, and without their dense layers of
    4,096 units.

    Parameters
    ----------
    size : int
        Height and width of the RGB images, in pixels, at least 67.
    classes : int
        Units of the softmax.
    width : float
        Share of AlexNet's channels, 96 to 384.

    Returns
    -------
    keras.Model
        Uncompiled; maps images [B, size, size, 3] in 0..255 to probabilities [B, classes]. Its
        layers "heat" (the last convolution), "features" (flat) and "logits" are for lesson 8.
    """
    pixels = keras.Input((size, size, 3), name="pixels")
    x = layers.Rescaling(1 / 255)(GreenChannel(name="green")(pixels))
    for channels, kernel, strides, padding, pool, name in (
        (96, 11, 4, "valid", True, "edges"),
        (256, 5, 1, "same", True, "second"),
        (384, 3, 1, "same", False, "third"),
        (384, 3, 1, "same", False, "fourth"),
        (256, 3, 1, "same", True, "heat"),
    ):
        options = {"activation": "relu", "kernel_initializer": "he_normal", "name": name}
        x = layers.Conv2D(round(channels * width), kernel, strides, padding, **options)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.MaxPooling2D(3, 2)(x) if pool else x
    x = layers.Flatten(name="features")(x)
    x = layers.Dense(classes, name="logits")(x)
    return keras.Model(pixels, layers.Softmax(name="probabilities")(x), name="alexnet")


def conv_norm(x, width, strides=1, activation="relu"):
    """Apply a 3x3 convolution without bias, batch norm and, unless None, an activation."""
    x = layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.Activation(activation)(x) if activation else x


def load(file):
    """Load a network from a `.keras` file in safe mode, whoever made it.

    Parameters
    ----------
    file : str or Path
        As `training.save` or Keras writes it. No code in it is run: a Lambda layer, which is
        program code, is refused, and so is HDF5, for which Keras has no safe mode.

    Returns
    -------
    keras.Model
        With its optimizer where that was saved.

    Raises
    ------
    ValueError
        When it is not loaded: one sentence with the file's name and what to do.
    """
    file = Path(file)
    name = file.name or str(file)
    if not file.is_file():
        raise ValueError(f"There is no file {name}: check the path.")
    with open(file, "rb") as opened:
        hdf5 = opened.read(8) == b"\x89HDF\r\n\x1a\n"
    if hdf5:
        raise ValueError(
            f"{name} is HDF5, which Keras cannot load in safe mode, so it is not loaded: ask its "
            "maker to save the model as .keras."
        )
    try:
        with zipfile.ZipFile(file) as packed:
            whole, config = packed.testzip() is None, json.loads(packed.read("config.json"))
    except Exception:  # damage raises anything
        whole, config = False, None
    if not (whole and isinstance(config, dict)):
        raise ValueError(f"{name} is no whole .keras file: copy or save it again.")
    _refuse_code(name, config)
    try:
        return keras.saving.load_model(file, safe_mode=True)
    except Exception as error:  # Keras raises anything on what it cannot build
        raise ValueError(
            f"{name} cannot be loaded by Keras {keras.version()}: save it again with this version."
        ) from error


def _refuse_code(name, config):
    """Raise ValueError where a model's description holds more than what Keras knows."""
    parts, todo = [config], "ask its maker to save it with layers of Keras only."
    for part in parts:  # grows as it is gone through
        inside = part.values() if isinstance(part, dict) else part
        parts += [each for each in inside if isinstance(each, (dict, list))]
    kinds = [part for part in parts if isinstance(part, dict) and "class_name" in part]
    if any(part["class_name"] in ("Lambda", "__lambda__") for part in kinds):
        raise ValueError(
            f"{name} holds a Lambda layer, that is program code, so it is not loaded: {todo}"
        )
    for part in kinds:
        registered = part.get("registered_name")
        ours = registered and keras.saving.get_registered_object(registered)
        if not ours and not str(part.get("module", "keras")).startswith("keras"):
            raise ValueError(
                f"{name} holds {part['class_name']}, which Keras does not know, so it is not "
                f"loaded: {todo}"
            )
