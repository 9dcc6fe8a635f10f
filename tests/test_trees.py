"""Random folders and label tables whose truth is known: own_images finds it, or says what is wrong.

Every tree and table is made of its seed's number only, so that one that fails can be made again.
"""

import contextlib
import csv
import io
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from archives_made import picture
from random_cases import MANY

from helpers import datasets

IMAGE = picture("PNG")
QUICK, SLOW = range(60), range(60, 60 + MANY)
BOTH = pytest.mark.parametrize("seeds", [QUICK, pytest.param(SLOW, marks=pytest.mark.slow)])
NAMES = [
    "sick",
    "well",
    "Lung Opacity",
    "müde",
    "Größe ä",
    "日本",
    "a,b;c",
    "it's",
    "mask",
    "test tube",
]
TRAIN = ["train", "Train", "TRAINING", "Training_Set", "train-data", "training 1"]
VAL = ["val", "Valid", "validation-data", "Validation_Set", "VAL"]
TEST = ["test", "Testing", "Test_Set", "testing 1", "test-images"]
ENDS = ["_mask", "-mask", "_Mask", "_mask_1", "_mask2", " mask", "_seg", "_segmentation"]
UNCLEAR, LOOSE, ONE = "hold the parts of a split", "itself", "Every image has the label"


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path_factory.mktemp("data")))


