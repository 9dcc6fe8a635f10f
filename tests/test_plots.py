"""Figures show the numbers they were given, are labelled, and carry alt text."""

import sys
import types

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import plots

ALT = "A line that rises from the left to the right."


@pytest.fixture(autouse=True)
def closed():
    yield
    plots.plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    calls = []
    monkeypatch.setattr(plots, "display", lambda data, **more: calls.append((data, more)))
    return calls


def test_show_has_the_alt_text_in_words_and_in_metadata(shown, monkeypatch):
    monkeypatch.delenv("COURSE_FIGURES", raising=False)
    figure, axis = plots.plt.subplots()
    axis.plot([0, 1])
    plots.show(figure, "01_line", ALT)
    ((data, more),) = shown
    assert data["image/png"].startswith(b"\x89PNG") and data["text/plain"] == f"01_line: {ALT}"
    assert more == {"raw": True, "metadata": {"image/png": {"alt": ALT}}}
    assert not plots.plt.fignum_exists(figure.number)  # hundreds of open ones fill memory


def test_show_saves_the_same_figure(shown, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_FIGURES", str(tmp_path))
    plots.show(plots.plt.figure(), "01_line", ALT)
    assert (tmp_path / "01_line.png").read_bytes() == shown[0][0]["image/png"]


def test_grid_takes_arrays_and_files(tmp_path):
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (8, 6), dtype=np.uint8)
    colour = rng.integers(0, 256, (8, 6, 3), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    images = [grey, grey[..., None].astype(float), colour, tmp_path / "grey.png"]
    images.append(str(tmp_path / "grey.png"))
    figure = plots.grid(images, list("abcde"), columns=3)
    assert len(figure.axes) == 6 and not any(axis.axison for axis in figure.axes)
    assert [axis.get_title() for axis in figure.axes] == [*"abcde", ""]
    drawn = [axis.images[0] for axis in figure.axes[:5]]
    for image, wanted in zip(drawn, [grey, grey, colour, grey, grey], strict=True):
        assert (image.get_array() == wanted).all()
        assert image.get_clim() == (0, 255)  # a dark image stays dark
    assert not figure.axes[5].images


def test_bars_are_as_high_as_there_are_images():
    train = pd.DataFrame({"label": ["b"] * 3 + ["a"] * 5})
    test = pd.DataFrame({"label": ["c", "a"]})
    (axis,) = plots.bars({"train": train, "test": test}, "Split").axes
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in axis.containers}
    assert heights == {"train": [5, 3, 0], "test": [1, 0, 1]}
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["a", "b", "c"]
    assert (axis.get_title(), axis.get_xlabel(), axis.get_ylabel()) == ("Split", "label", "images")
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in axis.patches)
    assert all(a[1] <= b[0] + 1e-9 for a, b in zip(edges, edges[1:], strict=False))  # side by side


def test_history_begins_with_epoch_one():
    logs = {"loss": [3, 2], "val_loss": [4, 5], "auc": [0.5, 0.6], "val_auc": [0.4, 0.7]}
    figure = plots.history({"net": logs})
    assert [axis.get_title() for axis in figure.axes] == ["loss", "AUC"]
    lines = {
        (a.get_title(), x.get_label()): x.get_xydata().tolist()
        for a in figure.axes
        for x in a.lines
    }
    assert lines[("loss", "net, train")] == [[1, 3], [2, 2]]
    assert lines[("AUC", "net, validation")] == [[1, 0.4], [2, 0.7]]
    (axis,) = plots.history({"a": logs, "b": logs}, ("loss",)).axes
    assert len(axis.lines) == 4 and len(axis.get_legend().get_texts()) == 4


ROWS = pd.DataFrame(
    {"method": ["x", "y"], "AUC": [0.9, 0.3], "low": [0.8, 0.2], "high": [0.95, 0.35]}
)


def test_intervals_are_drawn_where_they_are():
    (axis,) = plots.intervals(ROWS, "Two").axes
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["x", "y"]
    points, _, (bars,) = axis.containers[0]
    assert points.get_xydata().tolist() == [[0.9, 1], [0.3, 0]]  # the first is on top
    ends = [segment[:, 0].tolist() for segment in bars.get_segments()]
    assert np.allclose(ends, [[0.8, 0.95], [0.2, 0.35]])
    assert axis.get_xlim()[0] < 0.2  # an AUC below chance is not cut off
    assert any(set(line.get_xdata()) == {0.5} for line in axis.lines)  # chance


def test_overlays_lie_over_their_images():
    images, maps = np.zeros((2, 4, 4)), np.stack([np.eye(4), np.zeros((4, 4))])
    figure = plots.overlays(images, maps, ["a", "b"], columns=2)
    for axis, heat in zip(figure.axes, maps, strict=True):
        below, above = axis.images
        assert (above.get_array() == heat).all() and above.get_clim() == (0, 1)
        assert np.allclose(above.get_alpha(), 0.65 * np.sqrt(heat))  # no weight: image untouched
        assert below.get_clim() == (0, 255)


