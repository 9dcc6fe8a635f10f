"""Archives in the layouts of FACTS become tables: right labels, patients and splits."""

import re
import zipfile

import pandas as pd
import pytest
from archives_made import picture
from PIL import Image

from helpers import datasets, download, runtime
from helpers.datasets import layouts


def unpacked(folder, names, texts=None):
    for n, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture() + bytes([n % 250]))
    for name, text in (texts or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder of one's own, and fetch without a memory."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    datasets._fetched.cache_clear()
    yield tmp_path / "data"
    datasets._fetched.cache_clear()


@pytest.mark.parametrize(
    "name, patient",
    [
        ("person12_bacteria_47.jpeg", "person12_bacteria"),
        ("person12_virus_3.jpeg", "person12_virus"),
        ("person88_virus_1_2.jpeg", "person88_virus"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0115-0001-0002.jpeg", "IM-0115"),
        ("NORMAL2-IM-0115-0001.jpeg", "NORMAL2-IM-0115"),
        ("NORMAL2-IM-0115-0001-0001.jpeg", "NORMAL2-IM-0115"),
        ("mine.jpeg", "mine"),
        ("IM-0115.jpeg", "IM-0115"),
        ("my_person12_virus_3.jpeg", "my_person12_virus_3"),
        ("person12_fungus_3.v2.jpeg", "person12_fungus_3.v2"),
    ],
)
def test_the_patient_in_a_chest_images_name(tmp_path, name, patient):
    unpacked(tmp_path, [f"train/NORMAL/{name}"])
    assert datasets.table("chest_xray", tmp_path)["group"].tolist() == [patient]


def test_the_kind_in_a_chest_images_name():
    names = ["person12_bacteria_47.jpeg", "a/person12_virus_3.jpeg", "IM-0115-0001.jpeg"]
    assert list(map(layouts.chest_kind, names)) == ["bacterial", "viral", "normal"]


def test_chest_xray(tmp_path):
    names = ["train/NORMAL/IM-0001-0001.jpeg", "val/PNEUMONIA/person1_virus_2.jpeg"]
    names += ["test/PNEUMONIA/person1_bacteria_1.jpeg", "__MACOSX/train/NORMAL/._IM.jpeg"]
    home = unpacked(tmp_path / ".cache", [f"chest_xray/{name}" for name in names])
    table = datasets.table("chest_xray", home)
    assert table["label"].tolist() == ["PNEUMONIA", "NORMAL", "PNEUMONIA"]
    assert table["split"].tolist() == ["test", "train", "val"]
    assert table["group"].tolist() == ["person1_bacteria", "IM-0001", "person1_virus"]


@pytest.mark.parametrize("name", ["chest_xray", "oct2017"])
def test_a_class_in_small_letters_and_a_folder_that_is_none(tmp_path, capsys, name):
    second = datasets.REGISTRY[name].classes[1]
    names = ["train/normal/IM-1-1.jpeg", f"Train/{second}/a--1.jpeg", "train/unsure/b.jpeg"]
    table = datasets.table(name, unpacked(tmp_path, [f"top/{n}" for n in names]))
    assert sorted(table["label"]) == sorted(["NORMAL", second])
    assert table["split"].tolist() == ["train"] * 2 and "" not in table["group"].tolist()
    assert "1 folder is no class, unsure (" in capsys.readouterr().out


@pytest.mark.parametrize("release", ["now", "first"])
def test_covid_radiography(tmp_path, release):
    if release == "now":
        top, inner = "COVID-19_Radiography_Dataset", "images/"
        names = ["COVID/images/COVID-1.png", "Lung_Opacity/images/Lung_Opacity-1.png"]
        names += ["COVID/masks/COVID-1.png"]
    else:
        top, inner, names = "COVID-19 Radiography Database", "", ["COVID-19/COVID-19 (1).png"]
    names += [f"{c}/{inner}{c}-1.png" for c in ("Normal" if inner else "NORMAL", "Viral Pneumonia")]
    table = datasets.table("covid_radiography", unpacked(tmp_path, [f"{top}/{n}" for n in names]))
    found = sorted(table["label"])
    wanted = ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]
    assert found == (wanted if inner else [w for w in wanted if w != "Lung_Opacity"])
    assert not table["path"].str.contains("masks").any()


def test_oct2017(tmp_path):
    names = ["train/CNV/CNV-1016042-1.jpeg", "train/CNV/CNV-1016042-2.jpeg"]
    unpacked(tmp_path, [f"OCT2017/{n}" for n in [*names, "test/NORMAL/NORMAL-7-1.jpeg"]])
    table = datasets.table("oct2017", tmp_path)
    assert table["group"].tolist() == ["7", "1016042", "1016042"]
    assert table["split"].tolist() == ["test", "train", "train"]


def test_rfmid_begins_with_a_byte_order_mark(tmp_path):
    top = "Training_Set/Training_Set"
    text = "\ufeffID,Disease_Risk,DR,ARMD\n1,1,1,0\n2,0,0,0\n3,1,0,1\n"
    unpacked(
        tmp_path,
        [f"{top}/Training/{n}.png" for n in (1, 2, 3)],
        {f"{top}/RFMiD_Training_Labels.csv": text},
    )
    table = datasets.table("rfmid", tmp_path)
    assert table["label"].tolist() == ["abnormal", "normal", "abnormal"]
    assert table["ID"].tolist() == ["1", "2", "3"] and table["DR"].tolist() == [1, 0, 0]


def test_rfmid_missing_images_are_left_out_and_said(tmp_path, capsys):
    top = "Training_Set/Training_Set"
    text = {f"{top}/RFMiD_Training_Labels.csv": "ID,Disease_Risk\n1,1\n2,0\n"}
    table = datasets.table("rfmid", unpacked(tmp_path, [f"{top}/Training/1.png"], text))
    assert len(table) == 1
    assert "1 image named in the table is missing, 2.png: left out." in capsys.readouterr().out


def test_vietai_has_several_labels_and_unlabelled_images(tmp_path):
    header = ",".join(["filename", *layouts.RETINA_LABELS])
    text = {"train.csv": f"{header}\na.jpg,0,1,1,0,0,0,0\nb.jpg,0,0,0,0,0,0,1\n"}
    names = ["train/train/a.jpg", "train/train/b.jpg", "test/test/c.jpg"]
    table = datasets.table("vietai_retina", unpacked(tmp_path, names, text)).set_index("split")
    assert table.loc["train", "label"].tolist() == ["diabetic retinopathy+glaucoma", "normal"]
    assert table.loc["train", "glaucoma"].tolist() == [1, 0]
    assert table.loc["unlabelled", "path"].endswith("c.jpg")


def chest_archive(path, classes=("NORMAL", "PNEUMONIA"), less=None):
    with zipfile.ZipFile(path, "w") as archive:
        for split in {"train", "val", "test"} - {less}:
            for label in classes:
                for n in range(3):
                    member = f"chest_xray/{split}/{label}/IM-{n:04d}-{split}.jpeg"
                    archive.writestr(member, picture() + f"{split}{label}{n}".encode())
    return path


def test_own_archive_of_fewer_images_passes_with_a_note(home, tmp_path, capsys):
    archive = chest_archive(tmp_path / "mine.zip")
    folder = datasets.fetch("chest_xray", str(archive))
    assert re.fullmatch("mine-[0-9a-f]{8}", folder.name) and folder.parent == home / "chest_xray"
    assert len(datasets.table("chest_xray", folder)) == 18
    assert "3 of 1,341 images" in capsys.readouterr().out
    archive.unlink()
    with pytest.raises(OSError):  # gone, and fetch without memory must look at it
        datasets._fetched.cache_clear()
        datasets.fetch("chest_xray", str(archive))


@pytest.mark.parametrize("name", ["sample.zip", "kaggle.zip", "chest_xray-sample.zip"])
def test_an_archive_may_have_any_name(home, tmp_path, name):
    folders = set()
    for n, classes in enumerate([("NORMAL", "PNEUMONIA"), ("PNEUMONIA", "NORMAL", "other")]):
        (tmp_path / str(n)).mkdir()
        folder = datasets.fetch("chest_xray", str(chest_archive(tmp_path / str(n) / name, classes)))
        assert not datasets.is_sample(datasets.table("chest_xray", folder))
        folders.add(folder)
    assert len(folders) == 2
    assert not folders & {home / "chest_xray" / "sample", home / "chest_xray" / "kaggle"}


@pytest.mark.parametrize("first", ["{}", "./{}", "archive/{}", "archive\\{}", "archive/./{}"])
def test_an_archive_may_be_zipped_anyhow(home, tmp_path, first):
    members = [
        (f"chest_xray/{s}/{c}/{s}1.jpeg", s + c)
        for s in ("train", "val", "test")
        for c in ("NORMAL", "PNEUMONIA")
    ]
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for member, text in members:
            (info := zipfile.ZipInfo("x")).filename = first.format(
                member.replace("/", "\\") if "\\" in first else member
            )
            archive.writestr(info, picture() + text.encode())
    assert (
        len(datasets.table("chest_xray", datasets.fetch("chest_xray", str(tmp_path / "mine.zip"))))
        == 6
    )


def test_vietais_table_may_lie_deeper(tmp_path):
    header = ",".join(["filename", *layouts.RETINA_LABELS])
    text = {"top/train.csv": f"{header}\na.jpg,0,1,1,0,0,0,0\n"}
    unpacked(tmp_path, ["top/train/train/a.jpg", "top/test/test/c.jpg"], text)
    assert len(datasets.table("vietai_retina", tmp_path)) == 2


@pytest.mark.parametrize("absent", ["train", "val", "test"])
def test_the_makers_archive_has_no_val(home, tmp_path, capsys, absent):
    archive = chest_archive(tmp_path / "ChestXRay2017.zip", less=absent)
    if absent != "val":
        with pytest.raises(download.DownloadError, match=f"{absent}/NORMAL holds no images"):
            datasets.fetch("chest_xray", str(archive))
        return
    folder = datasets.fetch("chest_xray", str(archive))
    assert set(datasets.table("chest_xray", folder)["split"]) == {"train", "test"}
    assert "chest_xray: it has no folder val, as the makers' own" in capsys.readouterr().out


@pytest.mark.parametrize("below", ["sample", "masks", "chest_xray/sample"])
def test_only_what_is_below_the_data_folder_is_drawn(home, tmp_path, below):
    rows = pd.DataFrame({"path": [str(tmp_path / below / "a.png")]})
    assert not datasets.is_sample(rows)
    assert datasets.is_sample(rows.assign(path=str(home / "chest_xray" / "sample" / "a.png")))


def test_a_relative_data_folder(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_DATA", "sample/data")
    for place, value in (("sample", 0), ("sample-masks", 5)):
        file = tmp_path / "sample/data/chest_xray" / place / f"train/a.png{'.png' * (value > 0)}"
        file.parent.mkdir(parents=True)
        Image.new("L", (4, 4), value).save(file)
    rows = pd.DataFrame({"path": ["sample/data/chest_xray/sample/train/a.png"]})
    assert datasets.is_sample(rows)
    found = [datasets.masks(rows, name)[0].all() for name in ("lesion", "lungs", "marker")]
    assert found == [True, False, True]


def test_a_source_changed_in_a_running_kernel(home, tmp_path, monkeypatch):
    first, second = chest_archive(tmp_path / "a.zip"), chest_archive(tmp_path / "b.zip")
    found = []
    for archive, data in ((first, "data"), (second, "data"), (first, "data"), (first, "else")):
        monkeypatch.setenv("COURSE_SOURCE", str(archive))
        monkeypatch.setenv("COURSE_DATA", str(tmp_path / data))
        found.append(datasets.fetch("chest_xray").relative_to(tmp_path).as_posix())
    assert [re.sub("-.*", "", name) for name in found] == [
        "data/chest_xray/a",
        "data/chest_xray/b",
        "data/chest_xray/a",
        "else/chest_xray/a",
    ]


def test_a_data_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "file"))
    archive = chest_archive(tmp_path / "mine.zip")
    for source in ("sample", str(archive)):
        with pytest.raises(download.DownloadError, match=r"cannot be written \(.*in COURSE_DATA\."):
            datasets.fetch("chest_xray", source)


