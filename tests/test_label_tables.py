"""A CSV file of labels is read as written, and every fault in it is one sentence that names it."""

import io
import random
import re
import zipfile

import pytest
from PIL import Image

from helpers import datasets, download
from helpers.datasets import layouts, own

TOP = "Training_Set/Training_Set"
DRAWN = io.BytesIO()
Image.new("L", (2, 2)).save(DRAWN, "PNG")
IMAGE = DRAWN.getvalue()
CSV = f"{TOP}/RFMiD_Training_Labels.csv"


def written(folder, text, name="t.csv"):
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def unpacked(folder, images, csv, text):
    """Write the files of an archive, all images the same."""
    for name, content in [*((name, IMAGE) for name in images), (csv, text.encode())]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read(folder, text):
    return own.read_labels(written(folder, text), "ID", ("risk", "DR"))


@pytest.mark.parametrize(
    "text",
    [
        "ID,risk,DR\n07,1,0\nb,0,1\n",
        "\ufeffID,risk,DR\n07,1,0\nb,0,1\n",
        "ID,risk,DR\r\n07,1,0\r\nb,0,1\r\n",
        "ID,risk,DR\r07,1,0\rb,0,1",
        "\ufeff ID , risk,DR \r\n 07 , 1,0 \r\nb,0,1",
        'ID, "risk", "DR"\n"07", "1", 0\nb,0,1\n',
        "ID;risk;DR\n07;1;0\nb;0;1\n",
        "ID\trisk\tDR\n07\t1\t0\nb\t0\t1\n",
        "\nID,risk,DR\n\n07,1,0\n,,\nb,0,1\n\n",
        "ID,risk,DR,,\n07,1,0,,\nb,0,1,,\n",
        "ID,risk,DR\n07,1,0,\nb,0,1,,,\n",
        ",ID,risk,DR\n0,07,1,0\n1,b,0,1\n",
        "ID,risk,DR\n07,1.0,0.0\nb,0.0,1.0\n",
        "DR,ID,risk\n0,./07,1\n1,b,0\n",
        "sep=;\nID;risk;DR\n07;1;0\nb;0;1\n",
        '\ufeff"sep=,"\r\nID,risk,DR\r\n07,1,0\r\nb,0,1\r\n',
    ],
)
def test_one_table_however_it_is_written(tmp_path, text):
    rows = read(tmp_path, text)
    assert sorted(rows.columns) == ["DR", "ID", "risk"]
    assert rows["ID"].tolist() == ["07", "b"]
    assert rows["risk"].tolist() == [1, 0] and rows["DR"].tolist() == [0, 1]
    assert rows["DR"].dtype.kind == "i" and rows.index.tolist() == [0, 1]


def test_what_pandas_takes_for_a_gap_is_text(tmp_path):
    assert read(tmp_path, "ID,risk,DR\nNA,1,0\nnull,0,0\n1e3,0,0\n")["ID"].tolist() == [
        "NA",
        "null",
        "1e3",
    ]


def test_further_columns(tmp_path):
    text = "ID,risk,DR,more,note,age\n1,1,0,1,,1\n2,1,0,0,%s,40\n3,0,0,1,,50\n" % (";" * 50)
    rows = read(tmp_path, text)
    assert rows["more"].tolist() == [1, 0, 1]
    assert rows["note"].tolist() == ["", ";" * 50, ""] and rows["age"].tolist() == [
        "1",
        "40",
        "50",
    ]
    with pytest.raises(ValueError, match=r"line 3 \(ID 2\): more is '2', but a label is 0 or 1"):
        read(tmp_path, text.replace("2,1,0,0,", "2,1,0,2,"))
    half = "ID,risk,DR,half\n1,1,0,1\n2,1,0,x\n"  # one of two is not most
    assert read(tmp_path, half)["half"].tolist() == ["1", "x"]