def test_measures_stand_side_by_side():
    rows = [("n1", "a", 0.5, 0.4, 0.7), ("n1", "b", 0.2, 0.1, 0.3)]
    rows += [("n2", "a", 0.6, 0.5, 0.7), ("n2", "b", 0.3, 0.2, 0.4)]
    rows = pd.DataFrame(rows, columns=["network", "measure", "mean", "low", "high"])
    for table in (rows, rows.iloc[[0, 1, 3, 2]], rows.sort_values("measure")):
        (axis,) = plots.measures(table, "Two", "share").axes
        drawn = [held for held in axis.containers if held.get_label() in ("a", "b")]
        bars = {held.get_label(): [bar.get_height() for bar in held] for held in drawn}
        assert bars == {"a": [0.5, 0.6], "b": [0.2, 0.3]}
        assert [tick.get_text() for tick in axis.get_xticklabels()] == ["n1", "n2"]
        ends = [line[:, 1].tolist() for held in axis.collections for line in held.get_segments()]
        assert np.allclose(ends, [[0.4, 0.7], [0.5, 0.7], [0.1, 0.3], [0.2, 0.4]])


def test_measures_find_their_network_whatever_the_order():
    rows = [("n1", "a", 0.5), ("n2", "a", 0.6), ("n2", "b", 0.3), ("n1", "b", 0.2)]
    rows = pd.DataFrame(rows, columns=["network", "measure", "mean"])
    (axis,) = plots.measures(rows.assign(low=0, high=1), "Two", "share").axes
    bars = {held.get_label(): held for held in axis.containers}
    assert [bar.get_height() for bar in bars["b"]] == [0.2, 0.3]


def test_curves_have_intervals_side_by_side():
    rows = pd.concat([ROWS.assign(labels=10), ROWS.assign(labels=100, AUC=[0.95, 0.3])])
    (axis,) = plots.curves(rows, "labels", "AUC", "Few labels").axes
    lines = {held.get_label(): held[0] for held in axis.containers}
    assert {name: line.get_ydata().tolist() for name, line in lines.items()} == {
        "x": [0.9, 0.95],
        "y": [0.3, 0.3],
    }
    left, right = (line.get_xdata() for line in lines.values())
    assert (left < [10, 100]).all() and (right > [10, 100]).all()
    ends = [line[:, 1].tolist() for held in axis.collections for line in held.get_segments()]
    wanted = [row[["low", "high"]].tolist() for _, row in rows.sort_values("method").iterrows()]
    assert np.allclose(sorted(ends), sorted(wanted)) and axis.get_xscale() == "log"
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["10", "100"]


def test_no_colour_is_used_twice():
    assert len(set(plots.COLOURS)) == 8
    used = [entry["color"] for entry in plots.plt.rcParams["axes.prop_cycle"]]
    assert used == list(plots.COLOURS)


def test_a_diagram_needs_graphviz_and_says_so(shown, monkeypatch, capsys):
    monkeypatch.setattr(plots.shutil, "which", lambda name: None)
    plots.diagram(None, "04_net")
    assert "install Graphviz" in capsys.readouterr().out and shown == []


def test_a_diagram_has_alt_text(shown, monkeypatch):
    def plot_model(model, file, **options):
        assert options["show_shapes"]
        file.write_bytes(b"a picture of " + model.name.encode())

    # Graphviz is not on every machine; what is drawn is Keras's affair
    fake = types.SimpleNamespace(utils=types.SimpleNamespace(plot_model=plot_model))
    monkeypatch.setitem(sys.modules, "keras", fake)
    monkeypatch.setattr(plots.shutil, "which", lambda name: "/bin/dot")
    plots.diagram(types.SimpleNamespace(name="smallnet"), "04_net")
    ((data, more),) = shown
    alt = more["metadata"]["image/png"]["alt"]
    assert alt == "The layers of smallnet from top to bottom, each with its output shape."
    assert data == {"image/png": b"a picture of smallnet", "text/plain": f"04_net: {alt}"}


def test_a_history_without_validation_and_one_without_the_metric():
    figure = plots.history({"net": {"loss": [1, 0.5], "auc": [0.5, 0.6]}})
    assert [len(axis.lines) for axis in figure.axes] == [1, 1]
    for wrong in ({"net": {"loss": [1]}}, {"loss": [1], "auc": [1]}):
        with pytest.raises(
            ValueError, match=r"has no metric .*give \{name: history\} and metrics=\.$"
        ):
            plots.history(wrong)
    plots.plt.close("all")


@pytest.mark.parametrize("count, titles", [(0, []), (2, ["a"])])
def test_a_grid_needs_images_and_a_title_each(count, titles):
    with pytest.raises(ValueError, match=f"There are {count} images and {len(titles)} titles"):
        plots.grid([np.zeros((4, 4))] * count, titles)