def test_an_empty_class_is_never_put_in_place(home, tmp_path):
    archive = chest_archive(tmp_path / "half.zip", classes=("NORMAL",))
    for _ in range(2):  # the second call must not find a folder that the first left behind
        with pytest.raises(download.DownloadError, match="PNEUMONIA holds no images"):
            datasets.fetch("chest_xray", str(archive))
    assert not list((home / "chest_xray").glob("half*"))


def test_auto_takes_a_real_archive_in_data(home):
    home.mkdir()
    chest_archive(home / "chest-xray-pneumonia.zip")
    assert datasets.archive("chest_xray", "auto").name == "chest-xray-pneumonia.zip"
    assert datasets.fetch("chest_xray", "auto").name.startswith("chest-xray-pneumonia-")


def test_in_colab_a_failed_download_falls_back_to_the_sample(home, monkeypatch, capsys):
    def refuse(*args, **options):
        raise download.DownloadError("Kaggle does not know you: make a token.")

    monkeypatch.setattr(runtime, "in_colab", lambda: True)
    monkeypatch.setattr(download, "kaggle_archive", refuse)
    monkeypatch.setattr(datasets, "_sample", lambda name: home / "drawn.zip")
    assert datasets.archive("chest_xray", "auto") == home / "drawn.zip"
    assert "make a token.\nGoing on with the drawn sample." in capsys.readouterr().out


