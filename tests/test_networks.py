"""Random small networks: explained, joined and asked rightly, or refused in one sentence.

Every network is made from a seed, so that what fails fails again: the seed is in its id.
"""

import numpy as np
import pytest
from one_sentence import sentence
from PIL import Image
from random_cases import MANY

from helpers import evaluation, gradcam, images, models
from helpers.backend import keras, tf

layers = keras.layers
SIZE = 16
SLOW = range(8, 8 + MANY // 10)
SEEDS = [*range(8), *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)]
KINDS = ["sigmoid", "sigmoid apart", "sigmoid handed on", "softmax", "linear", "heads", "inputs"]


def body(rng, x):
    """Put some convolutions, branches, nested backbones and what stands between on a tensor."""
    for _ in range(rng.integers(1, 4)):
        kind, width = rng.integers(6), int(rng.integers(3, 6))
        padding = str(rng.choice(["same", "valid"]))
        if kind == 0:
            sides = [layers.Conv2D(width, k, padding="same")(x) for k in (1, 3)]
            x = layers.ReLU()(layers.Add()(sides))
        elif kind == 1:  # as MobileNet's squeeze and excitation has them: cells of 1 x 1 beside
            squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
            x = layers.Multiply()(
                [x, layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(squeezed)]
            )
        elif kind == 2:
            inner = [layers.Conv2D(width, 3, padding=padding), layers.BatchNormalization()]
            first = [keras.Input(x.shape[1:])] if rng.integers(2) else []
            x = keras.Sequential([*first, *inner, layers.ReLU()])(x)
        elif kind == 3:
            inside = keras.Input(x.shape[1:])
            x = keras.Model(inside, layers.Conv2D(width, 3, padding=padding)(inside))(x)
        else:
            x = layers.Conv2D(width, 3, padding=padding, activation="relu")(x)
            x = layers.Dropout(0.3)(x) if kind == 4 else layers.BatchNormalization()(x)
        if rng.integers(2) and x.shape[1] > 7:
            x = layers.MaxPooling2D(2)(x)
    return layers.Conv2D(4, 3, padding="same", activation="relu", name="last")(x)


def pooled(rng, x):
    """Turn cells into features, in one of the ways people do."""
    kind = rng.integers(5)
    if kind == 0:
        return layers.Flatten()(x)
    if kind < 3:
        return (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)[kind - 1]()(x)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    if kind == 4:
        x = layers.Conv2D(5, 1, activation="relu")(layers.Dropout(0.3)(x))
    return layers.Flatten()(x)


def answer(rng, kind, x):
    """Put an answer of a kind on features."""
    units = {"softmax": 3, "linear": int(rng.choice([1, 3]))}.get(kind, 1)
    raw = layers.Dense(units)
    if kind == "sigmoid apart":
        return layers.Activation("sigmoid")(raw(x))
    if kind == "sigmoid handed on":  # as mixed precision has it
        out = layers.Dense(1, activation="sigmoid")
        return layers.Activation("linear", dtype="float32")(out(x))
    if kind == "linear":
        return raw(x)
    return layers.Dense(units, activation="softmax" if units > 1 else "sigmoid")(x)


def network(seed):
    """Return a network, and which of `KINDS` it is."""
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    kind = KINDS[seed % len(KINDS)]
    pixels = keras.Input((SIZE, SIZE, int(rng.choice([1, 3]))))
    cells = body(rng, layers.Rescaling(1 / 255)(pixels))
    features = pooled(rng, cells)
    if kind == "heads":
        out = [layers.Dense(1, activation="sigmoid")(features) for _ in range(2)]
        return keras.Model(pixels, out), kind
    if kind == "inputs":
        age = keras.Input((1,))
        joint = layers.Concatenate()([features, age])
        return keras.Model([pixels, age], layers.Dense(1, activation="sigmoid")(joint)), kind
    return keras.Model(pixels, answer(rng, kind, features)), kind


def pictures(seed, channels):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (3, SIZE, SIZE, channels)).astype("float32")


