"""Where a lesson runs, what it may use there, and its settings: seed, epochs, sizes."""

import contextlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEED = int(os.environ.get("COURSE_SEED", 42))  # another one: does a lesson hold up?
# Epochs of every network, on the drawn sample and on a real archive: nowhere else in the course.
EPOCHS = {
    "smallnet": (10, 10),
    "compactnet": (5, 16),
    "vgg16": (15, 15),
    "chapter_head": (1, 5),
    "vgg16_last_block": (1, 1),
    "narrow_vgg": (6, 6),
    "marker": (8, 8),
    "flat_autoencoder": (5, 20),
    "lean_autoencoder": (20, 25),
    "oct_classifier": (8, 8),
    "oct_autoencoder": (14, 18),
    "alexnet": (15, 30),
    "capstone": (10, 15),
    "own": (6, 15),
    "alexnet_steps": (110, 1500),  # in batches of 16, however many images there are
}
# Height and width of the images from lesson 5 on: on the sample, on a real archive without a GPU,
# and with one. VGG16 without a GPU takes 160 ms for an image of 224 x 224.
SIZES = {
    "smallnet": (112, 224, 224),
    "compactnet": (128, 64, 64),
    "vgg16": (64, 96, 224),
    "alexnet": (131, 131, 227),
    "capstone": (112, 128, 224),
}


def setup():
    """Print one line: where this runs, its GPU, Keras, and where the images come from."""
    where = "Colab" if in_colab() else "this computer"
    keras = importlib.metadata.version("keras")
    images = Path(source()).name  # of an archive the name only, not where it lies
    found = gpu()
    print(f"Running on {where} · GPU: {found or 'none'} · Keras {keras} · images: {images}")
    if in_colab() and not found:
        print("No GPU here: Runtime > Change runtime type > T4 GPU makes training 10 times faster.")
    if in_colab() and images == "auto":
        print("auto: Kaggle's images, many gigabytes. For the drawn sample run")
        print("%env COURSE_SOURCE=sample in a cell of its own, and then this cell again.")


@contextlib.contextmanager
def quiet():
    """Silence what C++ libraries write to the error stream; Python's errors still get through."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def in_colab():
    """Tell whether this is a Colab runtime."""
    return "google.colab" in sys.modules


def gpu():
    """Return what kind of GPU the machine has, without importing TensorFlow, or None.

    The driver's program is asked: where it is without a GPU, as in some of Colab's runtimes, it
    says that it has failed.
    """
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = ["nvidia-smi", "--list-gpus"]
        listed = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
        return "NVIDIA" if listed.stdout.startswith("GPU ") else None
    return None


def data_root():
    """Return the folder where archives and images live, `COURSE_DATA` or the course's data/."""
    return Path(os.environ.get("COURSE_DATA", ROOT / "data")).expanduser().absolute()


def build_root():
    """Return the folder of what can be made anew, `COURSE_BUILD` or the course's build/."""
    return Path(os.environ.get("COURSE_BUILD") or ROOT / "build").expanduser()


def source():
    """Return `COURSE_SOURCE`: "auto", "sample", "kaggle" or the path of a zip archive.

    Raises
    ------
    ValueError
        When it is none of these.
    """
    wanted = os.environ.get("COURSE_SOURCE", "auto") or "auto"
    if wanted in ("auto", "sample", "kaggle"):
        return wanted
    if wanted.endswith(".zip") and Path(wanted).is_file():
        return str(Path(wanted).resolve())
    raise ValueError(
        f"COURSE_SOURCE is '{wanted}': use auto, sample, kaggle, or the path of an existing .zip."
    )


def epochs(name, sample):
    """Return how many epochs a network trains: few on the sample, more on real images."""
    return EPOCHS[name][0 if sample else 1]


def size(name, sample):
    """Return the images' height and width for a network: small where there is no GPU."""
    return SIZES[name][0 if sample else 2 if gpu() else 1]
