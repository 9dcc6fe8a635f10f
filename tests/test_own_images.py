"""A folder of one's own becomes a table, or one sentence says why not."""

import io
import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import datasets, images, pipelines, splits

ALONE = (
    "The patients are unknown: every image counts as a patient of its own, so a patient may be on "
    "both sides of a split.\n"
)


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """Return a data folder of one's own, so that every file is looked at."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path_factory.mktemp("data")))


def left_out(total, *files):
    first = f"{len(files)} of {total} files are left out, as no image can be read from them:\n"
    return first + "".join(f"  {file}\n" for file in files)


def encoded(kind="PNG", mode="L", seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def filled(folder, *names, csv=None):
    """Write a different image to every name, and labels.csv where there is one."""
    for n, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded("PNG" if path.suffix == ".png" else "JPEG", seed=n))
    if csv is not None:
        (folder / "labels.csv").write_bytes(csv.encode())
    return folder


def refused(folder, sentence, patient=None):
    with pytest.raises(ValueError) as told:
        datasets.own_images(folder, patient)
    assert str(told.value) == sentence


def test_one_subfolder_a_class(tmp_path, capsys):
    names = ["well/b.png", "well/a.JPG", "sick/deep/er/c.jpeg"]
    junk = [".hidden/x.png", "__MACOSX/well/b.png", "well/._b.png", "well/.ipynb_checkpoints/b.png"]
    folder = filled(tmp_path / ".cache" / "mine", *names, *junk, "well/Thumbs.db", "desktop.ini")
    table = datasets.own_images(str(folder))
    assert table.columns.tolist() == ["path", "label", "group", "split"]
    assert table["path"].tolist() == sorted(str(folder / name) for name in names)
    assert table["label"].tolist() == ["sick", "well", "well"]
    assert table["group"].tolist() == table["path"].tolist()
    assert table["split"].tolist() == ["train"] * 3 and table.index.tolist() == [0, 1, 2]
    assert capsys.readouterr().out == ALONE


def test_labels_csv(tmp_path, capsys):
    csv = "\ufefffilename; label \r\nin\\a.jpg;NA\r\nb.png;sehr müde\r\n./b.png;sehr müde\r\n"
    table = datasets.own_images(filled(tmp_path, "b.png", "in/a.jpg", "in/c.png", csv=csv))
    assert table["path"].tolist() == [str(tmp_path / "b.png"), str(tmp_path / "in/a.jpg")]
    assert table["label"].tolist() == ["sehr müde", "NA"]
    assert table.shape == (2, 4) and table.index.tolist() == [0, 1]
    assert capsys.readouterr().out == (
        "labels.csv: 1 row repeats an image, b.png: kept once.\n"
        "1 image is not named in labels.csv, c.png: left out.\n" + ALONE
    )


def test_patients_in_labels_csv(tmp_path, capsys):
    csv = "patient,filename,label\n01,a.png,x\n1,b.png,x\n01,c.png,y\n,d.png,y\n"
    folder = filled(tmp_path, "a.png", "b.png", "c.png", "d.png", csv=csv)
    groups = datasets.own_images(folder)["group"].tolist()
    assert groups == ["01", "01", "01", str(folder / "d.png")]
    assert capsys.readouterr().out == (
        "labels.csv: 01 and 1 count as one patient, and so do all numbers written in two ways.\n"
        "1 image has no known patient, d.png: counted as one patient per image.\n"
    )
    assert datasets.own_images(folder, "[abcd]")["group"].tolist() == ["a", "b", "c", "d"]


def patients(folder, column, ids):
    """Return the groups of four images whose labels.csv has ids in a column."""
    filled(folder, "0.png", "1.png", "2.png", "3.png")
    rows = "".join(f"{n}.png,{'ab'[n % 2]},{text}\n" for n, text in enumerate(ids))
    filled(folder, csv=f"filename,label,{column}\n{rows}")
    return datasets.own_images(folder)["group"].tolist()


@pytest.mark.parametrize("column", ["Patient", "patient_id", "PatientNumber", "SUBJECT ID"])
def test_the_column_of_the_patient(tmp_path, capsys, column):
    assert patients(tmp_path, column, "7788") == ["7", "7", "8", "8"]
    assert capsys.readouterr().out == f"labels.csv: the patient is in the column {column}.\n"


def test_two_columns_of_the_patient(tmp_path):
    with pytest.raises(ValueError) as told:
        patients(tmp_path, "Patient,subject", ["7,1", "7,2", "8,3", "8,4"])
    assert str(told.value) == (
        "labels.csv has the columns Patient and subject: rename the one that tells the patient to "
        "patient."
    )
    groups = patients(tmp_path, "subject,patient", ["1,7", "2,7", "3,8", "4,8"])
    assert groups == ["7", "7", "8", "8"]


def test_a_column_that_could_be_the_patient(tmp_path, capsys):
    assert len(set(patients(tmp_path, "Case no", "7788"))) == 4
    hint = " If the column Case no tells them, rename it to patient.\n"
    assert capsys.readouterr().out == ALONE.replace("\n", hint)


@pytest.mark.parametrize("text", ["nan", "NA", "n/a", "None", "NULL", "Unknown", "unk", "?", "-"])
def test_unknown_patients_stand_alone(tmp_path, capsys, text):
    groups = patients(tmp_path, "patient", [text, text, "", "8"])
    assert groups == [*(str(tmp_path / f"{n}.png") for n in range(3)), "8"]
    assert capsys.readouterr().out.startswith("3 images have no known patient, 0.png first")


def test_rounded_patients_stand_alone(tmp_path, capsys):
    groups = patients(tmp_path, "patient", ["9.91214E+15", "9.9e+15", "1e3", "1e3"])
    assert groups == [str(tmp_path / "0.png"), str(tmp_path / "1.png"), "1e3", "1e3"]
    said = "2 patients are rounded numbers, 9.91214E+15 first: write the column as text, for Excel"
    assert capsys.readouterr().out.startswith(said)


def test_the_patient_is_a_folder(tmp_path):
    names = ["sick/p1/1.png", "sick/p1/2.png", "well/p2/1.png", "well/3.png"]
    table = datasets.own_images(filled(tmp_path, *names), r"^[^/]+/([^/]+)/")
    assert table["group"].tolist() == ["p1", "p1", str(tmp_path / "well/3.png"), "p2"]


@pytest.mark.parametrize(
    "pattern, groups, alone",
    [
        (
            r"(\d+)_",
            ["12", "12", "7", None, None],
            "2 images have no known patient, left.png first",
        ),
        (r"^[a-z]+\d+", ["p12", "p12", "p7", None, None], "2 images have no known patient, left"),
        (r"p\d*", ["p12", "p12", "p7", "p", "p"], ""),  # png holds one as well
        (r"(\d*)_", ["12", "12", "7", None, None], "2 images have no known patient"),
        (r"p(?:(\d+)|n)", ["12", "12", "7", None, None], "2 images have no known patient"),
        (r"(p)(\d+)", ["p", "p", "p", None, None], "2 images have no known patient"),
        (r"sick", [None] * 5, "5 images have no known patient, p12_a.png first"),  # name only
        (r"_|t", ["_", "_", "_", "t", "t"], ""),
    ],
)
def test_patients_in_names(tmp_path, capsys, pattern, groups, alone):
    names = ["sick/p12_a.png", "sick/p12_b.png", "well/p7_a.png", "zero/left.png", "zero/right.png"]
    table = datasets.own_images(filled(tmp_path, *names), pattern)
    paths = [str(tmp_path / name) for name in names]
    assert table["path"].tolist() == paths
    assert table["group"].tolist() == [g or p for g, p in zip(groups, paths, strict=True)]
    said = capsys.readouterr().out
    assert said.startswith(alone) and said.count("\n") == bool(alone)
    assert not alone or said.endswith(": counted as one patient per image.\n")


def test_no_such_folder(tmp_path, monkeypatch):
    end = ": give the path of the folder that your images are in."
    refused(tmp_path / "none", f"There is no folder {tmp_path}/none{end}")
    (tmp_path / "mine.zip").write_bytes(b"")
    refused(tmp_path / "mine.zip", f"{tmp_path}/mine.zip is a file{end}")
    monkeypatch.setenv("HOME", str(tmp_path))
    refused("~/none", f"There is no folder {tmp_path}/none{end}")


def test_no_images(tmp_path, capsys):
    sentence = f"There are no JPEG or PNG images in {tmp_path}: put some there."
    refused(tmp_path, sentence)
    (tmp_path / "sick").mkdir()
    (tmp_path / "sick" / "notes.txt").write_text("nothing")
    refused(tmp_path, sentence)
    assert capsys.readouterr().out == left_out(1, "notes.txt: no JPEG or PNG in it")
    (tmp_path / "labels.csv").write_text("filename,label\nsick/notes.txt,sick\n")
    refused(tmp_path, sentence)


def test_images_without_a_class(tmp_path):
    todo = (
        "put every image into a subfolder named after its class, or write labels.csv with the "
        "columns filename and label."
    )
    filled(tmp_path, "b.png", "sick/c.png", "well/d.png")
    refused(tmp_path, f"1 image lies in {tmp_path} itself, b.png: {todo}")
    filled(tmp_path, "a.jpg")
    refused(tmp_path, f"2 images lie in {tmp_path} itself, a.jpg first: {todo}")


def test_a_note_beside_the_subfolders_is_no_image(tmp_path, capsys):
    (filled(tmp_path, "sick/a.png", "well/b.png") / "README.txt").write_text("mine")
    assert len(datasets.own_images(tmp_path)) == 2
    said = left_out(3, "README.txt: no JPEG or PNG in it")
    assert capsys.readouterr().out.startswith(said)


def one_class(label):
    what = f"Every image has the label {label}: add images of another class"
    return f"{what}, or give the path of the folder that the classes are in."


def test_one_class(tmp_path):
    filled(tmp_path, "sick/a.png", "sick/b.png")
    refused(tmp_path, one_class("sick"))
    filled(tmp_path, csv="filename,label\nsick/a.png,x\nsick/b.png,x\n")
    refused(tmp_path, one_class("x"))


@pytest.mark.parametrize("above", ["", "chest_xray/"])
def test_folders_of_a_split_are_no_classes(tmp_path, capsys, above):
    names = ["Training_Set/sick/a.png", "Training_Set/well/b.png", "testing 1/well/c.png"]
    filled(tmp_path, *(above + name for name in names))
    table = datasets.own_images(tmp_path)
    assert table["label"].tolist() == ["sick", "well", "well"]
    assert table["split"].tolist() == ["train", "train", "test"]
    assert capsys.readouterr().out == ALONE
    filled(tmp_path / above / "again", *names)
    filled(tmp_path, "chest_xray/validation-data/sick/d.png")
    assert datasets.own_images(tmp_path)["split"].tolist().count("train") == 2
    assert capsys.readouterr().out == "3 files are second copies, a.png first: left out.\n" + ALONE


def test_a_class_above_the_parts(tmp_path):
    filled(tmp_path, "sick/train/a.png", "well/train/b.png", "well/test/c.png")
    table = datasets.own_images(tmp_path)
    assert table["label"].tolist() == ["sick", "well", "well"]
    assert table["split"].tolist() == ["train", "test", "train"]


def test_a_class_that_is_called_as_a_part_may_be(tmp_path):
    filled(tmp_path, "test/a.png", "control/b.png")
    assert datasets.own_images(tmp_path)["label"].tolist() == ["control", "test"]


UNCLEAR = {
    ("Train/a.png", "test/b.png"): "no folders named after classes in them",
    ("train/sick/a.png", "train/well/b.png", "well/c.png"): "c.png is in no folder of a class in "
    "one of them",
    ("sick/test 1/x/a.png", "well/test 1/y/b.png"): "the folders above and below them differ (x "
    "first)",
}


@pytest.mark.parametrize("names", UNCLEAR)
def test_folders_that_cannot_be_told_apart(tmp_path, names):
    tops = ", ".join(sorted({name.partition("/")[0] for name in names}))
    refused(
        filled(tmp_path, *names),
        f"The folders in {tmp_path} ({tops}) hold the parts of a split, but {UNCLEAR[names]}: put "
        "every image into a folder named after its class, as in train/sick, or rename what is no "
        "part.",
    )


MASKED = {
    "beside": ("sick/b (1).png", "sick/b (1)_mask.png", "sick/b (1)_mask_1.png", "well/c.png"),
    "below": ("sick/images/1.png", "sick/Masks/9.png", "well/images/2.png", "well/masks/2.png"),
    "apart": ("sick/1.png", "well/2.png", "segmentation/1.png", "segmentation/2_mask.png"),
    "parts": ("train/sick/1.png", "train/well/2.png", "train/masks/1.png", "train/masks/2.png"),
}


@pytest.mark.parametrize("names", MASKED.values(), ids=MASKED)
def test_masks_are_no_images(tmp_path, capsys, names):
    table = datasets.own_images(filled(tmp_path, *names))
    assert table["label"].tolist() == ["sick", "well"]
    kept = [os.path.relpath(path, tmp_path) for path in table["path"]]
    assert not re.search("mask|seg", " ".join(kept), re.IGNORECASE)
    assert re.match(
        r"2 files are masks, \S+( \(1\)_mask)?.png first: left", capsys.readouterr().out
    )


def test_a_class_of_faces_with_masks(tmp_path):
    names = ["mask/a1.png", "mask/a2_mask.png", "mask/b1.png", "none/b1.png", "none/no_mask.png"]
    assert len(datasets.own_images(filled(tmp_path, *names))) == 5  # one name in both is chance


def test_linked_folders_count_once(tmp_path):
    home, other = filled(tmp_path / "mine", "well/a.png"), filled(tmp_path / "other", "in/b.png")
    (home / "sick").symlink_to(other / "in")
    (home / "0 again").symlink_to(home / "well")
    (home / "z circle").symlink_to(home)
    (other / "in" / "up").symlink_to(other)
    table = datasets.own_images(home)
    assert table["path"].tolist() == [str(home / "sick/b.png"), str(home / "well/a.png")]


@pytest.mark.parametrize("disk, table", [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", None)])
def test_one_name_in_two_forms(tmp_path, capsys, disk, table):
    names = [unicodedata.normalize(disk, name) for name in ("müde/ä.png", "wach/ö.png")]
    csv = table and unicodedata.normalize(table, "filename,label\nmüde/ä.png,müde\nwach/ö.png,x")
    rows = datasets.own_images(filled(tmp_path, *names, csv=csv))
    assert rows["path"].tolist() == [str(tmp_path / name) for name in names]
    assert rows["label"][0] == "m\N{LATIN SMALL LETTER U WITH DIAERESIS}de"
    assert capsys.readouterr().out == ALONE


def test_names_that_are_no_utf8(tmp_path, capsys):
    filled(tmp_path, "sick/a.png", "well/b.png")
    for name in (b"sick/M\xfcller.png", b"\xe4/c.png"):
        place = os.fsencode(tmp_path) + b"/" + name
        os.makedirs(os.path.dirname(place), exist_ok=True)
        Path(os.fsdecode(place)).write_bytes(encoded())
    assert len(datasets.own_images(tmp_path)) == 2
    said = "2 names are no UTF-8, \\xe4 first: left out, so rename it.\n"
    assert capsys.readouterr().out == said + ALONE


@pytest.mark.parametrize("pattern", ["(", r"[a-", "*", r"(\d+"])
def test_a_pattern_that_is_none(tmp_path, pattern):
    start = re.escape(f"The patient pattern {pattern} is no regular expression (")
    with pytest.raises(ValueError, match=start + r".* at position \d\): correct it\.$"):
        datasets.own_images(filled(tmp_path, "sick/a.png", "well/b.png"), pattern)


CSV_FAULTS = {
    "filename,label\na.png,x\nb.png,\n": "labels.csv, line 3 (filename b.png): label is empty: "
    "fill it in.",
    "filename,label\na.png,x\n,y\n": "labels.csv, line 3: filename is empty: name the image.",
    "filename,label\na.png,x\nb.png,y\na.png,y\n": "labels.csv, lines 2 and 4: filename a.png "
    "comes twice, with different values of label: remove one of the two.",
    "filename,label,patient\na.png,x,1\na.png,x,2\n": "labels.csv, lines 2 and 3: filename a.png "
    "comes twice, with different values of patient: remove one of the two.",
    "filename,label\na.png,x\n../b.png,y\n": "labels.csv, line 3: filename ../b.png leads out of "
    "the images' folder: name a file in it.",
    "file,label\na.png,x\n": "labels.csv has no column filename, but file, label: add or rename it "
    "in the first line.",
    "filename,class\na.png,x\n": "labels.csv has no column label, but filename, class: add or "
    "rename it in the first line.",
    "filename,label\na.png,x, y\n": "labels.csv, line 2: it has 3 values for 2 columns: put a "
    "value that holds a comma in quotation marks.",
    "filename,label\na,x\nsick/b,y\n": "None of the images named in the table is there, a first: "
    "correct the names, or put the images into the folder mine.",
    "": "labels.csv is empty: download it or write it again.",
}


@pytest.mark.parametrize("csv", CSV_FAULTS, ids=range(len(CSV_FAULTS)))
def test_faults_in_labels_csv(tmp_path, csv):
    refused(filled(tmp_path / "mine", "a.png", "b.png", csv=csv), CSV_FAULTS[csv])


def test_rows_without_an_image(tmp_path, capsys):
    csv = "filename,label\na.png,x\nz.png,y\nb.png,y\nc.png,y\n"
    assert len(datasets.own_images(filled(tmp_path, "a.png", "b.png", csv=csv))) == 2
    said = "2 images named in the table are missing, z.png first: left out.\n" + ALONE
    assert capsys.readouterr().out == said


WHOLE = {
    "jpeg": encoded("JPEG", "RGB"),
    "progressive": encoded("JPEG", "RGB", progressive=True),
    "padded": encoded("JPEG") + bytes(100),
    "two in one": encoded("MPO", "RGB", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
    "png": encoded("PNG", "RGB"),
    "rgba": encoded("PNG", "RGBA"),
    "palette": encoded("PNG", "P"),
    "two colours": encoded("PNG", "1"),
    "print": encoded("JPEG", "CMYK"),
    "16 bits": encoded("PNG", "I;16"),
}
NONE, DAMAGED = "no JPEG or PNG in it", "cut off or damaged"
USELESS = {
    "empty": (b"", "empty"),
    "text": (b"<html>", NONE),
    "gif": (encoded("GIF"), NONE),
    "bmp": (encoded("BMP"), NONE),
    "tiff": (encoded("TIFF"), NONE),
    "half a jpeg": (WHOLE["jpeg"][:500], DAMAGED),
    "jpeg less its end": (WHOLE["jpeg"][:-1], DAMAGED),
    "half a png": (WHOLE["png"][:500], DAMAGED),
    "png less its end": (WHOLE["png"][:-1], DAMAGED),
    "half zeros": (WHOLE["jpeg"][:700] + bytes(700), DAMAGED),
    "png changed": (WHOLE["png"].replace(WHOLE["png"][900:905], b"\0wrong"), DAMAGED),
}


@pytest.mark.parametrize("kind", USELESS)
@pytest.mark.parametrize("csv", [None, "filename,label\nsick/a.png,x\nwell/b.png,y\nwell/u.png,y"])
def test_what_cannot_be_used_is_left_out_and_said(tmp_path, capsys, kind, csv):
    data, why = USELESS[kind]
    (filled(tmp_path, "sick/a.png", "well/b.png", csv=csv) / "well/u.png").write_bytes(data)
    table = datasets.own_images(tmp_path)
    assert [os.path.basename(path) for path in table["path"]] == ["a.png", "b.png"]
    assert capsys.readouterr().out.startswith(left_out(3, f"u.png: {why}"))


def test_many_pixels(tmp_path, capsys, monkeypatch, recwarn):
    filled(tmp_path, "sick/a.png", "well/b.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 32)
    assert len(datasets.own_images(tmp_path)) == 2 and not recwarn.list
    (Path(os.environ["COURSE_DATA"]) / "cache/readable-2.txt").unlink()
    images._known_good.cache_clear()
    for limit in (24 * 32 - 1, 24 * 32 // 2 - 1):  # where Pillow warns, where it refuses
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match="There are no JPEG or PNG images"):
            datasets.own_images(tmp_path)
        why = f"more than {limit} pixels"
        assert capsys.readouterr().out.endswith(left_out(2, f"a.png: {why}", f"b.png: {why}"))
        assert not recwarn.list


def test_several_are_left_out_and_named(tmp_path, capsys):
    filled(tmp_path, "sick/a.png", "well/b.png")
    for name in ("sick/u.dcm", "well/v.txt", "sick/t.heic"):
        (tmp_path / name).write_bytes(b"else")
    assert len(datasets.own_images(tmp_path)) == 2
    said = left_out(5, *(f"{n}: {NONE}" for n in ("t.heic", "u.dcm", "v.txt")))
    assert capsys.readouterr().out == said + ALONE


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_kept_goes_through_the_pipeline(tmp_path, channels):
    filled(tmp_path, "sick/a.png", "well/b.png")
    for n, (kind, data) in enumerate(WHOLE.items()):
        (tmp_path / "well" / f"{n} {kind}").write_bytes(data)
    table = datasets.own_images(tmp_path)
    assert len(table) == 2 + len(WHOLE)
    stream = pipelines.batches(table, ("sick", "well"), 16, channels, batch_size=4)
    images, labels = zip(*stream.as_numpy_iterator(), strict=True)
    assert np.concatenate(images).shape == (len(table), 16, 16, channels)
    assert np.concatenate(labels).ravel().tolist() == [0] + [1] * (len(table) - 1)


@pytest.mark.parametrize("layout", ["folders", "csv"])
def test_split_by_patient(tmp_path, layout):
    names = [f"{'sick' if p % 2 else 'well'}/p{p:02}_{v}.jpg" for p in range(20) for v in range(3)]
    filled(tmp_path, *names)
    if layout == "csv":
        rows = [f"{name},{name[:4]},{name[6:8]}" for name in names]
        filled(tmp_path, csv="\n".join(["filename,label,patient", *rows]))
    table = datasets.own_images(tmp_path, r"p(\d+)_" if layout == "folders" else None)
    assert table["group"].nunique() == 20
    train, validation = splits.by_patient(table)
    splits.check_apart(train, validation)
    assert len(train) == 48 and len(validation) == 12
    batch = next(iter(pipelines.batches(train, ("well", "sick"), 16, training=True)))
    assert batch[0].shape == (32, 16, 16, 1)
