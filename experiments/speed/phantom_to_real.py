"""Train CompactNet on drawn chests alone, test it on real ones.

    python -m experiments.speed.phantom_to_real ARCHIVE.zip [--seeds 3] [--phantoms 2400]

ARCHIVE.zip holds the pneumonia set: images under .../test/NORMAL and .../test/PNEUMONIA.
"""

import zipfile
from multiprocessing import get_context
from pathlib import PurePosixPath

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from experiments.speed.harness import LABELS, arguments, chest

SIZE = 128
EPOCHS = 6
BATCH = 32


def drawn(patient):
    """Draw one patient's chest: every second is healthy, the others have either pneumonia."""
    return chest(patient, SIZE, SIZE), LABELS[patient % len(LABELS)] != "normal"


def phantoms(count):
    """Return `count` drawn images and whether each shows a pneumonia."""
    with get_context("spawn").Pool(2) as pool:  # fork would copy a started TensorFlow
        pairs = pool.map(drawn, range(count), chunksize=50)
    images, labels = zip(*pairs, strict=True)
    return np.array(images), np.array(labels)


def real_images(archive):
    """Return the archive's test images and whether each shows a pneumonia."""
    images, labels = [], []
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(opened.namelist()):
            parts = PurePosixPath(name).parts
            folder = "/".join(parts[-3:-1])
            if "__MACOSX" in parts or folder not in ("test/NORMAL", "test/PNEUMONIA"):
                continue
            pixels = cv2.imdecode(np.frombuffer(opened.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
            if pixels is not None:
                images.append(cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
                labels.append(parts[-2] == "PNEUMONIA")
    return np.array(images), np.array(labels)


def varied(image, rng):
    """Turn, move, blur or sharpen, and re-expose one training image a little."""
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), rng.normal(0, 4), rng.uniform(0.9, 1.12))
    matrix[:, 2] += rng.normal(0, 0.03 * SIZE, 2)
    image = cv2.warpAffine(
        image.astype(np.float32), matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE
    )
    choice = rng.uniform()
    if choice < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.3))
    elif choice < 0.7:
        image += rng.uniform(0.2, 1.2) * (image - cv2.GaussianBlur(image, (0, 0), 1.6))
    image = 255 * (np.clip(image, 0, 255) / 255) ** np.exp(rng.normal(0, 0.25))
    image = image * rng.uniform(0.8, 1.2) + rng.uniform(-20, 20)
    return np.clip(image + rng.normal(0, rng.uniform(0, 5), image.shape), 0, 255)


def train(images, labels, seed):
    """Train one CompactNet on the drawn images."""
    import keras  # here, so that the drawing workers do not load TensorFlow

    from helpers.models import compactnet

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    network = compactnet(SIZE)
    steps = EPOCHS * -(-len(images) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    network.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
    for _ in range(EPOCHS):
        batch = np.array([varied(image, rng) for image in images], np.float32)[..., None]
        network.fit(batch, labels.astype(np.float32), batch_size=BATCH, verbose=0)
    return network


def main():
    args = arguments(__doc__, "archive", seeds=3, phantoms=2400)
    test, truth = real_images(args.archive)
    print(f"{len(truth)} real test images, {truth.mean():.0%} with pneumonia", flush=True)
    images, labels = phantoms(args.phantoms)
    for seed in range(args.seeds):
        network = train(images, labels, seed)
        score = network.predict(test[..., None].astype(np.float32), verbose=0)[:, 0]
        print(f"seed {seed}: AUC on real images {roc_auc_score(truth, score):.3f}", flush=True)


if __name__ == "__main__":
    main()
