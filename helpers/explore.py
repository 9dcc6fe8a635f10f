"""Figures with sliders for a person to move; without a person, the same figures at one setting."""

import base64
import html
import importlib.util
import os

import matplotlib.pyplot as plt
from IPython import get_ipython
from IPython.display import display

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

    def redraw(_=None):
        picture.value = _image(draw, alt, {key: one.value for key, one in inputs.items()})

    def on_change(_):
        try:
            redraw()
        except Exception as error:  # what a callback raises, nobody would see
            reason = html.escape(f"{type(error).__name__}: {error}")
            picture.value = f"This setting cannot be drawn; choose another. ({reason})"

    redraw()  # what is wrong from the start is the cell's own error
    for one in inputs.values():
        one.observe(on_change, "value")
    return ipywidgets.VBox([*inputs.values(), picture])


def _start(values):
    return values[0] if isinstance(values, list) else values[3]


def _input(ipywidgets, key, values):
    looks = {"description": key.replace("_", " "), "layout": {"width": "26em"}}
    looks["style"] = {"description_width": "8em"}
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
        words = " ".join([alt, *(axis.get_title() for axis in figure.axes)])
        png = base64.b64encode(plots.drawn(figure)).decode()
    finally:  # hundreds of open figures fill memory; a notebook shows again what is left open
        for number in set(plt.get_fignums()) - set(before):
            plt.close(number)
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{png}">'
