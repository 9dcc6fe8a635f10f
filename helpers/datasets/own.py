"""A folder of one's own images becomes a table: path, label, group, split."""

import os
import re
from pathlib import Path

import pandas as pd

from helpers import check
from helpers.datasets import labels, layouts

PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def own_images(folder, patient=None):
    r"""List a folder of one's own JPEG and PNG images.

    The folder holds either one subfolder a class, its name the label, or a file labels.csv with
    the columns filename, label and, where it is known, patient. What cannot be read is left out,
    and a list of it is printed.

    Parameters
    ----------
    folder : str or Path
        The folder.
    patient : str, optional
        A regular expression that finds the patient in a file's name, its first group or all of it:
        ``r"(\d+)_"`` finds 12 in p12_left.png. It counts before the column patient. An image
        without a known patient stands alone.

    Returns
    -------
    DataFrame
        path, label, group (the patient) and split ("train" everywhere: divide it with
        `splits.by_patient`), sorted by path.

    Raises
    ------
    ValueError
        When there is no such folder, nothing to learn from in it, a fault in labels.csv or in
        `patient`: one sentence that says what to do.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        what = f"{folder} is a file" if folder.exists() else f"There is no folder {folder}"
        raise ValueError(f"{what}: give the path of the folder that your images are in.")
    pattern = _pattern(patient)
    rows = _from_csv(folder) if (folder / "labels.csv").is_file() else _from_folders(folder)
    if rows.empty:
        raise ValueError(f"There are no JPEG or PNG images in {folder}: put some there.")
    if rows["label"].nunique() == 1:
        one = rows["label"].iloc[0]
        raise ValueError(f"Every image has the label {one}: add images of another class.")
    rows = rows.assign(group=_patients(rows, pattern), split="train")
    return rows[["path", "label", "group", "split"]].sort_values("path", ignore_index=True)


def _pattern(patient):
    try:
        return None if patient is None else re.compile(patient)
    except re.error as error:
        raise ValueError(
            f"The patient pattern {patient} is no regular expression ({error}): correct it."
        ) from None


def _from_csv(folder):
    file = folder / "labels.csv"
    rows = labels.read_rows(file, "filename", ("label",))
    empty = rows["filename"][rows["label"] == ""]
    if len(empty):
        raise ValueError(
            f"{file.name}, line {empty.index[0]} (filename {empty.iloc[0]}): label is empty: fill "
            "it in."
        )
    columns = [name for name in ("label", "patient") if name in rows]
    rows = labels.merge_repeats(rows, file, "filename", columns)
    rows["path"] = [str(folder / name) for name in rows["filename"]]
    labels.say_unnamed(layouts.images(folder), rows, file)
    rows = labels.existing(rows)
    return check.readable(rows)


def _from_folders(folder):
    found = {}
    for home, names in layouts.walk(folder):
        top = home.relative_to(folder).parts[:1]
        found |= dict.fromkeys(layouts.within(home, names), "".join(top))
    paths = check.readable(pd.DataFrame({"path": sorted(found)}, dtype=object))["path"].tolist()
    names = [found[path] for path in paths]
    direct = [Path(path).name for path in paths if not found[path]]
    if direct:
        said = labels.listed(
            direct, f"image lies in {folder} itself", f"images lie in {folder} itself"
        )
        raise ValueError(
            f"{said}: put every image into a subfolder named after its class, "
            "or write labels.csv with the columns filename and label."
        )
    if names and {name.lower() for name in names} <= PARTS:
        raise ValueError(
            f"The folders in {folder} are parts of a split ({', '.join(sorted(set(names)))}), not "
            "classes: give the path of one of them."
        )
    return pd.DataFrame({"path": paths, "label": names})


def _patients(rows, pattern):
    if pattern is None and "patient" not in rows:
        print(
            "The patients are unknown: every image counts as a patient of its own, so a patient "
            "may be on both sides of a split."
        )
        return rows["path"]
    known = rows["patient"] if pattern is None else rows["path"].map(lambda p: _found(pattern, p))
    alone = [Path(path).name for path in rows["path"][known == ""]]
    if alone:
        said = labels.listed(alone, "image has no known patient", "images have no known patient")
        print(f"{said}: counted as one patient per image.")
    return known.where(known != "", rows["path"])


def _found(pattern, path):
    match = pattern.search(os.path.basename(path))
    return (match[1] if pattern.groups else match[0]) or "" if match else ""