def plain_gradcam(model, x, wanted):
    """Work Grad-CAM out of a sub-model that gives the cells and the scores, as the paper has it."""
    dense = [layer for layer in model.layers if isinstance(layer, layers.Dense)][-1]
    parts = keras.Model(model.input, [model.get_layer("last").output, dense.input])
    with tf.GradientTape() as tape:
        cells, features = parts(x, training=False)
        scores = features @ dense.kernel + dense.bias
        scores = tf.concat([-scores, scores], 1) if scores.shape[1] == 1 else scores
        called = tf.argmax(scores, 1) if wanted is None else [wanted] * len(x)
        score = tf.reduce_sum(tf.gather(scores, called, axis=1, batch_dims=1))
    slopes = tf.reduce_mean(tape.gradient(score, cells), (1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(slopes * cells, -1, keepdims=True))
    maps = gradcam._over(maps, x.shape[1:3]).numpy()
    highest = maps.max((1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_is_explained_and_asked_rightly(seed, tmp_path):
    model, kind = network(seed)
    x = pictures(seed, model.inputs[0].shape[-1])
    Image.fromarray(x[0, ..., 0].astype(np.uint8)).save(tmp_path / "a.png")
    if kind in ("heads", "inputs"):
        said = sentence(lambda: gradcam.heat_maps(model, x, 1))
        assert "build keras.Model(inputs, output)" in said
        sentence(lambda: evaluation.predict_image(model, tmp_path / "a.png"))
        return
    for wanted in (None, 0, 1):
        maps = gradcam.heat_maps(model, x, wanted)
        assert maps.shape == x.shape[:3] and maps.min() >= 0 and maps.max() <= 1
        np.testing.assert_allclose(maps, plain_gradcam(model, x, wanted), atol=2e-3)
    each = np.ones((3, 1), "float32")  # as the labels of a batch are
    np.testing.assert_array_equal(gradcam.heat_maps(model, x, each), maps)
    if not kind.startswith("sigmoid"):
        sentence(lambda: evaluation.predict_image(model, tmp_path / "a.png"))
        return
    seen = images.read(tmp_path / "a.png", SIZE, x.shape[-1])[None].astype("float32")
    told = evaluation.predict_image(model, tmp_path / "a.png")
    assert 0 <= told <= 1 and told == pytest.approx(model.predict(seen, verbose=0)[0, 0], abs=1e-6)


def head(rng, shape):
    """Return a head of a random build: Sequential with or without Input, or with branches."""
    first = layers.BatchNormalization(), layers.GlobalAveragePooling2D(), layers.Flatten()
    kind, begin = rng.integers(4), first[rng.integers(3)]
    rest = [
        layers.Flatten(),
        layers.Dense(5, "relu"),
        layers.Dropout(0.5),
        layers.Dense(1, "sigmoid"),
    ]
    if kind < 2:
        built = keras.Sequential([*([keras.Input(shape)] if kind else []), begin, *rest])
        built(np.zeros((1, *shape), "float32"))
        return built, True
    x = values = keras.Input(shape)
    for layer in (begin, *rest[:-1]):
        x = layer(x)
    if kind == 3:
        x = layers.Concatenate()([x, layers.Flatten()(layers.GlobalMaxPooling2D()(values))])
    return keras.Model(values, rest[-1](x)), kind == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_joined_is_the_head_on_its_base(seed):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((SIZE, SIZE, 1))
    base = keras.Model(pixels, layers.Conv2D(3, 3, strides=3)(layers.Conv2D(3, 3)(pixels)))
    top, chain = head(rng, base.output.shape[1:])
    for weight in top.weights:
        weight.assign(rng.uniform(0.1, 1, weight.shape))
    model, x = models.joined(base, top), pictures(seed, 1) / 255
    np.testing.assert_allclose(model(x), top(base(x)), atol=1e-6)
    assert model.output_shape == (None, 1) and len(models.leaves(model)) == len(model.layers)
    assert sum(layer in model.layers for layer in top.layers) >= len(top.layers) - 1
    again = keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again(x), model(x), atol=1e-6)
    assert not chain or len(model.layers) <= len(base.layers) + len(top.layers)


def test_cells_of_one_by_one_are_no_map():
    pixels = keras.Input((SIZE, SIZE, 1))
    cells = layers.Conv2D(4, 3, name="cells")(pixels)
    one = layers.GlobalAveragePooling2D(keepdims=True, name="one")(cells)
    x = layers.Flatten()(layers.Dropout(0.2, name="dropped")(one))
    model = keras.Model(pixels, layers.Dense(1, activation="sigmoid")(x))
    assert gradcam.find_layer(model).name == "cells"
    for name in ("one", "dropped"):
        said = sentence(lambda name=name: gradcam.find_layer(model, name))
        assert f"no layer '{name}' with rows and columns" in said


@pytest.mark.parametrize(
    "wrong, said",
    [(lambda x: (x[0], 1), "write images[None]"), (lambda x: (x[:, :8], 1), "takes images"),
     (lambda x: (x[..., :1], 1), "takes images"), (lambda x: (x, [0, 1]), "one for each of 3"),
     (lambda x: (x, 0.5), "one class for all"), (lambda x: (x, "sick"), "one class for all"),
     (lambda x: (x, np.eye(3)), "one class for all"), (lambda x: (x, [0, 5, -9]), "-9 is not")],
)  # fmt: skip
def test_slips_are_said(wrong, said):
    pixels = keras.Input((SIZE, SIZE, 3))
    x = layers.Flatten()(layers.Conv2D(2, 3)(pixels))
    model = keras.Model(pixels, layers.Dense(1, activation="sigmoid")(x))
    assert said in sentence(lambda: gradcam.heat_maps(model, *wrong(pictures(0, 3))))