def test_what_kaggle_sent_is_used_when_its_archive_is_gone(home):
    kaggle = home / "chest_xray" / "kaggle"
    kaggle.mkdir(parents=True)
    assert datasets.fetch("chest_xray", "auto") == kaggle
    datasets._fetched.cache_clear()
    assert datasets.fetch("chest_xray", "kaggle") == kaggle


def test_a_sample_is_drawn_once(home, monkeypatch, capsys):
    drawn = []

    def write(name, folder):
        drawn.append(name)
        folder.mkdir(parents=True, exist_ok=True)
        chest_archive(folder / f"{name}-sample.zip")
        chest_archive(folder / f"{name}-sample-masks.zip")

    monkeypatch.setattr(datasets.archives, "write", write)
    folder = datasets.fetch("chest_xray", "sample")
    assert folder == home / "chest_xray" / "sample"
    assert datasets.is_sample(datasets.table("chest_xray", folder))
    assert (home / "chest_xray" / "sample-masks").is_dir()
    assert "drawing the sample, once" in capsys.readouterr().out
    (home / "archives" / "chest_xray-sample-masks.zip").unlink()  # a half-written sample
    datasets.archive("chest_xray", "sample")
    datasets.archive("chest_xray", "sample")
    assert drawn == ["chest_xray"] * 2


