"""Explorers: one still figure where nobody moves a slider, one that is redrawn where somebody does.

The kernels are real, as a notebook's are; what a browser would send and get is sent and got here.
"""

import base64
import html
import os
import re
from pathlib import Path

import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel

from helpers import explore, plots

ROOT = Path(__file__).resolve().parent.parent
VIEW = "application/vnd.jupyter.widget-view+json"
DRAW = """
from helpers import explore, plots

def draw(height, colour):
    figure, axis = plots.plt.subplots(figsize=(2, 1))
    assert height < 9, "too <high>"
    axis.plot([0, height], color=colour)
    axis.axis("off")  # quick to draw
    axis.set_title(f"height {height} in {colour}")
    return figure
"""
SHOW = 'explore.show(draw, "05_line", "A line that rises.", height=(0, 9, 1, 3), colour=["r", "b"])'


def run(client, code):
    """Execute a cell; return the messages that came back, until the kernel is idle again."""
    return until_idle(client, client.execute(code))


def until_idle(client, sent):
    found = []
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != sent:
            continue
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return found
        found.append(message)


@pytest.fixture(scope="module")
def live():
    env = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    manager, client = start_new_kernel(env=env | {"PYTHONPATH": str(ROOT)})
    run(client, DRAW)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def updates(messages):
    """Return the last thing that each widget was set to."""
    sent = [m["content"] for m in messages if m["msg_type"] == "comm_msg"]
    return {u["comm_id"]: u["data"]["state"] for u in sent if u["data"]["method"] == "update"}


def parts(messages):
    """Return what a cell displayed, its widgets by kind, and the state of each."""
    shown = [m["content"] for m in messages if m["msg_type"] in ("display_data", "execute_result")]
    opened = [m["content"] for m in messages if m["msg_type"] == "comm_open"]
    states = {one["comm_id"]: one["data"]["state"] for one in opened}
    for widget, state in updates(messages).items():
        states[widget] |= state
    return shown, {state["_model_name"]: widget for widget, state in states.items()}, states


def move(client, widget, value):
    """Move a slider as a browser does; return what that set the widgets to."""
    data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
    message = client.session.msg("comm_msg", {"comm_id": widget, "data": data})
    client.shell_channel.send(message)
    answers = until_idle(client, message["header"]["msg_id"])
    assert not [m for m in answers if m["msg_type"] in ("display_data", "error", "stream")]
    return updates(answers)


def picture(value):
    """Return alt text and bytes of an <img>."""
    parts = re.fullmatch(r'<img alt="([^"]*)" src="data:image/png;base64,(.*)">', value)
    return html.unescape(parts[1]), base64.b64decode(parts[2])


def test_a_person_gets_sliders_above_one_picture(live):
    shown, kinds, states = parts(run(live, SHOW))
    (data,) = [content["data"] for content in shown]
    assert data[VIEW]["model_id"] == kinds["VBoxModel"] and "image/png" not in data
    box = states[kinds["VBoxModel"]]
    order = [kinds[kind] for kind in ("IntSliderModel", "DropdownModel", "HTMLModel")]
    assert box["children"] == [f"IPY_MODEL_{key}" for key in order]
    slider, menu = states[order[0]], states[order[1]]
    assert (slider["value"], slider["min"], slider["max"], slider["step"]) == (3, 0, 9, 1)
    assert not slider["continuous_update"]
    assert (slider["description"], menu["description"]) == ("height", "colour")
    assert (list(menu["_options_labels"]), menu["index"]) == (["r", "b"], 0)


def test_what_is_moved_is_redrawn(live):
    _, kinds, states = parts(run(live, SHOW))
    html_model = kinds["HTMLModel"]
    alt, first = picture(states[html_model]["value"])
    assert alt == "A line that rises. height 3 in r." and first.startswith(b"\x89PNG")
    alt, second = picture(move(live, kinds["IntSliderModel"], 5)[html_model]["value"])
    assert alt == "A line that rises. height 5 in r." and second.startswith(b"\x89PNG")
    assert second != first
    back = move(live, kinds["IntSliderModel"], 3)[html_model]["value"]
    assert picture(back)[1] == first


def test_a_drawing_that_fails_says_so_and_the_next_one_works(live):
    _, kinds, _ = parts(run(live, SHOW))
    told = move(live, kinds["IntSliderModel"], 9)[kinds["HTMLModel"]]["value"]
    assert told.startswith(
        "This setting cannot be drawn; choose another. (AssertionError: too &lt;"
    )
    assert "<" not in told and "Traceback" not in told
    again = move(live, kinds["IntSliderModel"], 4)[kinds["HTMLModel"]]["value"]
    assert picture(again)[0].endswith("height 4 in r.")


