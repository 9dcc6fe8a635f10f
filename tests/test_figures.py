"""`make figures-check` names what changed and nothing else; figures/README.md lists all."""

import base64
import os
import re
import shutil
from pathlib import Path

import contact_sheet
import figures_check
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import run_course
from PIL import Image

import figures

HEIGHTS = (412, 300, 120)


def chart(folder, name, heights=HEIGHTS, **options):
    """Save a bar chart as the lessons do."""
    figure, axis = plt.subplots(figsize=(5, 3))
    axis.bar_label(axis.bar(range(len(heights)), heights))
    axis.plot([0, 2], [50, 390], color="black")
    axis.set(title="Images", xlabel="label", ylim=(0, 450))
    figure.savefig(folder / f"{name}.png", dpi=80, bbox_inches="tight", **options)
    plt.close(figure)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """Return the chart that most figures here are, drawn once."""
    folder = tmp_path_factory.mktemp("usual")
    chart(folder, "chart")
    return folder / "chart.png"


@pytest.fixture
def folders(usual, tmp_path, monkeypatch):
    """Return old and new with a drawn and a trained figure each, and a folder beside."""
    monkeypatch.setattr(figures, "DRAWN", {"01_drawn"})
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        for name in ("01_drawn", "02_trained"):
            shutil.copy(usual, tmp_path / folder / f"{name}.png")
    return tmp_path / "old", tmp_path / "new", tmp_path


def test_figures_that_are_alike_pass(folders):
    assert figures_check.compare(*folders) == {}
    assert list(folders[2].glob("*.png")) == []


@pytest.mark.parametrize("heights", [(412, 303, 120), (413, 300, 120)], ids=["a bar", "a digit"])
def test_a_drawn_figure_may_change_in_nothing_one_can_see(folders, heights):
    chart(folders[1], "01_drawn", heights)
    chart(folders[1], "02_trained", heights)
    changes = figures_check.compare(*folders)
    assert list(changes) == ["01_drawn"]
    found = re.fullmatch(
        r"differs by (\d+) grey levels near \((\d+), (\d+)\), .*", changes["01_drawn"]
    )
    assert int(found[1]) > 1.2 * figures_check.PIXELS
    old, new, three = [Image.open(folder / "01_drawn.png") for folder in folders]
    assert three.size == (3 * old.width + 20, old.height + 20)
    parts = [three.crop((x, 20, x + old.width, 20 + old.height)) for x in _columns(old.width)]
    assert np.array_equal(parts[0], old.convert("RGB"))
    assert np.array_equal(parts[1], new.convert("RGB"))
    dark = np.argwhere(np.asarray(parts[2]).min(axis=2) < 200)  # where they differ, and only there
    assert 0 < len(dark) < 0.01 * old.width * old.height
    assert np.abs(dark - (int(found[3]), int(found[2]))).max(axis=1).min() <= figures_check.TILE


def _columns(wide):
    return [k * (wide + 10) for k in range(3)]


def test_edges_that_are_smoothed_otherwise_pass(folders):
    """The same chart, drawn four times as large and shrunk by two filters."""
    for folder, how in zip(folders, (Image.BOX, Image.BILINEAR), strict=False):
        figure, axis = plt.subplots(figsize=(5, 3))
        axis.bar(range(3), HEIGHTS)
        axis.plot([0, 2], [50, 390], color="black")
        figure.text(0.4, 0.9, "Images of each label")
        figure.savefig(folder / "large.png", dpi=320)
        plt.close(figure)
        with Image.open(folder / "large.png") as large:
            large.convert("RGB").resize((400, 240), how).save(folder / "01_drawn.png")
        (folder / "large.png").unlink()
    pixels = [np.asarray(Image.open(folder / "01_drawn.png")) for folder in folders[:2]]
    assert np.abs(pixels[0].astype(int) - pixels[1]).max() > 40  # not the same pixels
    assert figures_check.compare(*folders) == {}


def test_a_drawn_figure_keeps_its_size(folders):
    chart(folders[1], "01_drawn", pad_inches=0.12)
    changes = figures_check.compare(*folders)
    assert re.fullmatch(r"is \d+ x \d+ pixels, was \d+ x \d+\.", changes["01_drawn"])
    assert (folders[2] / "01_drawn.png").exists()


def test_another_matplotlib_may_set_letters_otherwise(folders):
    chart(folders[1], "01_drawn", pad_inches=0.12, metadata={"Software": "Matplotlib version9"})
    assert figures_check.compare(*folders) == {}
    blank(folders[1] / "01_drawn.png", Software="Matplotlib version9")
    assert figures_check.compare(*folders) == {"01_drawn": "is blank."}


def blank(path, **metadata):
    figure = plt.figure(figsize=(5, 3))
    figure.savefig(path, dpi=80, metadata=metadata)
    plt.close(figure)


