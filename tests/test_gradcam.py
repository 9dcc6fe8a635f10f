"""Heat maps: every kind of model, both classes, where they lie, and what they are worth."""

import numpy as np
import pytest

from helpers import gradcam, models
from helpers.backend import keras, tf

layers = keras.layers
PIXELS = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype("float32")


def convolutions():
    return [
        layers.Conv2D(6, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(8, 3, padding="same", activation="relu", name="last"),
    ]


def sequential(units=1, activation="sigmoid"):
    head = [layers.Flatten(), layers.Dense(units, activation=activation)]
    return keras.Sequential([keras.Input((32, 32, 3)), *convolutions(), *head])


def functional(units=1, activation="sigmoid", row=layers.GlobalAveragePooling2D):
    pixels = x = keras.Input((32, 32, 3))
    for layer in convolutions():
        x = layer(x)
    x = layers.Dense(units, activation=activation)(row()(x))
    return keras.Model(pixels, x)


def nested():
    body = keras.Sequential([keras.Input((32, 32, 3)), *convolutions()])
    head = [layers.GlobalAveragePooling2D(), layers.Dense(1, activation="sigmoid")]
    return keras.Sequential([keras.Input((32, 32, 3)), body, *head])


def sigmoid_apart():
    model = sequential(activation=None)
    return keras.Sequential([*model.layers, layers.Activation("sigmoid")])


def vgg16():
    base, _ = models.vgg16(32)
    return models.joined(base, models.lean_head(base.output.shape[1:]))


def vgg16_nested():
    base = keras.applications.VGG16(False, None, input_shape=(32, 32, 3))
    return keras.Sequential([base, layers.Flatten(), layers.Dense(1, activation="sigmoid")])


KINDS = [sequential, functional, nested, sigmoid_apart, vgg16, vgg16_nested]


def by_definition(model, images, sign, method="gradcam"):
    """Work out the map of a functional model ending in Dense, the textbook's way."""
    last = model.layers[-1]
    parts = keras.Model(model.input, [model.get_layer("last").output, model.layers[-2].output])
    kernel, bias = last.get_weights()
    with tf.GradientTape() as tape:
        features, pooled = parts(images)
        score = sign * (pooled @ kernel[:, :1] + bias[:1])
    slopes = tape.gradient(score, features).numpy()
    if method == "gradcam":
        slopes = slopes.mean((1, 2), keepdims=True)
    return np.maximum((slopes * features.numpy()).sum(-1), 0)


@pytest.mark.parametrize("row", [layers.GlobalAveragePooling2D, layers.Flatten])
@pytest.mark.parametrize("method", gradcam.METHODS)
@pytest.mark.parametrize("wanted", [0, 1])
def test_it_is_what_the_paper_says(wanted, method, row):
    keras.utils.set_random_seed(2)
    model = functional(row=row)
    expected = by_definition(model, PIXELS, 1 if wanted else -1, method)
    found = gradcam.heat_maps(model, PIXELS, wanted, method=method)
    # 15 cells, 2 pixels apart, in the middle of 32: so one pixel of margin
    assert (found[:, [0, -1]] == 0).all() and (found[:, :, [0, -1]] == 0).all()
    large = tf.image.resize(expected[..., None], (30, 30))[..., 0].numpy()
    large /= np.maximum(large.max((1, 2), keepdims=True), 1e-12)
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], large, atol=1e-5)


@pytest.mark.parametrize("build", KINDS)
def test_kinds_of_models_new_and_reloaded(build, tmp_path):
    keras.utils.set_random_seed(1)
    model = build()
    before = model.predict(PIXELS, verbose=0)
    maps = gradcam.heat_maps(model, PIXELS)
    assert maps.shape == (5, 32, 32) and maps.dtype == np.float32
    assert np.isfinite(maps).all() and maps.min() >= 0 and maps.max() <= 1
    assert (maps.max((1, 2)) > 0.999).any()
    np.testing.assert_array_equal(model.predict(PIXELS, verbose=0), before)  # left as it was
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(gradcam.heat_maps(again, PIXELS), maps, atol=1e-4)


def test_sigmoid_apart_or_inside_is_the_same():
    keras.utils.set_random_seed(1)
    inside = sequential()
    apart = sigmoid_apart()
    apart.set_weights(inside.get_weights())
    maps = [gradcam.heat_maps(model, PIXELS, 1) for model in (inside, apart)]
    np.testing.assert_allclose(*maps, atol=1e-5)


