"""Where did the network look: heat maps by Grad-CAM, and how well they meet what is known.

After Selvaraju et al. 2017, arXiv:1610.02391; HiResCAM after Draelos and Carin, arXiv:2011.08891.
"""

import contextlib

import cv2
import numpy as np

from helpers import models
from helpers.backend import keras, tf

METHODS = ("gradcam", "hirescam")
BATCH = 32  # images explained at once
SCALE = 256.0  # of the score while gradients flow, so that float16 keeps small ones


def heat_maps(model, images, class_index=None, layer=None, method="gradcam"):
    """Explain a network's answers, a batch at a time.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, flat or with a backbone inside, new or loaded from a file, with
        one input and one output: a sigmoid unit, or a softmax or linear unit for each class.
    images : array
        [N, H, W, C] in 0..255, as the model takes them.
    class_index : int or array of int, optional
        The class explained, one for all images or one each, [N] or [N, 1]. For a sigmoid unit 1 is
        the class whose probability it gives and 0 the other. The class each image is called when
        None.
    layer : str, optional
        The name of the layer whose output is weighed; the last one with rows and columns that is
        not pooling when None.
    method : str
        "gradcam", or "hirescam": the gradient is not averaged over the image, so that the map
        keeps apart places that speak for and against.

    Returns
    -------
    ndarray
        float32 [N, H, W] in 0..1, the largest value of each map 1; a map without anything that
        speaks for the class stays zero.

    Raises
    ------
    ValueError
        When the layer, the class or the method does not exist, the images are none that the model
        takes, or it has several inputs or outputs.
    """
    if method not in METHODS:
        raise ValueError(f"There is no method '{method}': choose gradcam or hirescam.")
    shape = np.shape(images)
    if len(shape) != 4:
        raise ValueError(f"Images are [N, H, W, C], not {list(shape)}: write images[None] for one.")
    if not model.built:  # a Sequential without Input has no shapes before its first call
        model(tf.cast(images[:1], tf.float32))
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"{model.name} has {len(model.inputs)} inputs and {len(model.outputs)} outputs: build "
            "keras.Model(inputs, output) with one of each, and explain that."
        )
    takes = model.inputs[0].shape[1:]
    if len(takes) != 3 or any(a not in (None, b) for a, b in zip(takes, shape[1:], strict=True)):
        raise ValueError(f"{model.name} takes images {list(takes)}, but these are {shape[1:]}.")
    layer, last = find_layer(model, layer), models.answering(model)
    wanted = None if class_index is None else _classes(class_index, len(images))
    maps = np.zeros((len(images), *images.shape[1:3]), np.float32)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        chosen = None if wanted is None else wanted[part]
        batch = tf.cast(images[part], tf.float32)
        maps[part] = _explain(model, batch, chosen, layer, last, method)
    return maps


def _classes(class_index, count):
    """Return whole numbers, one an image, from one number or the labels of a batch."""
    try:
        wanted = np.ravel(class_index).astype(float)
    except (TypeError, ValueError):
        wanted = np.array([np.nan])
    if len(wanted) not in (1, count) or (wanted % 1 != 0).any():
        raise ValueError(f"class_index is one class for all, or one for each of {count}: 0, 1, ...")
    return np.broadcast_to(wanted.astype(int), count)


def find_layer(model, layer=None):
    """Return a layer by its name, wherever it is inside the model; the default one when None.

    Raises
    ------
    ValueError
        When there is none of more than one cell, with the names there are.
    """
    spatial = [leaf for leaf in models.leaves(model) if len(_shape(leaf)) == 4]
    spatial = [leaf for leaf in spatial if _shape(leaf)[1:3] != (1, 1)]
    if layer is None:
        fit = [leaf for leaf in spatial if "Pooling" not in type(leaf).__name__]
        fit = [leaf for leaf in fit if not isinstance(leaf, keras.layers.InputLayer)]
        if not fit:
            raise ValueError(f"{model.name} has no layer with rows and columns to look at.")
        return fit[-1]
    for leaf in spatial:
        if leaf.name == layer:
            return leaf
    names = ", ".join(leaf.name for leaf in spatial[-5:])
    raise ValueError(
        f"{model.name} has no layer '{layer}' with rows and columns; the last: {names}."
    )


def _shape(layer):
    try:
        return tuple(layer.output.shape)
    except (AttributeError, ValueError):  # never called, or called in two places
        return ()


@contextlib.contextmanager
def _replaced(layer, name, value):
    """Give a layer another method or attribute for a while, past what Keras does on setting one."""
    own = {name: vars(layer)[name]} if name in vars(layer) else {}
    vars(layer)[name] = value
    try:
        yield
    finally:
        del vars(layer)[name]
        vars(layer).update(own)