def test_a_trained_figure_may_vary_but_not_lose_its_shape(folders):
    old, new, out = folders
    trained = new / "02_trained.png"

    def change():
        return figures_check.compare(old, new, out).get("02_trained")

    chart(new, "02_trained", (380, 320, 150), pad_inches=0.15)
    assert change() is None
    blank(trained)
    assert change() == "is blank."
    chart(new, "02_trained", pad_inches=0.6)
    assert "pixels, was" in change()
    chart(new, "02_trained", (30, 20, 10))
    assert re.fullmatch(r"is covered to \d+%, was to \d+%\.", change())
    with Image.open(old / "02_trained.png") as picture:
        picture.transpose(Image.ROTATE_180).save(trained)
    assert change().startswith("is laid out otherwise: likeness ")
    assert (out / "02_trained.png").exists()


def test_new_and_missing_figures_are_named(folders):
    old, new, out = folders
    (new / "01_drawn.png").rename(new / "01_more.png")
    assert figures_check.compare(old, new, out) == {
        "01_drawn": "is missing: no lesson that ran drew it.",
        "01_more": "is new: make figures adds it.",
    }
    assert figures_check.compare(old, new, out, ("02_", "phantoms")) == {}


@pytest.fixture
def course(usual, folders, monkeypatch):
    """Let the lessons of `make figures-check` be two, and `drawn` what they draw."""
    drawn, ran = {"01_drawn": usual, "02_trained": usual}, []

    def run(arguments):
        ran.append(arguments)
        for path in run_course.chosen(arguments[-1]):
            for name in drawn:
                if name[:2] == path.name[:2]:
                    shutil.copy(drawn[name], Path(os.environ["COURSE_FIGURES"], f"{name}.png"))
        return run.status

    run.status, run.drawn, run.ran = 0, drawn, ran
    monkeypatch.setenv("COURSE_FIGURES", "")
    monkeypatch.setattr(run_course, "main", run)
    monkeypatch.setattr(
        contact_sheet, "main", lambda folder: shutil.copy(usual, folder / "phantoms.png")
    )
    monkeypatch.setattr(figures, "FIGURES", folders[0])
    monkeypatch.setattr(figures_check, "BUILD", folders[2] / "build" / "figures-check")
    contact_sheet.main(folders[0])
    return run


def test_the_check_says_what_changed_and_fails(course, folders, capsys):
    assert figures_check.main([]) == 0
    assert "3 figures drawn, 0 changed." in capsys.readouterr().out
    course.drawn["01_drawn"] = folders[2] / "higher.png"
    chart(folders[2], "higher", (412, 303, 120))
    before = {path.name: path.read_bytes() for path in folders[0].iterdir()}
    assert figures_check.main(["--lessons", "01"]) == 1
    out = capsys.readouterr().out
    assert "2 figures drawn, 1 changed." in out and "01_drawn: differs by " in out
    left = sorted(path.name for path in figures_check.BUILD.iterdir())
    assert left == ["01_drawn.png", "new"]  # nothing of the first run, nothing of other figures
    assert {path.name: path.read_bytes() for path in folders[0].iterdir()} == before
    assert course.ran == [["--source", "sample", "--lessons", ""], [*course.ran[0][:3], "01"]]


@pytest.mark.parametrize("status", [1, 2])
def test_a_lesson_that_fails_fails_the_check(course, status):
    course.status = status
    assert figures_check.main([]) == status


def test_the_table_lists_every_figure_as_the_lessons_show_it():
    assert (figures.FIGURES / "README.md").read_text() == figures.table()
    listed = {*figures.shown(), contact_sheet.NAME}
    assert {path.stem for path in figures.FIGURES.glob("*.png")} == listed
    assert figures.DRAWN <= listed
    rows = figures.table().removeprefix(figures.HEAD).splitlines()
    assert len(rows) == len(listed) and all(row.count("|") == 5 for row in rows)


@pytest.mark.parametrize("lesson", sorted(figures.NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_the_files_are_the_pictures_in_the_lessons(lesson):
    pictures = {}
    for cell in nbformat.read(lesson, as_version=4).cells:
        for out in cell.get("outputs", []):
            if ".show(" in cell.source and "image/png" in out.get("data", {}):
                pictures[out.data["text/plain"].split(":")[0].strip("'\"")] = out.data["image/png"]
    assert pictures
    for name, picture in pictures.items():
        assert (figures.FIGURES / f"{name}.png").read_bytes() == base64.b64decode(picture), name


def test_the_readme_describes_its_figures_like_the_lessons():
    text = (figures.ROOT / "README.md").read_text()
    found = re.findall(r'src="figures/(\w+)\.png"[^>]*?alt="([^"]*)"', text)
    found += [(name, alt) for alt, name in re.findall(r"!\[([^]]*)]\(figures/(\w+)\.png\)", text)]
    assert len(found) == len(re.findall(r"figures/\w+\.png", text)) >= 10
    alts = {name: alt for name, (_, alt) in figures.shown().items()}
    alts[contact_sheet.NAME] = contact_sheet.ALT
    for name, alt in found:
        words, theirs = (set(re.findall(r"\w+", text.lower())) for text in (alt, alts[name]))
        assert len(words) >= 6 and len(words & theirs) >= len(words) / 2, name