NO_TEXT = "t.csv is no text in UTF-8, as a workbook of Excel is none: save the table as CSV UTF-8."
FAULTS = {
    "ID,risk\n1,1\n": "t.csv has no column DR, but ID, risk: add or rename it in the first line.",
    "ID,a,b,c,d,e\n": "t.csv has no column risk, but ID, a, b, c, d, ...: add or rename it in the "
    "first line.",
    "ID,a,b,c,d\n": "t.csv has no column risk, but ID, a, b, c, d: add or rename it in the first "
    "line.",
    "id,risk,DR\n1,1,0\n": "t.csv has no column ID, but id, risk, DR: add or rename it in the "
    "first line.",
    "ID,risk,DR,DR\n1,1,0,1\n": "t.csv has two columns named DR: remove or rename one.",
    "": "t.csv is empty: download it or write it again.",
    "\ufeff\r\n ,,\n": "t.csv is empty: download it or write it again.",
    "ID,risk,DR\n\n": "t.csv has no rows below its header: add a line for every image.",
    "ID,risk,DR\n1,1,0\n2,2,0\n": "t.csv, line 3 (ID 2): risk is '2', but a label is 0 or 1: "
    "correct it.",
    "ID,risk,DR\n1,1,0\n\n02,1,yes\n": "t.csv, line 4 (ID 02): DR is 'yes', but a label is 0 or 1: "
    "correct it.",
    "ID,risk,DR\n1,1, \n": "t.csv, line 2 (ID 1): DR is empty, but a label is 0 or 1: correct it.",
    "ID,risk,DR\n1,1\n": "t.csv, line 2 (ID 1): DR is empty, but a label is 0 or 1: correct it.",
    "ID,risk,DR\n1,0.5,0\n": "t.csv, line 2 (ID 1): risk is '0.5', but a label is 0 or 1: "
    "correct it.",
    "ID,risk,DR\n1,-1,0\n": "t.csv, line 2 (ID 1): risk is '-1', but a label is 0 or 1: "
    "correct it.",
    "ID,risk,DR\n1,1,0\n ,1,0\n": "t.csv, line 3: ID is empty: name the image.",
    "ID,risk,DR\n7,1,0\n8,0,0\n7,1,1\n": "t.csv, lines 2 and 4: ID 7 comes twice, with different "
    "values of DR: remove one of the two.",
    "ID,risk,DR\n7,1,0\n7,1,0\n./7,0,0\n": "t.csv, lines 2 and 4: ID 7 comes twice, with different "
    "values of risk: remove one of the two.",
    "ID,risk,DR\n1,1,0,1\n": "t.csv, line 2: it has 4 values for 3 columns: put a value that holds "
    "a comma in quotation marks.",
    'ID,risk,DR\n1,1,0\n2,"1,0\n3,0,0\n': "t.csv, line 3: a quotation mark is not closed or in a "
    "wrong place: correct it.",
    'ID,risk,DR\n1,1,0\n2,"1,0\n3,"0",0\n': "t.csv, line 3: a quotation mark is not closed or in "
    "a wrong place: correct it.",
    '\n\nID,risk,DR\n\n"1,1,0\n': "t.csv, line 5: a quotation mark is not closed or in a wrong "
    "place: correct it.",
    "sep=;\nID;risk;DR\n1;2;0\n": "t.csv, line 3 (ID 1): risk is '2', but a label is 0 or 1: "
    "correct it.",
    "\nID,risk,DR\n\n1,1,0,1,\n": "t.csv, line 4: it has 4 values for 3 columns: put a value that "
    "holds a comma in quotation marks.",
    'ID,risk,"DR\n1,1,0\n': "t.csv, line 1: a quotation mark is not closed or in a wrong place: "
    "correct it.",
    'ID,risk,DR,note\n1,1,0,"a\nb"\n2,3,0,\n': "t.csv, line 4 (ID 2): risk is '3', but a label is "
    "0 or 1: correct it.",
    "ID,risk,DR\nä,1,0\n".encode("cp1252"): NO_TEXT,
    "ID,risk,DR\n1,1,0\n".encode("utf-16"): NO_TEXT,
    "ID,risk,DR\n1,1,0\n".encode("utf-16-be"): NO_TEXT,
    b"PK\x03\x04 ID,risk,DR": NO_TEXT,
    "\n <!DOCTYPE html>\n<p>ID,risk,DR": "t.csv is a web page, not a table: download it again.",
    "sorry, no such file": "t.csv has no column ID, but sorry, no such file: add or rename it in "
    "the first line.",
}


@pytest.mark.parametrize("text", FAULTS, ids=range(len(FAULTS)))
def test_every_fault_is_one_sentence(tmp_path, text):
    with pytest.raises(ValueError) as told:
        read(tmp_path, text)
    assert str(told.value) == FAULTS[text]