def _watched(layer, tape, outputs):
    """Keep what the layer puts out, and let the gradient with respect to it be asked for.

    Works inside nested and reloaded models, whose own tensors are cut off from the outputs.
    """
    call = layer.call

    def watching(*inputs, **options):
        outputs.append(call(*inputs, **options))
        tape.watch(outputs[-1])
        return outputs[-1]

    return _replaced(layer, "call", watching)


def _logits(last):
    """Take the sigmoid or softmax off the last layer: where it is sure, its slope is zero."""
    if isinstance(last, keras.layers.Softmax):
        return _replaced(last, "call", lambda inputs, *_, **__: inputs)
    if hasattr(last, "activation"):
        return _replaced(last, "activation", keras.activations.linear)
    return contextlib.nullcontext()


def _explain(model, images, classes, layer, last, method):
    # with variables watched, gradients would run on below the layer, down to the first weights
    tape, outputs = tf.GradientTape(watch_accessed_variables=False), []
    with tape, _watched(layer, tape, outputs), _logits(last):
        scores = tf.cast(model(images, training=False), tf.float32)
        scores = tf.reshape(scores, (len(images), -1))
        if scores.shape[1] == 1:  # one sigmoid unit: what speaks against class 1 is class 0
            scores = tf.concat([-scores, scores], axis=1)
        if classes is None:
            classes = tf.argmax(scores, axis=1).numpy()
        if np.min(classes) < 0 or np.max(classes) >= scores.shape[1]:
            wrong = max(classes, key=abs)
            raise ValueError(f"The classes are 0 to {scores.shape[1] - 1}; {wrong} is not.")
        score = SCALE * tf.reduce_sum(tf.gather(scores, classes, axis=1, batch_dims=1))
    slopes = tf.cast(tape.gradient(score, outputs[-1]), tf.float32) / SCALE
    features = tf.cast(outputs[-1], tf.float32)
    if method == "gradcam":
        slopes = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(slopes * features, axis=-1, keepdims=True))
    maps = _over(maps, images.shape[1:3]).numpy()
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)


def _over(maps, size):
    """Lay maps [N, h, w, 1] over images of size [H, W], each cell where it looked.

    Convolutions without padding leave a margin in which no cell has its centre: SmallNet's 52 cells
    are 4 pixels apart and cover 208 of 224. Stretching them over all would shift what they show.
    """
    inner = []
    for pixels, cells in zip(size, maps.shape[1:3], strict=True):
        apart = pixels / cells  # a whole number with padding; without, strides are powers of two
        inner.append(round(cells * (apart if apart.is_integer() else 2 ** int(np.log2(apart)))))
    return tf.image.resize_with_crop_or_pad(tf.image.resize(maps, inner), *size)[..., 0]


def at_size(masks, size):
    """Shrink masks to the size of the heat maps.

    Parameters
    ----------
    masks : sequence of ndarray of bool
        Each [H, W], of any size.
    size : int
        Height and width of the heat maps.

    Returns
    -------
    ndarray of bool
        [N, size, size]: where at least half of a pixel is inside.
    """
    masks = [np.float32(mask) for mask in masks]
    shares = [cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA) for mask in masks]
    return np.array(shares) >= 0.5


def pointing(maps, masks):
    """Play the pointing game: say whether each map peaks inside its mask.

    Chance is the mask's share of the image. Zhang et al. 2016, arXiv:1608.00507.

    Returns
    -------
    ndarray of bool
        [N], for maps and masks [N, H, W]; a map of zeros points nowhere: outside.
    """
    peaks = maps.reshape(len(maps), -1).argmax(axis=1)
    inside = masks.reshape(len(masks), -1)[np.arange(len(maps)), peaks]
    return inside & (maps.max(axis=(1, 2)) > 0)


def energy(maps, masks):
    """Return the share of each map's sum that lies inside its mask, float [N] in 0..1.

    Chance is the mask's share of the image; a map of zeros has 0 inside. Wang et al. 2020,
    arXiv:1910.01279 (energy-based pointing game).
    """
    inside, total = (maps * masks).sum(axis=(1, 2)), maps.sum(axis=(1, 2))
    return np.divide(inside, total, out=np.zeros(len(maps)), where=total > 0)


def randomised(model):
    """Randomise a network's weights layer by layer, from the last one down.

    A map that hardly changes does not show what the network has learned. Adebayo et al. 2018,
    arXiv:1810.03292.

    Parameters
    ----------
    model : keras.Model
        Not changed.

    Yields
    ------
    tuple of (str, keras.Model)
        The layer just randomised, and a copy of the network in which it and all later layers have
        new weights. It is the same copy every time: use it before asking for the next.
    """
    copies = [type(model).from_config(model.get_config()) for _ in range(2)]
    copies[0].set_weights(model.get_weights())
    for layer, fresh in reversed(list(zip(*map(models.leaves, copies), strict=True))):
        if layer.weights:
            layer.set_weights(fresh.get_weights())
            yield layer.name, copies[0]
