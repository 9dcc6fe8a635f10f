"""Figures with sliders for a person to move; without a person, the same figures at one setting."""

import base64
import html
import importlib.util
import os

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from IPython.display import display
from sklearn.metrics import ConfusionMatrixDisplay

from helpers import plots


def show(draw, name, alt, **settings):
    """Show a figure that a person can change, or, where nobody can, as `plots.show` does.

    Parameters
    ----------
    draw : callable
        Takes every setting by its name, returns a matplotlib Figure.
    name, alt : str
        As for `plots.show`; the alt text should hold for every setting.
    **settings : tuple or list
        A slider from (lowest, highest, step, start), or a menu from a list of which the first is
        the start.
    """
    if live():
        display(box(draw, alt, **settings))
    else:
        plots.show(draw(**{key: _start(values) for key, values in settings.items()}), name, alt)


def live():
    """Tell whether sliders work: in a notebook's kernel that has ipywidgets.

    `COURSE_WIDGETS=off` says that nobody is there to move them: in tests, in `make course`, and
    in outputs that are committed.
    """
    in_notebook = getattr(get_ipython(), "kernel", None) is not None
    wanted = os.environ.get("COURSE_WIDGETS") != "off"
    return wanted and in_notebook and importlib.util.find_spec("ipywidgets") is not None


def box(draw, alt, **settings):
    """Return sliders and menus, one a setting, above the picture that they redraw.

    The picture is an <img> inside an HTML widget, since an Image widget has no alt text; the alt
    text ends with the titles, which hold the figures that changed.
    """
    import ipywidgets  # only here: without it, figures stand still

    inputs = {key: _input(ipywidgets, key, values) for key, values in settings.items()}
    picture = ipywidgets.HTML()

    def redraw(change):
        try:
            picture.value = _image(draw, alt, {key: one.value for key, one in inputs.items()})
        except Exception as error:
            if change is None:  # what is wrong from the start is the cell's own error
                raise
            reason = html.escape(f"{type(error).__name__}: {error}")  # nobody sees a callback's
            picture.value = f"This setting cannot be drawn; choose another. ({reason})"

    redraw(None)
    for one in inputs.values():
        one.observe(redraw, "value")
    return ipywidgets.VBox([*inputs.values(), picture])


def _start(values):
    return values[0] if isinstance(values, list) else values[3]


def _input(ipywidgets, key, values):
    looks = {"description": key.replace("_", " "), "layout": {"width": "36em", "max_width": "100%"}}
    looks["style"] = {"description_width": "6em"}
    if isinstance(values, list):
        return ipywidgets.Dropdown(options=values, **looks)
    low, high, step, start = values
    whole = all(isinstance(value, int) for value in values)
    slider = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    # redrawn when the slider is let go: a drawing for each place on the way would lag behind
    return slider(start, min=low, max=high, step=step, continuous_update=False, **looks)


def _image(draw, alt, settings):
    before = plt.get_fignums()
    try:
        figure = draw(**settings)
        words = f"{alt} {'; '.join(axis.get_title() for axis in figure.axes)}."
        png = base64.b64encode(plots.drawn(figure)).decode()
    finally:  # hundreds of open figures fill memory; a notebook shows again what is left open
        for number in set(plt.get_fignums()) - set(before):
            plt.close(number)
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{png}">'


def cut(labels, scores, threshold, classes, prevalence=None):
    """Draw what a threshold does to both classes: their scores, and who ends on which side.

    Parameters
    ----------
    labels : array of 0 and 1
        [N], the truth.
    scores : array of float
        [N], each 0..1; `score >= threshold` is class 1.
    threshold : float
        The line in the left panel.
    classes : sequence of str
        The names of class 0 and class 1.
    prevalence : float, optional
        The share that is sick among the 1,000 patients who are then counted on the right, with
        the same sensitivity and specificity. When None, the N images themselves are counted.

    Returns
    -------
    matplotlib.figure.Figure
        For `show`.
    """
    sick, scores = np.ravel(labels) == 1, np.ravel(scores)
    sides = [scores[sick == kind] >= threshold for kind in (False, True)]
    rates = np.array([[1 - side.mean(), side.mean()] for side in sides])
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.3), layout="constrained")
    shares = [np.full(len(side), 1 / len(side)) for side in sides]
    options = {"bins": np.linspace(0, 1, 26), "weights": shares, "label": list(classes)}
    left.hist([scores[~sick], scores[sick]], color=[plots.BLUE, plots.ORANGE], **options)
    left.axvline(threshold, color="black", linestyle="--")
    left.set_title(f"sensitivity {rates[1, 1]:.2f}, specificity {rates[0, 0]:.2f}")
    left.set(xlabel="score", ylabel="share of the class")
    left.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    left.spines[["top", "right"]].set_visible(False)
    if prevalence is None:
        counts, title = rates * [[len(side)] for side in sides], f"{len(sick)} images"
    else:
        counts = rates * [[1000 * (1 - prevalence)], [1000 * prevalence]]
        alarms = counts[:, 1].sum()
        right_share = f"{counts[1, 1] / alarms:.0%} of alarms are right" if alarms else "no alarm"
        title = f"1,000 patients: {right_share}"
    drawn = ConfusionMatrixDisplay(counts, display_labels=classes)
    drawn.plot(cmap="Blues", colorbar=False, values_format=".0f", ax=right)
    right.set_title(title)
    return figure


def heat(image, weights, titles, outline, opacity):
    """Draw an image, and beside it the same one under its heat map.

    Parameters
    ----------
    image : ndarray
        [H, W], [H, W, 1] or [H, W, 3] in 0..255.
    weights : ndarray
        The heat map, [H, W] in 0..1.
    titles : sequence of str
        Above the image and above the heat map.
    outline : ndarray of bool
        [H, W], drawn around in both; nowhere True when nothing is known.
    opacity : float
        Of the heat map where it is 1; 0..1.

    Returns
    -------
    matplotlib.figure.Figure
        For `show`.
    """
    figure = plots.grid([image, image], titles, columns=2, width=4.8)
    plots.lay_over(figure.axes[1], weights, opacity)
    for axis in figure.axes if outline.any() else ():
        axis.contour(outline, [0.5], colors=plots.COLOURS[5], linewidths=1)
    return figure