@pytest.mark.parametrize("build", [sequential, functional])
def test_softmax_explains_each_class(build):
    keras.utils.set_random_seed(3)
    model = build(3, "softmax")
    called = model.predict(PIXELS, verbose=0).argmax(1)
    own = gradcam.heat_maps(model, PIXELS)
    np.testing.assert_array_equal(own, gradcam.heat_maps(model, PIXELS, called))
    other = gradcam.heat_maps(model, PIXELS, (called + 1) % 3)
    assert np.abs(own - other).max() > 0.1


def test_softmax_layer_apart():
    keras.utils.set_random_seed(3)
    model = functional(3, "softmax")
    apart = keras.Model(model.input, layers.Softmax()(functional(3, None)(model.input)))
    apart.set_weights(model.get_weights())
    maps = [gradcam.heat_maps(m, PIXELS, 2) for m in (model, apart)]
    np.testing.assert_allclose(*maps, atol=1e-5)


def test_a_sure_network_still_has_a_map():
    keras.utils.set_random_seed(1)
    model = functional()
    weights = [200 * w for w in model.layers[-1].get_weights()]
    model.layers[-1].set_weights([np.abs(weights[0]), weights[1] + 500])
    assert model.predict(PIXELS, verbose=0).min() == 1  # the sigmoid's slope is 0 here
    assert (gradcam.heat_maps(model, PIXELS, 1).max((1, 2)) > 0.999).all()


def test_a_flat_map_stays_zero():
    model = functional()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([np.abs(kernel), bias])
    maps = gradcam.heat_maps(model, PIXELS, 0)  # nothing speaks for class 0
    assert (maps == 0).all()
    masks = np.ones(maps.shape, bool)
    assert not gradcam.pointing(maps, masks).any() and (gradcam.energy(maps, masks) == 0).all()


def test_a_batch_is_as_one_by_one(monkeypatch):
    model = functional()
    whole = gradcam.heat_maps(model, PIXELS, 1)
    single = np.concatenate([gradcam.heat_maps(model, x[None], 1) for x in PIXELS])
    monkeypatch.setattr(gradcam, "BATCH", 2)
    parts = gradcam.heat_maps(model, PIXELS, 1)
    np.testing.assert_allclose(whole, single, atol=1e-5)
    np.testing.assert_allclose(whole, parts, atol=1e-5)
    assert gradcam.heat_maps(model, PIXELS[:0], 1).shape == (0, 32, 32)


def test_no_gradient_is_worked_out_before_the_layer():
    """Most of the work lies there; without it maps of VGG16 take a third of the time."""
    gone_back = []

    @tf.custom_gradient
    def noticed(x):
        return tf.identity(x), lambda slopes: gone_back.append(1) or slopes

    class Noticing(layers.Layer):
        def call(self, x):
            return noticed(x)

    first, *others = convolutions()
    head = [layers.Flatten(), layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((32, 32, 3)), first, Noticing(), *others, *head])
    maps = gradcam.heat_maps(model, PIXELS, 1)
    assert maps.max() > 0 and not gone_back
    gradcam.heat_maps(model, PIXELS, 1, layer=first.name)
    assert gone_back


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_half_precision(policy):
    keras.utils.set_random_seed(1)
    full = functional()
    weights = [w * 1e-3 if n == 4 else w for n, w in enumerate(full.get_weights())]
    full.set_weights(weights)  # so small that float16 alone would lose the gradient
    keras.config.set_dtype_policy(policy)
    try:
        half = functional()
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(weights)
    maps = [gradcam.heat_maps(model, PIXELS, 1) for model in (full, half)]
    np.testing.assert_allclose(*maps, atol=0.05)


@pytest.mark.parametrize(
    "build, name",
    [(lambda: models.smallnet(48), "conv2d"), (lambda: models.compactnet(64), "re_lu"),
     (vgg16, "block5_conv3"), (vgg16_nested, "block5_conv3")],
)  # fmt: skip
def test_the_layer_that_is_meant(build, name):
    layer = gradcam.find_layer(build())
    assert layer.name.startswith(name) and len(layer.output.shape) == 4


