"""Tests that leave out a kind of image, so that what is tested on was never trained on.

They imitate a new case mix or another machine. No image of a left-out patient is trained on, and
the validation part, which chooses the threshold, comes from what is left.
"""

from pathlib import Path

import numpy as np
from lists import EDGE

from helpers import evaluation, splits


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


def parts(rows, kind, seed):
    """Cut a table into train, validation and test.

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
