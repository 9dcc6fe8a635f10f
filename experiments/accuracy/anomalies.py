"""The ladder of lesson 7 on the chest X-rays: scores fitted to healthy training images only."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

import cv2
import numpy as np
from sklearn.decomposition import PCA

from experiments.accuracy.classifiers import timed
from experiments.accuracy.setting import clock, of_label
from helpers import anomaly, evaluation, pipelines, recipes, runtime
from helpers.backend import keras

FALSE_ALARMS = 0.05


def grey(rows, classes):
    """Return images as lesson 7's ladder sees them, uint8 [N, 64, 64]."""
    batches = pipelines.batches(rows, classes, 64)
    return np.concatenate([np.uint8(images[..., 0]) for images, _ in batches])


def residual(known, new):
    """Return what 32 principal components of the normals leave of each image."""
    known, new = (images.reshape(len(images), -1) / 255 for images in (known, new))
    pca = PCA(32, random_state=0).fit(known)
    return ((new - pca.inverse_transform(pca.transform(new))) ** 2).mean(axis=1)


SCORES = {  # from normal training images and a table's images (pixels) and files (paths)
    "file_size": lambda known, new, paths: evaluation.file_sizes(paths),
    "mean_intensity": lambda known, new, paths: new.mean(axis=(1, 2)),
    "sharpness": lambda known, new, paths: np.array(
        [cv2.Laplacian(image, cv2.CV_64F).var() for image in new]
    ),
    "pca_residual": lambda known, new, paths: residual(known, new),
    "spectrum_neighbours": lambda known, new, paths: anomaly.neighbours(
        *map(anomaly.spectrum, (known, new))
    ),
    "patch_distances": lambda known, new, paths: anomaly.patch_distances(known, new),
}


def scores(name, seed, setting):
    """Return the records of the scores that need no network."""
    normals, held_out, test = tables(setting)
    known, both = grey(normals, setting.classes), [held_out, test]
    pixels, records = [grey(rows, setting.classes) for rows in both], []
    for kind, score in SCORES.items():
        seconds = clock()
        # in one call: what is drawn or fitted is the same for both
        paths = [*held_out["path"], *test["path"]]
        found = score(known, np.concatenate(pixels), paths)
        parameters = 33 * known[0].size if kind == "pca_residual" else 0
        parts = found[: len(held_out)], found[len(held_out) :]
        record = rung(kind, seed, held_out, test, *parts, setting.classes[0])
        records.append(record | {"seconds": seconds(), "parameters": parameters})
    return records


def autoencoder(name, seed, setting):
    """Train the lean autoencoder on normals as lesson 7 does; return the records of its scores."""
    normals, held_out, test = tables(setting)
    size, file = setting.size or 128, setting.file(name, seed)
    total = setting.epochs or runtime.epochs("lean_autoencoder", False)
    given = normals, None, setting.classes, size, total
    network, trained = timed(recipes.lean_autoencoder, *given, file=file, seed=seed)
    parts = [pipelines.batches(x, setting.classes, size) for x in (normals, held_out, test)]
    encoder = keras.Model(network.input, network.get_layer("latent").output)
    seconds = clock()
    _, known, new = (anomaly.errors(network, part)["MSE"].to_numpy() for part in parts)
    codes = [encoder.predict(part, verbose=0) for part in parts]
    away = [anomaly.mahalanobis(codes[0], code) for code in codes[1:]]
    # the median takes one half of the held-out patients, the alarm the other
    half = held_out["group"].isin(held_out["group"].unique()[::2]).to_numpy()
    sided = [anomaly.two_sided(error, known[half]) for error in (known[~half], new)]
    found = {"autoencoder": (held_out, known, new), "autoencoder_mahalanobis": (held_out, *away)}
    found["autoencoder_two_sided"] = (held_out[~half], *sided)
    spent = trained | {"seconds": trained["seconds"] + seconds(), "size": size}
    counts = {"autoencoder_mahalanobis": encoder.count_params()}
    return [
        rung(kind, seed, rows, test, *pair, setting.classes[0])
        | spent
        | {"parameters": counts.get(kind, network.count_params())}
        for kind, (rows, *pair) in found.items()
    ]


def tables(setting):
    """Return the normal images of train and validation, and all of test."""
    normal, (train, validation, test) = setting.classes[0], setting.parts
    return of_label(train, normal), of_label(validation, normal), test


def rung(kind, seed, held_out, test, known, new, normal):
    """Return the record of one score.

    Parameters
    ----------
    kind : str
        What scored.
    seed : int
        With which it was fitted.
    held_out, test : DataFrame
        Held-out normal images, and test images.
    known, new : array of float
        Their scores.
    normal : str
        The label of normal images.
    """
    sick = (test["label"] != normal).to_numpy()
    record = {"name": f"anomaly_{kind}", "seed": seed}
    record |= anomaly.signed_auc(sick, new, test["group"])
    alone = ~held_out["group"].duplicated().to_numpy()  # one image a patient
    called = new > anomaly.threshold(known[alone], FALSE_ALARMS)
    record |= {"false_alarms": called[~sick].mean(), "sensitivity": called[sick].mean()}
    return record | {"held_out": int(alone.sum()), "test_images": len(test)}


def measure(name, seed, setting):
    """Return the records of several scores."""
    keras.utils.set_random_seed(seed)
    return {"anomaly_scores": scores, "anomaly_autoencoder": autoencoder}[name](name, seed, setting)
