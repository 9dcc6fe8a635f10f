"""Where did the network look: heat maps by Grad-CAM, and how well they meet what is known.

After Selvaraju et al. 2017, arXiv:1610.02391; HiResCAM after Draelos and Carin, arXiv:2011.08891.
"""

import contextlib

import cv2
import numpy as np

from helpers.backend import keras, tf

METHODS = ("gradcam", "hirescam")
SCALE = 256.0  # of the score while gradients flow, so that float16 keeps small ones


def heat_maps(model, images, class_index=None, layer=None, method="gradcam", batch_size=32):
    """Explain a network's answers, a batch at a time.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, flat or with a backbone inside, new or loaded from a file. Its
        last layer has one sigmoid unit, or a softmax or linear unit for each class.
    images : array
        [N, H, W, C] in 0..255, as the model takes them.
    class_index : int or array of int, optional
        The class explained, one for all images or one each. For a sigmoid unit 1 is the class
        whose probability it gives and 0 the other. The class each image is called when None.
    layer : str or keras.Layer, optional
        The layer whose output is weighed; the last one with rows and columns that is not pooling
        when None.
    method : str
        "gradcam", or "hirescam": the gradient is not averaged over the image, so that the map
        keeps apart places that speak for and against.
    batch_size : int
        Images explained at once.

    Returns
    -------
    ndarray
        float32 [N, H, W] in 0..1, the largest value of each map 1; a map without anything that
        speaks for the class stays zero.

    Raises
    ------
    ValueError
        When the layer, the class or the method does not exist.
    """
    if method not in METHODS:
        raise ValueError(f"There is no method '{method}': choose gradcam or hirescam.")
    if not model.built:  # a Sequential without Input has no shapes before its first call
        model(tf.cast(images[:1], tf.float32))
    layer, last = find_layer(model, layer), _leaves(model)[-1]
    wanted = None if class_index is None else np.broadcast_to(class_index, len(images))
    maps = np.zeros((len(images), *images.shape[1:3]), np.float32)
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        chosen = None if wanted is None else wanted[part]
        batch = tf.cast(images[part], tf.float32)
        maps[part] = _explain(model, batch, chosen, layer, last, method)
    return maps


def find_layer(model, layer=None):
    """Return a layer by its name, wherever it is inside the model; the default one when None.

    Raises
    ------
    ValueError
        When there is none, with the names there are.
    """
    leaves = _leaves(model)
    spatial = [leaf for leaf in leaves if len(_shape(leaf)) == 4]
    if layer is None:
        fit = [leaf for leaf in spatial if "Pooling" not in type(leaf).__name__]
        fit = [leaf for leaf in fit if not isinstance(leaf, keras.layers.InputLayer)]
        if not fit:
            raise ValueError(f"{model.name} has no layer with rows and columns to look at.")
        return fit[-1]
    for leaf in spatial:
        if leaf is layer or leaf.name == layer:
            return leaf
    names = ", ".join(leaf.name for leaf in spatial[-5:])
    raise ValueError(
        f"{model.name} has no layer '{layer}' with rows and columns; the last: {names}."
    )


def _leaves(model):
    """Return the layers in order, those inside inner models in place of these."""
    found = []
    for layer in model.layers:
        found += _leaves(layer) if hasattr(layer, "layers") else [layer]
    return found


def _shape(layer):
    try:
        return tuple(layer.output.shape)
    except (AttributeError, ValueError):  # never called, or called in two places
        return ()


@contextlib.contextmanager
def _watched(layer, tape):
    """Keep what the layer puts out, and let the gradient with respect to it be asked for.

    Works inside nested and reloaded models, whose own tensors are cut off from the outputs.
    """
    kept, call = [], layer.call

    def watching(*inputs, **options):
        output = call(*inputs, **options)
        tape.watch(output)
        kept.append(output)
        return output

    object.__setattr__(layer, "call", watching)
    try:
        yield kept
    finally:
        object.__delattr__(layer, "call")


@contextlib.contextmanager
def _logits(last):
    """Take the sigmoid or softmax off the last layer: where it is sure, its slope is zero."""
    if isinstance(last, keras.layers.Softmax):
        object.__setattr__(last, "call", lambda inputs, *_, **__: inputs)
        try:
            yield
        finally:
            object.__delattr__(last, "call")
    elif hasattr(last, "activation"):
        kept, last.activation = last.activation, keras.activations.linear
        try:
            yield
        finally:
            last.activation = kept
    else:
        yield


def _explain(model, images, classes, layer, last, method):
    # with variables watched, gradients would run on below the layer, down to the first weights
    tape = tf.GradientTape(watch_accessed_variables=False)
    with tape, _watched(layer, tape) as kept, _logits(last):
        scores = tf.cast(model(images, training=False), tf.float32)
        scores = tf.reshape(scores, (len(images), -1))
        if scores.shape[1] == 1:  # one sigmoid unit: what speaks against class 1 is class 0
            scores = tf.concat([-scores, scores], axis=1)
        if classes is None:
            classes = tf.argmax(scores, axis=1).numpy()
        if np.min(classes) < 0 or np.max(classes) >= scores.shape[1]:
            raise ValueError(f"The classes are 0 to {scores.shape[1] - 1}; {classes} is not.")
        score = SCALE * tf.reduce_sum(tf.gather(scores, classes, axis=1, batch_dims=1))
    features = kept[-1]
    slopes = tf.cast(tape.gradient(score, features), tf.float32) / SCALE
    features = tf.cast(features, tf.float32)
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
    box = cv2.INTER_AREA
    return (
        np.array([cv2.resize(np.float32(m), (size, size), interpolation=box) for m in masks]) >= 0.5
    )


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
    inside, all_of_it = (maps * masks).sum(axis=(1, 2)), maps.sum(axis=(1, 2))
    return np.divide(inside, all_of_it, out=np.zeros(len(maps)), where=all_of_it > 0)


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
    for layer, fresh in reversed(list(zip(*map(_leaves, copies), strict=True))):
        if layer.weights:
            layer.set_weights(fresh.get_weights())
            yield layer.name, copies[0]
