"""The networks of the course and their heads; those for images take raw 0..255 pixels."""

import contextlib
import io
import math
import os
from pathlib import Path

from helpers import runtime
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


def vgg16(size=224):
    """Build VGG16 without its top, frozen, with its own preprocessing inside.

    The weights: a local file named by `COURSE_VGG16_WEIGHTS`; else ImageNet's through Keras; with
    neither, or with `COURSE_VGG16_WEIGHTS=none`, the base is untrained and a warning says so. With
    `COURSE_SOURCE=sample` nothing is downloaded unless `COURSE_VGG16_WEIGHTS=imagenet` asks for it.

    Parameters
    ----------
    size : int
        Height and width of the images, in pixels, at least 32.

    Returns
    -------
    tuple of (keras.Model, str)
        From raw pixels [B, size, size, 3] in 0..255 to features [B, size / 32, size / 32, 512],
        and which weights it has: "ImageNet", the file's name, or "none". Simonyan and Zisserman
        2015, arXiv:1409.1556.

    Raises
    ------
    ValueError
        When the weights file does not exist or does not hold these layers.
    """
    wanted = os.environ.get("COURSE_VGG16_WEIGHTS", "")
    if not wanted:
        wanted = "none" if runtime.source() == "sample" else "imagenet"
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = keras.applications.vgg16.preprocess_input(pixels)

    def build(weights=None):
        return keras.applications.VGG16(False, weights, input_tensor=scaled, name="vgg16")

    if wanted == "imagenet":
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the address and a progress bar
                base, kind = build("imagenet"), "ImageNet"
        except Exception:  # Keras raises no narrower one when it cannot download
            base, kind = build(), "none"
    elif wanted == "none":
        base, kind = build(), "none"
    else:
        base, kind = build(), Path(wanted).name
        _load(base, Path(wanted))
    if kind == "none":
        print("VGG16 weights: none at hand, so this base is untrained (see COURSE_VGG16_WEIGHTS)")
    else:
        print(f"VGG16 weights: {kind}")
    base.trainable = False
    return base, kind


def _load(base, file):
    if not file.is_file():
        raise ValueError(f"COURSE_VGG16_WEIGHTS names {file.name}, but there is no such file.")
    try:
        base.load_weights(file)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"{file.name} does not hold the weights of VGG16 without its top: use the file that "
            "Keras calls vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5."
        ) from error


def lean_head(shape):
    """Build a head on the features' averages: batch norm, 128 units, 1 unit.

    Parameters
    ----------
    shape : tuple of int
        Of one image's features, such as (7, 7, 512).

    Returns
    -------
    keras.Model
        From features [B, *shape] to probabilities [B, 1].
    """
    values = keras.Input(shape, name="features")
    x = layers.GlobalAveragePooling2D()(values)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(values, layers.Dense(1, activation="sigmoid")(x), name="lean_head")


def joined(base, head):
    """Put a trained head on its base, layer by layer, so that nothing is nested in the result.

    Returns
    -------
    keras.Model
        From the base's pixels to the head's answer; the layers are shared with both.
    """
    answer = head.call(base.output)  # `head(...)` would put the head in as one nested layer
    return keras.Model(base.input, answer, name=f"{base.name}_{head.name}")


def leaves(model):
    """Return the layers in order, those inside inner models in place of these."""
    found = []
    for layer in model.layers:
        found += leaves(layer) if hasattr(layer, "layers") else [layer]
    return found


def answering(model):
    """Return the layer that makes the answer: the last one, past those that only hand it on."""
    handing_on = (layers.Flatten, layers.Reshape, layers.Dropout, layers.Identity)
    found = leaves(model)
    while len(found) > 1 and (
        isinstance(found[-1], handing_on)
        or isinstance(found[-1], layers.Activation)
        and found[-1].activation is keras.activations.linear
    ):
        found.pop()
    return found[-1]
