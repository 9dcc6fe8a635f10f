"""What every experiment is given: an archive and its parts; and how a classifier is judged."""

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers import datasets, download, evaluation, splits

NAME = "chest_xray"
ENTRY = datasets.REGISTRY[NAME]
EDGE = 0.15  # share of each class whose file size counts as odd


class Setting(NamedTuple):
    """The course's split of the archive, and where files go.

    `size` and `epochs` replace an experiment's own: tests do that, results never.
    """

    parts: tuple
    classes: tuple
    models: Path  # trained networks, for the heat maps
    state: Path  # runs that were broken off: files here begin with the job's name and seed
    size: int | None = None
    epochs: int | None = None

    def file(self, name, seed, ending=".keras"):
        """Return where a run keeps its state after each epoch."""
        return self.state / f"{name}-{seed}{ending}"


def table(archive):
    """Unpack the archive, once, and list its images.

    Raises
    ------
    ValueError
        When it is no archive of the chest X-rays, in a plain sentence.
    """
    archive = Path(archive)
    if not archive.is_file():
        raise ValueError(f"There is no archive {archive.name}: check SOURCE.")
    try:
        fits = datasets.holds(archive, ENTRY)
    except download.DownloadError as error:  # its sentence says what to do
        raise ValueError(str(error)) from None
    if not fits:
        raise ValueError(f"{archive.name} does not hold the chest X-rays: give SOURCE=PATH.zip.")
    rows = datasets.table(NAME, datasets.fetch(NAME, str(archive.resolve())))
    if datasets.is_sample(rows):
        raise ValueError(f"{archive.name} holds drawn images: give SOURCE=PATH.zip of real ones.")
    return rows


def opened(archive, work, size=None, epochs=None):
    """Return the setting of an archive; files go below the folder `work`."""
    with contextlib.redirect_stdout(None):  # said once, by the command
        parts = splits.course_split(table(archive))
    # another archive never goes on with these files
    home = Path(work) / datasets.fingerprint(Path(archive))
    (home / "state").mkdir(parents=True, exist_ok=True)
    return Setting(parts, ENTRY.classes, home, home / "state", size, epochs)


def described(archive):
    """Return what records.json says of an archive.

    Returns
    -------
    dict
        Its fingerprint; whether it is the full set, and its test folder the official one, by the
        published counts; images by split and label, as the archive has them; images and patients
        of the course's three parts.
    """
    rows = table(archive)
    with contextlib.redirect_stdout(None):
        parts = dict(zip(("train", "validation", "test"), splits.course_split(rows), strict=True))
    counts = datasets.counts(rows, ENTRY)
    return {
        "fingerprint": datasets.fingerprint(Path(archive)),
        "full": counts == ENTRY.counts,
        "official_test": all(
            counts.get(key) == n for key, n in ENTRY.counts.items() if key[0] == "test"
        ),
        "images": {" ".join(key): int(n) for key, n in counts.items()},
        "patients": int(rows["group"].nunique()),
        "parts": {name: _numbers(part) for name, part in parts.items()},
    }


def _numbers(part):
    sick = int((part["label"] == ENTRY.classes[1]).sum())
    return {"images": len(part), "sick": sick, "patients": int(part["group"].nunique())}


def judged(name, seed, parts, classes, validation, test, threshold=None, **extras):
    """Judge a classifier: validation chooses the threshold, test is scored once.

    Parameters
    ----------
    name : str
        Of the record.
    seed : int
        With which it was trained.
    parts : tuple of DataFrame
        Train, validation and test, with columns label and group: any tables, not only the
        course's.
    classes : tuple of str
        The two labels, the sick one second.
    validation, test : array of float
        Scores of the second and third part, in the tables' order, higher for the sick.
    threshold : float, optional
        In place of the one that validation chooses.
    **extras
        More to keep, such as parameters, seconds, epochs and size.

    Returns
    -------
    dict
        The record: AUC with its interval by patient (low, high), threshold, accuracy,
        sensitivity, specificity, validation_AUC, train_images, test_images, and the extras.
    """
    truth = [(part["label"] == classes[1]).to_numpy() for part in parts[1:]]
    if threshold is None:
        threshold = evaluation.choose_threshold(truth[0], validation)
    auc, low, high = evaluation.auc_interval(truth[1], test, parts[2]["group"])
    before = evaluation.auc_interval(truth[0], validation, parts[1]["group"], repeats=1)[0]
    record = {"name": name, "seed": seed, "AUC": auc, "low": low, "high": high}
    record |= {"threshold": float(threshold), "validation_AUC": before}
    record |= evaluation.at_threshold(truth[1], test, threshold)
    return record | {"train_images": len(parts[0]), "test_images": len(parts[2])} | extras


def clock():
    """Start a clock; return the function that tells the seconds since."""
    start = time.perf_counter()
    return lambda: time.perf_counter() - start


def of_label(rows, label):
    """Return the images of one label, their index renewed."""
    return pd.DataFrame(rows[rows["label"] == label]).reset_index(drop=True)


def _viral(rows):
    return rows["path"].map(lambda path: "virus" in Path(path).name)


def _first_series(rows):
    """Find the healthy children whose files are called IM-, not NORMAL2-IM-."""
    return rows["path"].map(lambda path: Path(path).name.startswith("IM-"))


def _odd_size(rows):
    """Find healthy images with the smallest files and sick ones with the largest."""
    sizes, odd = evaluation.file_sizes(rows["path"]), np.zeros(len(rows), bool)
    sick = (rows["label"] == "PNEUMONIA").to_numpy()
    odd |= ~sick & (sizes < np.quantile(sizes[~sick], EDGE))
    return odd | (sick & (sizes > np.quantile(sizes[sick], 1 - EDGE)))


# what is left out, and the label to be tested with it whose images come from the test folder
KINDS = {
    "virus": (_viral, "NORMAL"),
    "series": (_first_series, "PNEUMONIA"),
    "file_size": (_odd_size, None),
    "virus_and_series": (lambda rows: _viral(rows) | _first_series(rows), None),
}


def left_out(rows, kind, seed):
    """Cut a table so that a kind of image is tested on which was never trained on.

    It imitates a new case mix or another machine. No image of a left-out patient is trained on,
    and the validation part, which chooses the threshold, comes from what is left.

    Parameters
    ----------
    rows : DataFrame
        The whole archive.
    kind : str
        A key of `KINDS`.
    seed : int
        Chooses the patients of validation, a seventh of the images that are left.

    Returns
    -------
    tuple of DataFrame
        train, validation and test.
    """
    (find, other), rows = KINDS[kind], rows.reset_index(drop=True)
    out = np.array(find(rows), bool)
    if other:
        out |= (rows["split"] == "test").to_numpy() & (rows["label"] == other).to_numpy()
    patients = splits.with_copies(rows)
    left = rows[~patients.isin(patients[out])]
    found = *splits.by_patient(left, 1 / 7, seed), rows[out].reset_index(drop=True)
    splits.check_apart(*found)
    return found
