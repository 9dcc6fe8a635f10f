"""Split a table of images so that no patient, and no file, is in two sets."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from helpers.datasets.own import listed
from helpers.runtime import SEED


def by_patient(table, share=0.2, seed=SEED):
    """Split by patient: all images of one patient, and all copies of one file, stay together.

    An image whose group is missing (None, NaN) is a patient of its own. Files with two labels are
    printed.

    Parameters
    ----------
    table : DataFrame
        With columns path, label and group (the patient).
    share : float
        Wanted share of images in the second part; 1 / share is rounded to a whole number.
        Labels keep about the same share in both parts.
    seed : int
        Another seed chooses other patients.

    Returns
    -------
    tuple of DataFrame
        The larger part, and about `share` of the images.

    Raises
    ------
    ValueError
        When `share` is outside 0..0.5 or there are too few patients or images.
    """
    return _divided(table, with_copies(table), share, seed)


def _divided(table, groups, share, seed):
    if not 0 < share <= 0.5:
        raise ValueError(f"share is {share}: choose a share of images above 0 and up to 0.5.")
    folds = round(1 / share)
    if groups.nunique() < folds:
        raise ValueError(
            f"{groups.nunique()} patients are too few to set {share:.0%} of the images apart."
        )
    if table["label"].value_counts().max() < folds:
        raise ValueError(
            f"No label has {folds} images, too few to set {share:.0%} apart with all labels in it."
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    first, second = next(splitter.split(table, table["label"], groups))
    return table.iloc[first].reset_index(drop=True), table.iloc[second].reset_index(drop=True)


def course_split(table, share=0.2, seed=SEED):
    """Make the split of all lessons: the archive's own test folder, and validation by patient.

    Some archives have patients in both train and test. Their images are left out of train, and
    their number is printed.

    Returns
    -------
    tuple of DataFrame
        train and validation (taken by patient from the archive's train and val), and test.
    """
    table = table[table["split"].isin(["train", "val", "test"])]
    patients, tested = with_copies(table), table["split"] == "test"
    both = ~tested & patients.isin(patients[tested])
    if both.any():
        print(f"{both.sum():,} images of patients who are also in test are left out of train.")
    test = table[tested].reset_index(drop=True)
    rest = ~tested & ~both
    train, validation = _divided(table[rest], patients[rest], share, seed)
    check_apart(train, validation, test)
    return train, validation, test


def share_leaked(train, validation):
    """Return the share of validation images whose patient is also in train, 0..1."""
    patients = _patients(pd.concat([train, validation]))
    return float(patients[len(train) :].isin(set(patients[: len(train)])).mean())


def check_apart(*parts):
    """Check that no two parts share a patient or a byte-identical file.

    Raises
    ------
    ValueError
        With the names of some that are shared.
    """
    joined = pd.concat(parts, keys=range(len(parts)), names=["part", None]).reset_index("part")
    for what, column in (("patient", _patients(joined)), ("file", content(joined))):
        shared = joined.groupby(column.to_numpy())["part"].nunique()
        shared = shared[shared > 1].index.tolist()
        if shared:
            raise ValueError(
                f"{len(shared)} {what}s are in two sets ({', '.join(map(str, shared[:3]))}): "
                "split again with splits.by_patient."
            )


def content(table):
    """Return a short hash of every file's bytes; only files of equal size are read.

    Returns
    -------
    Series of str
        Equal for byte-identical files; the path itself where no other file has the same size.
    """
    sizes = table["path"].map(lambda path: Path(path).stat().st_size)
    shared = sizes.duplicated(keep=False)
    keys = [_digest(p) if s else p for p, s in zip(table["path"], shared, strict=True)]
    return pd.Series(keys, table.index)


def with_copies(table):
    """Return the patient of every image, patients that share an identical file merged.

    Files that have more than one label are printed.

    Returns
    -------
    Series
        As column group, where merged patients have the name of the one that comes first; the path
        where the group is missing.
    """
    known, contents = _patients(table), content(table)
    labels = table["label"].groupby(contents.to_numpy()).transform("nunique")
    twice = table[labels > 1].groupby(contents[labels > 1], sort=False)["path"].first()
    if len(twice):
        names = [Path(path).name for path in twice]
        print(f"{listed(names, 'file has two labels', 'files have two labels')}: correct that.")
    patients, names = pd.factorize(known)
    files, contents = pd.factorize(contents)
    size = len(names) + len(contents)
    links = coo_matrix((np.ones(len(table)), (patients, len(names) + files)), shape=(size, size))
    merged = connected_components(links, directed=False)[1][patients]
    return known.groupby(merged).transform("first")


def _patients(table):
    """Return the column group, or text with the path in its place where some are missing."""
    known = table["group"].notna()
    return table["group"] if known.all() else table["group"].astype(str).where(known, table["path"])


def _digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