@pytest.mark.parametrize(
    "key", ["../../x.png", "..", "a/../../x", r"..\x", "/etc/x", r"C:\x", "C:x", r"\\host\x"]
)
def test_no_path_leads_out_of_the_folder(tmp_path, key):
    with pytest.raises(ValueError) as told:
        read(tmp_path, f"ID,risk,DR\n1,1,0\n{key},1,0\n")
    assert str(told.value) == (
        f"t.csv, line 3: ID {key} leads out of the images' folder: name a file in it."
    )


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match=f"no t.csv in {tmp_path.name}: put it there"):
        own.read_labels(tmp_path / "t.csv", "ID", ())


def test_a_folder_below_is_no_way_out(tmp_path):
    rows = read(tmp_path, "ID,risk,DR\na\\1..2,1,0\na/b/..c,0,0\n")
    assert rows["ID"].tolist() == ["a/1..2", "a/b/..c"]


def test_repeats_are_kept_once_and_said(tmp_path, capsys):
    rows = read(tmp_path, "ID,risk,DR,note\n3,1,0,a\n1,0,1,\n3,1.0,0,b\n")
    assert rows["ID"].tolist() == ["3", "1"] and rows["note"].tolist() == ["a", ""]
    assert capsys.readouterr().out == "t.csv: 1 row repeats an image, 3: kept once.\n"
    read(tmp_path, "ID,risk,DR\n3,1,0\n1,0,1\n1,0,1\n3,1,0\n3,1,0\n01,1,0\n")
    assert capsys.readouterr().out == "t.csv: 3 rows repeat an image, 1 first: kept once.\n"


def fake_table(rng):
    """Return [(key, risk, DR), ...], every key once."""
    keys = rng.sample(range(10_000), rng.randint(3, 40))
    return [(f"{key:0{rng.randint(1, 6)}}x{key}", *rng.choices("01", k=2)) for key in keys]


def as_text(rng, table):
    """Write a table in one of the many ways that programs do; return it and the lines of rows."""
    comma, end = rng.choice(",;\t"), rng.choice(["\n", "\r\n", "\r"])
    space = rng.choice(["", "", " ", "  "])
    text, line, at = rng.choice(["", "\ufeff"]), 1, []
    for row in [("ID", "risk", "DR"), *table]:
        if rng.random() < 0.1:
            text, line = text + end, line + 1
        at.append(line)
        cells = [f'"{cell}"' if rng.random() < 0.2 else space + cell + space for cell in row]
        text, line = text + comma.join(cells) + end, line + 1
    return text, at[1:]


@pytest.mark.parametrize("seed", range(60))
def test_any_table_comes_back_or_its_fault_is_named(tmp_path, capsys, seed):
    rng = random.Random(seed)
    table = fake_table(rng)
    rows = read(tmp_path, as_text(rng, table)[0])
    back = [(row.ID, str(row.risk), str(row.DR)) for row in rows.itertuples()]
    assert back == table and capsys.readouterr().out == ""

    wrong, column = rng.randrange(len(table)), rng.choice([1, 2])
    value = rng.choice(["", "2", "x", "00", "1,5", "True", "nan", "+1"])
    row = list(table[wrong])
    row[column] = value
    text, at = as_text(rng, [*table[:wrong], row, *table[wrong + 1 :]])
    if value != "1,5" or ";" in text or "\t" in text:
        named = rf"line {at[wrong]} \(ID {row[0]}\): {('risk', 'DR')[column - 1]} is "
        with pytest.raises(
            ValueError, match=named + (f"'{re.escape(value)}'" if value else "empty")
        ):
            read(tmp_path, text)

    copied = [*table, table[wrong]]
    rng.shuffle(copied)
    assert len(read(tmp_path, as_text(rng, copied)[0])) == len(table)
    first, second = (n for n, row in enumerate(copied) if row == table[wrong])
    flipped = "10"[int(table[wrong][column])]
    copied[second] = tuple(flipped if n == column else c for n, c in enumerate(table[wrong]))
    text, at = as_text(rng, copied)
    with pytest.raises(ValueError, match=f"lines {at[first]} and {at[second]}: ID {row[0]} comes"):
        read(tmp_path, text)


def rfmid(folder, images, text):
    images = [f"{TOP}/Training/{name}" for name in images]
    return datasets.table("rfmid", unpacked(folder, images, CSV, text))