def test_another_layer_by_name():
    model = sequential()
    first = gradcam.heat_maps(model, PIXELS, 1, layer=model.layers[0].name)
    assert np.abs(first - gradcam.heat_maps(model, PIXELS, 1)).max() > 0.1


@pytest.mark.parametrize(
    "options, said",
    [({"layer": "nose"}, "no layer 'nose'"), ({"method": "scorecam"}, "no method 'scorecam'"),
     ({"class_index": 2}, "classes are 0 to 1")],
)  # fmt: skip
def test_what_does_not_exist_is_said(options, said):
    with pytest.raises(ValueError, match=said):
        gradcam.heat_maps(functional(), PIXELS, **options)


def test_nothing_to_look_at():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="no layer with rows and columns"):
        gradcam.find_layer(model)


@pytest.mark.parametrize("corner", [(6, 6), (6, 200), (150, 12), (205, 205)])
def test_a_map_lies_over_what_it_shows(corner):
    """SmallNet without padding: a bright spot is found where it is, not pushed outward."""
    model = models.smallnet(224, 1)
    kernels = [layer for layer in model.layers if layer.name.startswith("conv2d")]
    for layer in kernels:
        kernel = np.zeros(layer.kernel.shape, "float32")
        kernel[1, 1, 0, 0] = 1  # hands its middle pixel on
        layer.set_weights([kernel, np.zeros(layer.filters, "float32")])
    for layer in model.layers[-2:]:
        layer.set_weights([np.abs(w) for w in layer.get_weights()])
    row, column = corner
    image = np.zeros((1, 224, 224, 1), "float32")
    image[0, row : row + 12, column : column + 12] = 255
    heat = gradcam.heat_maps(model, image, 1, method="hirescam")[0]
    rows, columns = np.indices(heat.shape)
    found = [(axis * heat).sum() / heat.sum() for axis in (rows, columns)]
    inside = [np.clip(k + 5.5, 11.5, 212.5) for k in corner]  # no cell's centre is further out
    assert np.abs(np.subtract(found, inside)).max() < 2.5


def test_pointing_and_energy_by_hand():
    maps = np.zeros((3, 4, 4), "float32")
    masks = np.zeros((3, 4, 4), bool)
    maps[0, 1, 1], maps[0, 2, 2], masks[0, :2, :2] = 1, 0.5, True
    maps[1, 3, 3], maps[1, 0, 0], masks[1, :2, :2] = 1, 0.25, True
    assert gradcam.pointing(maps, masks).tolist() == [True, False, False]
    np.testing.assert_allclose(gradcam.energy(maps, masks), [2 / 3, 0.2, 0])


def test_a_map_of_noise_scores_chance():
    rng = np.random.default_rng(4)
    maps, masks = rng.uniform(size=(2000, 8, 8)), np.zeros((2000, 8, 8), bool)
    masks[:, :4, :4] = True
    assert gradcam.pointing(maps, masks).mean() == pytest.approx(0.25, abs=0.04)
    assert gradcam.energy(maps, masks).mean() == pytest.approx(0.25, abs=0.01)


def test_masks_shrink_with_the_image():
    mask = np.zeros((100, 60), bool)
    mask[50:, 30:] = True
    small = gradcam.at_size([mask, ~mask], 10)
    assert small.shape == (2, 10, 10) and small[0, 5:, 5:].all() and small[0].sum() == 25
    assert (small[1] == ~small[0]).all()


def test_randomised_from_the_top_down():
    model = functional()
    kept = model.get_weights()
    seen = []
    for name, copy in gradcam.randomised(model):
        same = [np.array_equal(a, b) for a, b in zip(kept, copy.get_weights(), strict=True)]
        seen.append((name, same))
    assert [name for name, _ in seen] == [n.name for n in reversed(model.layers) if n.weights]
    assert not seen[0][1][4] and all(seen[0][1][:4])  # first only the last layer's kernel
    assert not any(seen[-1][1][::2])  # in the end every kernel; biases start at zero anyway
    np.testing.assert_equal(model.get_weights(), kept)


def test_a_network_that_was_never_called_has_nothing_to_look_at():
    model = keras.Sequential(convolutions())
    with pytest.raises(ValueError, match="has no layer with rows and columns"):
        gradcam.find_layer(model)
