"""What every benchmark is beside, how its ratio is formed, and what the course aims at."""

from collections.abc import Callable
from typing import NamedTuple

RATE = "ours / other"  # of images a second: higher is better
SPEED_UP = "other / ours"  # of seconds: how many times as fast
COST = "ours / other, lower is better"  # of seconds
START = "other / ours, not the same work"  # of seconds: what each must load differs
GROWTH = "at 10n / at n"  # of memory: near 1 it does not grow
SCORE = "AUC, ours / other"
SPEED = (RATE, SPEED_UP, COST)  # forms that compare how fast two ways are


class Aim(NamedTuple):
    """What is wanted: in words, and a function from record and ratio to met, not met or None."""

    words: str
    met: Callable
    mark: float | None = None  # the ratio to reach, where it is one


class Row(NamedTuple):
    """One measurement: its record's name, what was done, beside what, and the aim."""

    name: str
    what: str
    beside: str
    form: str | None = None
    aim: Aim | None = None


def least(value):
    """Aim at a ratio of at least this."""
    return Aim(f"at least {value:g}", lambda record, ratio: ratio >= value, value)


def most(value):
    """Aim at a ratio of at most this."""
    return Aim(f"at most {value:g}", lambda record, ratio: ratio <= value, value)


def under(seconds):
    """Aim at fewer seconds than these, whatever the other way takes."""
    return Aim(f"ours under {seconds:g} s", lambda record, ratio: record["ours"] < seconds)


def fits(record, ratio):
    """Tell whether knn did every size that rbf could not; None where rbf could do all."""
    unfit = [key.rpartition("_")[2] for key in record if key.startswith("rbf_at_")]
    return all(f"knn_seconds_at_{size}" in record for size in unfit) if unfit else None


def lean_and_better(record, ratio):
    """Tell whether a small network reached a higher AUC in less time; None if not all is known."""
    keys = ("ours_seconds", "other_seconds", "ours_parameters")
    if any(key not in record for key in keys):
        return None
    ours, other, parameters = (record[key] for key in keys)
    return ratio > 1 and ours < other and parameters < 500_000


GENERATOR = "`ImageDataGenerator`"
SAMPLES = ("chest_xray", "covid_radiography", "oct2017", "rfmid", "vietai_retina")
ROWS = (
    Row("tables.chest_xray", "table of a folder", "`os.walk`, a list of paths", COST, most(3)),
    *(Row(f"phantoms.{name}", f"drawing the sample of {name}", "") for name in SAMPLES),
    Row("phantoms.all", "drawing the samples of all five data sets", "", None, under(60)),
    Row("imports.helpers", "`import helpers`", "`import tensorflow`", START, under(0.5)),
    Row("imports.lesson_1", "set-up cell of lesson 1", "`import tensorflow`", START),
    Row("imports.lesson_2", "set-up cell of lesson 2", "`import tensorflow`", START),
    Row("batches.first_epoch", "batches, first epoch", GENERATOR, RATE, least(5)),
    Row("batches.later_epochs", "batches, later epochs", GENERATOR, RATE, least(10)),
    Row("batches.large_first_epoch", "batches of large JPEGs, first epoch", GENERATOR, RATE),
    Row("batches.large_second_epoch", "batches of large JPEGs, second epoch", GENERATOR, RATE,
        least(30)),
    Row("shrunk_images.second_epoch", "batches of large PNGs shrunk once, second epoch", GENERATOR,
        RATE, least(50)),
    Row("training_speed.smallnet_epoch", "an epoch of SmallNet", GENERATOR, SPEED_UP, least(1.5)),
    Row("training_speed.smallnet_on_ready_tensors", "an epoch of SmallNet",
        "the same from tensors in memory", COST, most(1.15)),
    Row("training_speed.vgg16_head", "training a head on VGG16", "VGG16 run in every epoch",
        SPEED_UP, least(10)),
    Row("grad_cam.smallnet_against_tf_keras_vis", "Grad-CAM of SmallNet", "tf-keras-vis", RATE,
        least(1)),
    Row("grad_cam.vgg16_against_tf_keras_vis", "Grad-CAM of VGG16", "tf-keras-vis", RATE, least(1)),
    Row("grad_cam.smallnet_one_by_one", "Grad-CAM of SmallNet", "image by image", RATE, least(5)),
    Row("grad_cam.vgg16_one_by_one", "Grad-CAM of VGG16", "image by image", RATE, least(1.2)),
    Row("anomaly_scores.lean_autoencoder", "errors of the lean autoencoder",
        "a public notebook's loop", RATE, least(10)),
    Row("anomaly_scores.wide_autoencoder", "errors of a wider autoencoder",
        "a public notebook's loop", RATE),
    Row("label_spreading.knn_against_rbf", "spreading labels over nearest neighbours",
        "the full kernel, `rbf`", SPEED_UP, Aim("fits where rbf does not", fits)),
    Row("memory.training", "growth of memory in training, 10n images", "the same with n images",
        GROWTH, most(1.2)),
    Row("course.sample", "the whole course on the sample", "", None, under(600)),
    Row("course.make_test", "`make test`", "", None, under(900)),
    Row("real_chest.compactnet_against_smallnet", "CompactNet on real chests, test AUC", "SmallNet",
        SCORE, Aim("higher, in less time, under 0.5 M parameters", lean_and_better)),
)  # fmt: skip


def shown(row, value):
    """Return a kept ratio (always ours / other) the way that this row's is formed."""
    return None if value is None else 1 / value if row.form in (SPEED_UP, START) else value


def spread(row, record):
    """Return the lowest and highest ratio as this row's is formed; None of a single run."""
    if "ratio_low" not in record or record["repeats"] == 1 or row.form is None:
        return None
    return tuple(sorted(shown(row, record[key]) for key in ("ratio_low", "ratio_high")))


def met(row, record):
    """Tell whether a record meets the row's aim; None where there is none or it is not known."""
    ratio = shown(row, record["ratio"])
    if row.aim is None or (ratio is None and row.form is not None):
        return None
    return row.aim.met(record, ratio)
