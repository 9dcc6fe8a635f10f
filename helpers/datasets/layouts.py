"""How each archive's folders and files become a table: path, label, group, split."""

import re
from pathlib import Path

import pandas as pd

from helpers.datasets import own

COLUMNS = ["path", "label", "group", "split"]
RETINA_LABELS = (
    "opacity",
    "diabetic retinopathy",
    "glaucoma",
    "macular edema",
    "macular degeneration",
    "retinal vascular occlusion",
    "normal",
)
# The patient in a file's name: person12_bacteria of person12_bacteria_47.jpeg, IM-0115 of
# IM-0115-0001-0002.jpeg; of OCT the number in CNV-1016042-2.jpeg, whatever the class.
CHEST_PATIENT = r"^(person\d+_(?:bacteria|virus)(?=_)|(?:NORMAL2-)?IM-\d+(?=-))"
OCT_PATIENT = r"^[^-]*-([^-]+)-"


def chest_kind(name):
    """Return "bacterial", "viral" or "normal" from a chest X-ray's file name."""
    cause = re.match(r"person\d+_(bacteria|virus)_", Path(name).stem)
    return {"bacteria": "bacterial", "virus": "viral"}[cause[1]] if cause else "normal"


def read_chest_xray(folder):
    """List chest_xray: folders train, val and test, each with NORMAL and PNEUMONIA."""
    return _from_folders(folder, ("NORMAL", "PNEUMONIA"), CHEST_PATIENT)


def read_oct(folder):
    """List oct2017: folders train, val and test, each with a folder a class.

    One patient may have scans of several classes: the other eye, or another place of the same.
    """
    return _from_folders(folder, ("CNV", "DME", "DRUSEN", "NORMAL"), OCT_PATIENT)


def _from_folders(folder, classes, patient):
    """List images in train, val and test, each with a folder a class, in capitals or not.

    `patient` is a regular expression; a file that it does not match is a patient of its own.
    """
    classes = {name.lower(): name for name in classes}
    parts, other = [pd.DataFrame(columns=COLUMNS, dtype=str)], set()
    for home, names in own.walk(folder):
        split, names = home.parent.name.strip().lower(), own.image_names(names)
        if not names or split not in ("train", "val", "test"):
            continue
        label = classes.get(home.name.strip().lower())
        if not label:
            other.add(home.name)
            continue
        stems = pd.Series(names, dtype=str).str.rpartition(".")[0]
        group = stems.str.extract(patient, expand=False).fillna(stems)
        part = {"path": own.within(home, names), "label": label, "group": group, "split": split}
        parts.append(pd.DataFrame(part))
    if other:
        count = own.listed(sorted(other), "folder is no class", "folders are no classes")
        print(f"{count} ({', '.join(classes.values())}): left out.")
    return pd.concat(parts, ignore_index=True)


def read_covid(folder):
    """List covid_radiography, in either release, without its lung masks; patient unknown."""
    # the first release spelled the folders otherwise and had no lung masks beside the images
    classes = {"covid-19": "COVID", "covid": "COVID", "normal": "Normal"}
    classes |= {"lung_opacity": "Lung_Opacity", "viral pneumonia": "Viral Pneumonia"}
    rows = []
    for home, names in own.walk(folder):
        label = classes.get((home.parent if home.name.lower() == "images" else home).name.lower())
        if label:
            rows += [(p, label, p, "train") for p in own.within(home, own.image_names(names))]
    return pd.DataFrame(rows, columns=COLUMNS)


def read_rfmid(folder):
    """List rfmid from its CSV files; the patient is unknown, every image stands alone."""
    parts = []
    for split, csv, home in (
        ("train", "Training", "Training"),
        ("val", "Validation", "Validation"),
        ("test", "Testing", "Test"),
    ):
        for file in sorted(folder.rglob(f"RFMiD_{csv}_Labels.csv")):
            rows = own.read_labels(file, "ID", ("Disease_Risk",))
            rows["path"] = [str(file.parent / home / f"{n}.png") for n in rows["ID"]]
            rows["label"] = rows["Disease_Risk"].map({0: "normal", 1: "abnormal"})
            rows = own.as_on_disk(rows, file.parent / home, file)
            parts.append(rows.assign(group=rows["path"], split=split))
    return own.existing(pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame()


def read_vietai(folder):
    """List vietai_retina, labels joined by +, and its unlabelled images; patient unknown."""
    file = next(iter(sorted(folder.rglob("train.csv"))), folder / "train.csv")
    home = file.parent / "train" / "train"
    rows = own.read_labels(file, "filename", RETINA_LABELS)
    rows["path"] = [str(home / name) for name in rows["filename"]]
    present = rows[list(RETINA_LABELS)] == 1
    rows["label"] = ["+".join(present.columns[row]) for row in present.to_numpy()]
    rows = own.as_on_disk(rows, home, file)
    others = [{"path": str(p), "split": "unlabelled"} for p in own.images(file.parent / "test")]
    rows = pd.concat([own.existing(rows.assign(split="train")), pd.DataFrame(others)])
    return rows.assign(group=rows["path"])
