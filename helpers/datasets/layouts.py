"""How each archive's folders and files become a table: path, label, group, split."""

import os
import re
from pathlib import Path

import pandas as pd
from imutils import paths

from helpers.datasets import labels

RETINA_LABELS = (
    "opacity",
    "diabetic retinopathy",
    "glaucoma",
    "macular edema",
    "macular degeneration",
    "retinal vascular occlusion",
    "normal",
)
JUNK = (".", "__MACOSX")  # how names begin that are hidden, or that a Mac leaves behind
LEFT = ("Thumbs.db", "desktop.ini")  # what Windows leaves behind
CHEST = re.compile(r"(person\d+_(?:bacteria|virus))_|((?:NORMAL2-)?IM-\d+)-")


def walk(folder):
    """Yield every folder below one, and it, with the names of its files, without junk."""
    # names below the folder only: it may itself lie in a hidden one, such as ~/.cache
    for home, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(JUNK)]
        yield Path(home), [n for n in names if not n.startswith(JUNK) and n not in LEFT]


def within(home, names):
    """Return str(home / name) of every name, a hundred thousand of them in no time."""
    start = str(home / "x")[:-1]
    return [start + name for name in names]


def images(folder):
    """List the images below a folder, by the endings of their names, without junk."""
    return [home / name for home, names in walk(folder) for name in _image_names(names)]


def _image_names(names):
    return [name for name in names if name.lower().endswith(paths.image_types)]


def _frame(found, label, group, split):
    rows = [(str(path), label(path), group(path), split(path)) for path in found]
    return pd.DataFrame(rows, columns=["path", "label", "group", "split"])


def chest_patient(name):
    """Return the patient in a chest X-ray's file name: prefix, number and etiology.

    person12_bacteria_47 is patient person12_bacteria; IM-0115-0001 and IM-0115-0001-0002 are
    patient IM-0115. A name of another shape is a patient of its own.
    """
    return _chest_patient(Path(name).stem)


def _chest_patient(stem):
    found = CHEST.match(stem)
    return found[found.lastindex] if found else stem


def chest_kind(name):
    """Return "bacterial", "viral" or "normal" from a chest X-ray's file name."""
    cause = re.match(r"person\d+_(bacteria|virus)_", Path(name).stem)
    return {"bacteria": "bacterial", "virus": "viral"}[cause[1]] if cause else "normal"


def read_chest_xray(folder):
    """List chest_xray: folders train, val and test, each with NORMAL and PNEUMONIA."""
    return _from_folders(folder, ("NORMAL", "PNEUMONIA"), _chest_patient)


def _from_folders(folder, classes, patient):
    """List images in train, val and test, each with a folder a class, in capitals or not.

    All but the patient is worked out once a folder: archives hold a hundred thousand files.
    """
    labelled, other = {name.lower(): name for name in classes}, set()
    parts = [pd.DataFrame(columns=["path", "label", "group", "split"], dtype=str)]
    for home, names in walk(folder):
        split, names = home.parent.name.strip().lower(), _image_names(names)
        if not names or split not in ("train", "val", "test"):
            continue
        label = labelled.get(home.name.strip().lower())
        if not label:
            other.add(home.name)
            continue
        whose = [patient(name.rpartition(".")[0]) for name in names]
        part = {"path": within(home, names), "label": label, "group": whose}
        parts.append(pd.DataFrame(part | {"split": split}))
    if other:
        said = labels.listed(sorted(other), "folder is no class", "folders are no classes")
        print(f"{said} ({', '.join(classes)}): left out.")
    return pd.concat(parts, ignore_index=True)


def read_covid(folder):
    """List covid_radiography, in either release, without its lung masks."""
    # the first release spelled the folders otherwise and had no lung masks beside the images
    names = {"covid-19": "COVID", "covid": "COVID", "normal": "Normal"}
    names |= {"lung_opacity": "Lung_Opacity", "viral pneumonia": "Viral Pneumonia"}
    found = [p for p in images(folder) if "masks" not in p.parts]
    found = [p for p in found if _class_folder(p).lower() in names]
    return _frame(found, lambda p: names[_class_folder(p).lower()], str, lambda p: "train")


def _class_folder(path):
    return path.parts[-3] if path.parent.name == "images" else path.parent.name


def read_oct(folder):
    """List oct2017; the patient is the number in CLASS-patient-n.jpeg, whatever the class.

    One patient may have scans of several classes: the other eye, or another place of the same.
    """
    classes = ("CNV", "DME", "DRUSEN", "NORMAL")
    number = re.compile(r"[^-]*-([^-]+)-")

    def patient(stem):
        found = number.match(stem)
        return found[1] if found else stem

    return _from_folders(folder, classes, patient)


def read_rfmid(folder):
    """List rfmid from its CSV files; the patient is unknown, every image stands alone."""
    parts = []
    for split, csv, home in (
        ("train", "Training", "Training"),
        ("val", "Validation", "Validation"),
        ("test", "Testing", "Test"),
    ):
        for file in sorted(folder.rglob(f"RFMiD_{csv}_Labels.csv")):
            rows = labels.read_labels(file, "ID", ("Disease_Risk",))
            rows["path"] = [str(file.parent / home / f"{n}.png") for n in rows["ID"]]
            rows["label"] = rows["Disease_Risk"].map({0: "normal", 1: "abnormal"})
            labels.say_unnamed(images(file.parent / home), rows, file)
            parts.append(rows.assign(group=rows["path"], split=split))
    return labels.existing(pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame()


def read_vietai(folder):
    """List vietai_retina, labels joined by +, and its unlabelled images; patient unknown."""
    file, home = folder / "train.csv", folder / "train" / "train"
    rows = labels.read_labels(file, "filename", RETINA_LABELS)
    rows["path"] = [str(home / name) for name in rows["filename"]]
    has = rows[list(RETINA_LABELS)].to_numpy() == 1
    rows["label"] = [
        "+".join(n for n, h in zip(RETINA_LABELS, row, strict=True) if h) for row in has
    ]
    labels.say_unnamed(images(home), rows, file)
    others = [{"path": str(p), "split": "unlabelled"} for p in images(folder / "test")]
    rows = labels.existing(rows.assign(split="train"))
    rows = pd.concat([rows, pd.DataFrame(others)], ignore_index=True)
    return rows.assign(group=rows["path"])