def test_another_data_sets_archive_is_not_taken(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets, "_sample", lambda name: home / "drawn.zip")
    archive = chest_archive(tmp_path / "mine.zip")
    assert datasets.archive("oct2017", str(archive)) == home / "drawn.zip"
    assert "mine.zip does not hold oct2017" in capsys.readouterr().out


def test_a_zip_that_is_none(home, tmp_path):
    (tmp_path / "page.zip").write_text("<html>")
    with pytest.raises(download.DownloadError, match="page.zip is not a whole zip archive"):
        datasets.archive("chest_xray", str(tmp_path / "page.zip"))


def test_unknown_name_and_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="There is no data set 'chest'"):
        datasets.archive("chest", "sample")
    with pytest.raises(ValueError, match="no images of chest_xray"):
        datasets.table("chest_xray", tmp_path)


@pytest.mark.parametrize("name", datasets.REGISTRY)
def test_every_sample_has_its_classes_and_masks(name):
    table = datasets.table(name)
    entry = datasets.REGISTRY[name]
    assert datasets.is_sample(table)
    labels = {part for label in table["label"].dropna() for part in label.split("+")}
    assert labels == set(entry.classes)
    assert not table["path"].str.contains("__MACOSX|DS_Store").any()
    assert table["path"].is_unique
    assert set(entry.counts) <= set(datasets.counts(table, entry))


def test_masks_are_where_the_disease_is():
    table = datasets.table("oct2017").groupby("label").head(3)
    for row, mask in zip(table.itertuples(), datasets.masks(table, "lesion"), strict=True):
        with Image.open(row.path) as image:
            assert mask.shape == image.size[::-1]
        assert mask.any() == (row.label != "NORMAL")
    chest = datasets.table("chest_xray").groupby("label").head(3)
    lesions, lungs = (datasets.masks(chest, name) for name in ("lesion", "lungs"))
    assert [m.any() for m in lesions] == (chest["label"] == "PNEUMONIA").tolist()
    assert all(m.mean() > 0.1 for m in lungs)


def test_no_patient_of_the_sample_is_in_two_folders():
    for name in ("chest_xray", "oct2017"):
        table = datasets.table(name)
        assert (table.groupby("group")["split"].nunique() == 1).all()
        assert table["group"].nunique() < len(table)
    assert isinstance(table, pd.DataFrame)