def test_rfmid_takes_ids_as_written(tmp_path, capsys):
    table = rfmid(tmp_path, ["007.png", "b.png"], "ID,Disease_Risk\n007,1\nb,0\n")
    assert table["path"].tolist() == [
        str(tmp_path / TOP / f"Training/{n}.png") for n in ("007", "b")
    ]
    assert table["label"].tolist() == ["abnormal", "normal"]
    assert table["group"].tolist() == table["path"].tolist() and set(table["split"]) == {"train"}
    assert capsys.readouterr().out == ""


def test_rfmid_without_its_label(tmp_path):
    with pytest.raises(ValueError, match="RFMiD_Training_Labels.csv has no column Disease_Risk"):
        rfmid(tmp_path, ["1.png"], "ID,DR\n1,1\n")


def test_rfmid_all_images_missing(tmp_path):
    with pytest.raises(ValueError) as told:
        rfmid(tmp_path, ["3.png"], "ID,Disease_Risk\n2,1\n1,0\n")
    assert str(told.value) == (
        "None of the images named in the table is there, 2.png first: correct the names, or put "
        "the images into the folder Training."
    )


def test_rfmid_images_that_no_row_names(tmp_path, capsys):
    images = ["1.png", "2.png", "10.PNG", "._1.png"]
    assert len(rfmid(tmp_path, images[:3], "ID,Disease_Risk\n2,1\n")) == 1
    said = "2 images are not named in RFMiD_Training_Labels.csv, 1.png first: left out.\n"
    assert capsys.readouterr().out == said
    rfmid(tmp_path, images, "ID,Disease_Risk\n2,1\n1,0\n")
    said = "1 image is not named in RFMiD_Training_Labels.csv, 10.PNG: left out.\n"
    assert capsys.readouterr().out == said


def test_rfmid_many_missing_images(tmp_path, capsys):
    rows = "".join(f"{n},1\n" for n in range(2000))
    assert len(rfmid(tmp_path, ["1500.png"], "ID,Disease_Risk\n" + rows)) == 1
    said = "1,999 images named in the table are missing, 0.png first: left out.\n"
    assert capsys.readouterr().out == said


def vietai(folder, images, text):
    header = ",".join(["filename", *layouts.RETINA_LABELS])
    text = f"\ufeff{header}\r\n{text}"
    return datasets.table("vietai_retina", unpacked(folder, images, "train.csv", text))


def test_vietai_one_bad_value(tmp_path):
    with pytest.raises(ValueError) as told:
        vietai(tmp_path, ["train/train/a.jpg"], "a.jpg,0,1,0,0,0,0,0\nb.jpg,0,1,O,0,0,0,0\n")
    assert str(told.value) == (
        "train.csv, line 3 (filename b.jpg): glaucoma is 'O', but a label is 0 or 1: correct it."
    )


def test_vietai_names_what_is_missing_and_what_is_not_named(tmp_path, capsys):
    images = ["train/train/a.jpg", "train/train/c.jpg", "test/test/t.jpg"]
    table = vietai(tmp_path, images, "a.jpg,0,0,0,0,0,0,1\nb.jpg,0,0,0,0,0,0,1\n")
    assert table["split"].tolist() == ["unlabelled", "train"]
    assert table["group"].tolist() == table["path"].tolist()
    assert capsys.readouterr().out == (
        "1 image is not named in train.csv, c.jpg: left out.\n"
        "1 image named in the table is missing, b.jpg: left out.\n"
    )
    with pytest.raises(ValueError, match="None of the images named in the table is there, z.jpg"):
        vietai(tmp_path, images, "z.jpg,0,0,0,0,0,0,1\n")


def test_vietai_without_its_table(tmp_path):
    with pytest.raises(ValueError, match=f"There is no train.csv in {tmp_path.name}: put it there"):
        datasets.table("vietai_retina", unpacked(tmp_path, ["train/train/a.jpg"], "t.csv", ""))


def test_a_fault_in_an_archive_is_told_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr(CSV, "ID,Disease_Risk\n1,3\n")
        archive.writestr(f"{TOP}/Training/1.png", b"an image")
    datasets._fetched.cache_clear()
    with pytest.raises(download.DownloadError) as told:
        datasets.fetch("rfmid", str(tmp_path / "mine.zip"))
    datasets._fetched.cache_clear()
    assert str(told.value) == (
        "RFMiD_Training_Labels.csv, line 2 (ID 1): Disease_Risk is '3', but a label is 0 or 1: "
        "correct it."
    )