class Tree:
    """A folder that grows, and what own_images must make of it."""

    def __init__(self, root, rng):
        self.root, self.rng, self.truth, self.count, self.odd = root, rng, {}, 0, 0

    def choose(self, names):
        return str(names[self.rng.integers(len(names))])

    def maybe(self, share=0.3):
        return self.rng.random() < share

    def form(self, name):
        """Spell a name as one system or another does."""
        return unicodedata.normalize(self.choose(["NFC", "NFD"]), name)

    def write(self, place, label=None, split="train"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(IMAGE)
        if label is not None:
            self.truth[str(place)] = (label, split)

    def images(self, folder, label, split="train"):
        """Write some images of a class, with masks and junk beside them."""
        inner = self.choose(["", "", "deep", "images", "2020/10"]) if self.maybe() else ""
        for _ in range(self.rng.integers(1, 4)):
            self.count += 1
            stem = self.form(self.choose(["x", "ö ", "p1_", "mask_", "it's,"])) + str(self.count)
            self.write(folder / inner / f"{stem}{self.choose(['.png', '.PNG', ''])}", label, split)
            if self.maybe(0.15):
                self.write(folder / inner / f"y{self.count}.png", label, split)
                self.write(folder / inner / f"y{self.count}{self.choose(ENDS)}.png")
        if self.maybe(0.15):
            self.write(folder / "pictures" / f"z{self.count}.png", label, split)
            masks = folder / self.choose(["masks", "Mask", "SEGMENTATIONS", "segmentation"])
            self.write(masks / f"z{self.count}{self.choose(['', '_mask'])}.png")
        for place in ("._a.png", ".hidden/b.png", "__MACOSX/c.png", "Thumbs.db", "notes.txt"):
            if self.maybe(0.05):
                self.write(folder / place)
                (folder / place).write_text("no image")
        if self.maybe(0.05):
            self.odd += 1
            Path(os.fsdecode(os.fsencode(folder) + b"/M\xfcller%d.png" % self.odd)).write_bytes(
                IMAGE
            )

    def classes(self, base, names, split="train"):
        for name in names:
            self.images(base / self.form(name), unicodedata.normalize("NFC", name), split)

    def link(self, names, outside):
        """Link to folders: one elsewhere is a class more, one that is here or above is nothing."""
        if self.maybe() and names:
            (self.root / "0 again").symlink_to(self.root / sorted(os.listdir(self.root))[0])
        if self.maybe():
            (self.root / self.choose(["0 circle", "z circle"])).symlink_to(self.root)
        if self.maybe():
            self.count += 1
            self.write(outside / "shared" / f"s{self.count}.png")
            (outside / "shared" / "up").symlink_to(outside)
            (self.root / "linked").symlink_to(outside / "shared")
            self.truth[str(self.root / "linked" / f"s{self.count}.png")] = ("linked", "train")
        if self.maybe(0.1):
            (self.root / "gone.png").symlink_to(outside / "gone")

    def grow(self, outside):  # noqa: C901 - one branch a kind of tree
        """Build the whole tree, and return how the error begins that it must end in, or ""."""
        names = list(self.rng.choice(NAMES, self.rng.integers(2, 5), replace=False))
        kind = self.choose(["classes", "parts", "above", "mixed", "bare", "loose", "named"])
        parts = {"train": self.choose(TRAIN), "val": self.choose(VAL), "test": self.choose(TEST)}
        some = ["train", *[part for part in ("val", "test") if self.maybe(0.7)]]
        base = self.root / self.choose(["", "chest_xray"])
        if kind in ("classes", "loose"):
            self.classes(self.root, names)
            self.link(names, outside)
            if self.maybe(0.05):
                place = os.fsencode(self.root) + b"/\xe4"
                os.mkdir(place)
                Path(os.fsdecode(place + b"/a.png")).write_bytes(IMAGE)
        elif kind in ("parts", "mixed"):
            for part in some:
                self.classes(base / parts[part], names, part)
            if self.maybe():
                self.copy(base)
        elif kind == "above":
            for name in names:
                for part in some:
                    self.count += 1
                    place = self.root / self.form(name) / parts[part] / f"{self.count}.png"
                    self.write(place, name, part)
        elif kind == "bare":
            for part in parts.values():
                self.write(self.root / part / "a.png")
            return UNCLEAR
        elif kind == "named":  # a class that is called as a part may be, beside others
            self.write(self.root / parts["test"] / "a.png", parts["test"])
            self.write(self.root / "control" / "b.png", "control")
        if kind == "mixed":
            self.write(self.root / "extra" / "a.png")
            return UNCLEAR
        if kind == "loose":
            self.write(self.root / "a.png")
            return LOOSE
        return ONE if len({label for label, _ in self.truth.values()}) == 1 else ""

    def copy(self, base):
        """Put a second copy of the parts, or of some, into a folder beside them."""
        for part in sorted(base.iterdir()):
            shutil.copytree(part, base / "copy" / part.name, symlinks=True)


def found(folder):
    """Return {path: (label, split)} or the sentence of a ValueError, and what was printed."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            rows = datasets.own_images(folder)
        except ValueError as error:
            return str(error), said.getvalue()
    told = {row.path: (row.label, row.split) for row in rows.itertuples()}
    assert len(told) == len(rows)
    return told, said.getvalue()


@BOTH
def test_random_trees(tmp_path, seeds):
    errors = 0
    for seed in seeds:
        home = tmp_path / str(seed)
        tree = Tree(home / "mine", np.random.default_rng(seed))
        tree.root.mkdir(parents=True)
        wrong = tree.grow(home / "outside")
        told, said = found(tree.root)
        said.encode()  # whatever is in a name, it can be printed
        assert ("UTF-8" in said) == bool(tree.odd or (b"\xe4" in os.listdir(bytes(tree.root)))), (
            seed
        )
        if wrong:
            errors += 1
            assert isinstance(told, str) and wrong in told, (seed, told)
            assert told.endswith(".") and "\n" not in told and told.count(". ") == 0, (seed, told)
        else:
            assert told == tree.truth, seed
        shutil.rmtree(home)
    assert len(seeds) / 10 < errors < len(seeds) * 0.7


UNKNOWN = ["", "nan", "NaN", "NA", "n/a", "None", "NULL", "unknown", "Unk", "?", "-", "9.91214E+15"]
PATIENT = [
    "patient",
    "Patient",
    "PATIENT ID",
    "patient_id",
    "PatientNumber",
    "subject",
    "Subject-ID",
]


class Table:
    """Images, and a labels.csv as some program may have written it."""

    def __init__(self, folder, rng):
        self.folder, self.tree = folder, Tree(folder, rng)
        self.rng, self.choose, self.maybe = rng, self.tree.choose, self.tree.maybe
        self.labels, self.patients = {}, {}

    def spelled(self, patient):
        """Write a patient in one of the ways that a table program may."""
        if patient is None:
            return self.choose(UNKNOWN)
        ways = [f"{patient}", f"{patient}.0", f"{patient:03}"]
        return self.choose(ways) if patient % 2 else f"P-{patient}"

    def row(self, name, patient):
        name = self.tree.form(name)
        name = name.replace("/", "\\") if self.maybe() else name
        return [
            "./" + name if self.maybe(0.2) else name,
            self.labels[name_of(name)],
            self.spelled(patient),
        ]

    def write(self):
        """Write all, and return what is in the error that it must end in, or ""."""
        for n in range(self.rng.integers(4, 12)):
            name = (
                self.choose(["", "in/", "ä b/", "a/b/"])
                + self.choose(["x", "ö", "a,b", "c;d"])
                + f"{n}.png"
            )
            self.tree.write(self.folder / self.tree.form(name))
            self.labels[name] = self.choose(["sick", "well", "müde", "NA", "x, y", "007"])
            self.patients[name] = None if self.maybe() else int(self.rng.integers(1, 6))
        first, second = list(self.labels)[:2]
        self.labels[first], self.labels[second] = "sick", "well"
        rows = [self.row(name, patient) for name, patient in self.patients.items()]
        rows += [list(row) for row in rows if self.maybe(0.1)]
        head, wrong = ["filename", "label", self.choose(PATIENT)], ""
        if self.maybe(0.2):
            head[2] = "person"
            self.patients = dict.fromkeys(self.patients)
        if self.maybe(0.2):
            head, rows = [*head, "note"], [[*row, self.choose(["", "a", "1"])] for row in rows]
        fault = self.choose(["label", "two", "clash", "out", "column"]) if self.maybe(0.25) else ""
        if fault == "label":
            rows[1][1], wrong = "", "label is empty: fill it in."
        elif fault == "two" and head[2] not in ("patient", "person"):
            head, rows, wrong = [*head, "subjectno"], [[*row, "1"] for row in rows], ""
            head[-1], wrong = "Patient No.", "rename the one that tells the patient to patient."
        elif fault == "clash":
            rows, wrong = [*rows, [rows[0][0], "other", *rows[0][2:]]], "remove one of the two."
        elif fault == "out":
            rows[0][0], wrong = "../a.png", "leads out of the images' folder"
        elif fault == "column":
            head[1], wrong = "Label", "has no column label"
        order = self.rng.permutation(len(head))
        table = [
            [row[n] for n in order]
            for row in [head, *(rows[k] for k in self.rng.permutation(len(rows)))]
        ]
        self.save(table)
        return wrong

    def save(self, table):
        comma, text = self.choose([",", ";", "\t"]), io.StringIO()
        quoting = csv.QUOTE_ALL if self.maybe() else csv.QUOTE_MINIMAL
        end = self.choose(["\n", "\r\n"])
        csv.writer(text, delimiter=comma, quoting=quoting, lineterminator=end).writerows(table)
        start = f"sep={comma}{end}" if self.maybe() else ""
        encoding = self.choose(["utf-8", "utf-8-sig"])
        (self.folder / "labels.csv").write_bytes((start + text.getvalue()).encode(encoding))


def name_of(text):
    return unicodedata.normalize("NFC", text.replace("\\", "/").removeprefix("./"))


@BOTH
def test_random_tables(tmp_path, seeds):
    errors = 0
    for seed in seeds:
        home = tmp_path / str(seed)
        home.mkdir()
        table = Table(home, np.random.default_rng(seed))
        wrong = table.write()
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                rows = datasets.own_images(home)
            except ValueError as error:
                errors += 1
                assert wrong and wrong in str(error), (seed, str(error))
                assert str(error).endswith(".") and "\n" not in str(error), seed
                continue
        assert not wrong, (seed, wrong)
        rows["name"] = [name_of(path[len(str(home)) + 1 :]) for path in rows["path"]]
        assert dict(zip(rows["name"], rows["label"], strict=True)) == table.labels, seed
        for patient, some in rows.groupby(rows["name"].map(table.patients), dropna=False):
            if np.isnan(patient):
                assert some["group"].tolist() == some["path"].tolist(), seed
            else:
                assert some["group"].nunique() == 1, (seed, patient)
        known = rows[rows["group"] != rows["path"]]
        there = {patient for patient in table.patients.values() if patient}
        assert known["group"].nunique() == len(there), seed
        shutil.rmtree(home)
    assert 0 < errors < len(seeds) / 3