def test_what_fails_from_the_start_is_the_cell_s_error(live):
    told = run(live, SHOW.replace("3)", "9)"))
    assert [m["content"]["ename"] for m in told if m["msg_type"] == "error"] == ["AssertionError"]
    run(live, "plots.plt.close('all')")


def test_fifty_drawings_leave_no_figure_open(live):
    _, kinds, _ = parts(run(live, SHOW))
    for k in range(50):
        move(live, kinds["IntSliderModel"], (k + 1) % 10)  # every tenth one fails
    (left,) = [m for m in run(live, "print(plots.plt.get_fignums())") if m["msg_type"] == "stream"]
    assert left["content"]["text"] == "[]\n"


@pytest.mark.parametrize(
    "without",
    ["os.environ['COURSE_WIDGETS'] = 'off'", "sys.modules['ipywidgets'] = None"],
    ids=["switched off", "not installed"],
)
def test_without_widgets_it_is_a_figure_like_every_other(live, without, tmp_path):
    run(live, f"import os, sys; os.environ['COURSE_FIGURES'] = {str(tmp_path)!r}; {without}")
    (content,), kinds, _ = parts(run(live, SHOW))
    run(live, "os.environ.pop('COURSE_WIDGETS', 0); sys.modules.pop('ipywidgets', 0)")
    assert set(content["data"]) == {"image/png", "text/plain"} and not kinds
    assert content["data"]["text/plain"] == "05_line: A line that rises."
    assert content["metadata"] == {"image/png": {"alt": "A line that rises."}}
    saved = (tmp_path / "05_line.png").read_bytes()
    assert saved == base64.b64decode(content["data"]["image/png"])


def test_nothing_is_live_where_there_is_no_notebook(monkeypatch):
    monkeypatch.delenv("COURSE_WIDGETS", raising=False)
    assert not explore.live()


def test_lessons_under_test_stand_still():
    assert os.environ["COURSE_WIDGETS"] == "off"  # by conftest.py


LABELS, SCORES = np.array([0, 0, 0, 1, 1, 1, 1, 1]), np.array([0, 0.2, 0.6, 0.4, 0.6, 0.9, 1, 1])


@pytest.mark.parametrize(
    "threshold, prevalence, counts, titles",
    [
        (0.6, None, [[2, 1], [1, 4]], ["sensitivity 0.80, specificity 0.67", "8 images"]),
        (0.7, None, [[3, 0], [2, 3]], ["sensitivity 0.60, specificity 1.00", "8 images"]),
        (0.6, 0.1, [[600, 300], [20, 80]], [None, "1,000 patients: 21% of alarms are right"]),
        (1.1, 0.1, [[900, 0], [100, 0]], [None, "1,000 patients: no alarm"]),
    ],
)
def test_a_cut_counts_both_sides(threshold, prevalence, counts, titles):
    figure = explore.cut(LABELS, SCORES, threshold, ("well", "ill"), prevalence)
    left, right = figure.axes
    assert np.allclose(right.images[0].get_array(), counts)
    for axis, title in zip((left, right), titles, strict=True):
        assert title in (None, axis.get_title())
    assert [line.get_xdata()[0] for line in left.lines] == [threshold]
    well, ill = ([bar.get_height() for bar in bars] for bars in left.containers)
    assert np.isclose(sum(well), 1) and np.isclose(sum(ill), 1)  # each class as a whole
    assert np.allclose([well[0], ill[-1]], [1 / 3, 2 / 5])
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["well", "ill"]
    plots.plt.close(figure)


def test_heat_lies_over_the_second_image_and_the_lesion_is_outlined_in_both():
    image, lesion = np.full((6, 6, 1), 90.0), np.zeros((6, 6), bool)
    weights = np.linspace(0, 1, 36).reshape(6, 6)
    lesion[2:4, 2:4] = True
    figure = explore.heat(image, weights, ["child", "map"], lesion, opacity=0.5)
    plain, under = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["child", "map"]
    assert len(plain.images) == 1 and (plain.images[0].get_array() == 90).all()
    over = under.images[1]
    assert (over.get_array() == weights).all() and over.get_clim() == (0, 1)
    assert np.allclose(over.get_alpha(), 0.5 * np.sqrt(weights))
    assert [len(axis.collections) for axis in figure.axes] == [1, 1]
    nothing = np.zeros((6, 6), bool)  # a real X-ray, a healthy child
    figure = explore.heat(image, weights, ["a", "b"], nothing, opacity=0.65)
    assert not any(axis.collections for axis in figure.axes)
    plots.plt.close("all")
