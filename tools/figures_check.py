"""Draw all figures anew and say what changed, `make figures-check`; nothing committed is touched.

Drawn figures are compared pixel by pixel, trained ones by size, ink and layout. What changed is in
build/figures-check: old, new and difference side by side.
"""

import argparse
import itertools
import os
import shutil
import sys

import contact_sheet
import cv2
import numpy as np
import run_course
from matplotlib.testing.compare import calculate_rms
from PIL import Image, ImageChops, ImageDraw

import figures

BUILD = figures.ROOT / "build" / "figures-check"
TILE = 16  # pixels: so small that one digit or one row of pixels of a bar weighs enough
PIXELS = 25  # grey levels, of a tile's root mean square: edges smoothed otherwise stay below
SIZE = 0.2  # trained figures may be so much wider or higher: rows of images vary with the first
INK = 1.5  # times more or less of their area may be covered
LIKENESS = 0.4  # correlation of where the ink is: trained anew 0.46 or more, a moved legend 0.2
VERSION = "Software"  # what a PNG says of the matplotlib that drew it


def main(arguments=None):
    """Run the lessons and compare; return the exit status: 0, 1 for a change, 2 for misuse."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lessons", default="", help='such as "02 04"; all when empty')
    lessons = parser.parse_args(arguments).lessons
    shutil.rmtree(BUILD, ignore_errors=True)
    new = BUILD / "new"
    new.mkdir(parents=True)
    os.environ["COURSE_FIGURES"] = str(new)
    failed = run_course.main(["--source", "sample", "--lessons", lessons])
    if failed == 2:
        return 2
    contact_sheet.main(new)
    wanted = (contact_sheet.NAME, *(path.name[:3] for path in run_course.chosen(lessons)))
    changes = compare(figures.FIGURES, new, BUILD, wanted)
    print(f"\n{len(list(new.glob('*.png')))} figures drawn, {len(changes)} changed.")
    for name, change in changes.items():
        print(f"{name}: {change}")
    return int(bool(failed or changes))


def compare(old, new, out, wanted=("",)):
    """Compare the figures of two folders whose names begin with one of `wanted`.

    Returns
    -------
    dict of str to str
        What changed, a sentence a figure; for each, `out` gets old, new and difference as one PNG.
    """
    names = {path.stem for folder in (old, new) for path in folder.glob("*.png")}
    changes = {}
    for name in sorted(name for name in names if name.startswith(wanted)):
        paths = [folder / f"{name}.png" for folder in (old, new)]
        if not paths[0].exists():
            changes[name] = "is new: make figures adds it."
        elif not paths[1].exists():
            changes[name] = "is missing: no lesson that ran drew it."
        else:
            pictures = [Image.open(path) for path in paths]
            if change := changed(*pictures, figures.kind(name)):
                changes[name] = change
                side_by_side(*pictures).save(out / f"{name}.png")
    return changes


def changed(old, new, kind):
    """Return a sentence that says what differs too much, or None.

    Another matplotlib sets letters otherwise, so what two of them drew is compared as if trained.
    """
    same = old.info.get(VERSION) == new.info.get(VERSION)
    pixels = [np.asarray(picture.convert("RGB")) for picture in (old, new)]
    return drawn(*pixels) if kind == "drawn" and same else trained(*pixels)


def drawn(old, new):
    """Compare size and pixels."""
    if old.shape != new.shape:
        return f"is {size(new)} pixels, was {size(old)}."
    old, new = old.astype(np.int16), new.astype(np.int16)
    high, wide = old.shape[:2]
    corners = itertools.product(range(0, high, TILE), range(0, wide, TILE))
    tiles = [(slice(y, y + TILE), slice(x, x + TILE)) for y, x in corners]
    most, place = max((calculate_rms(old[t], new[t]), (t[1].start, t[0].start)) for t in tiles)
    if most > PIXELS:
        return f"differs by {most:.0f} grey levels near {place}, where {PIXELS} would pass."


def trained(old, new):
    """Compare size, how much is covered with ink, and where."""
    inks = [ink(old), ink(new)]
    ratio = inks[1].mean() / inks[0].mean()
    wider = np.divide(new.shape[:2], old.shape[:2])
    if not inks[1].any():
        return "is blank."
    if np.abs(wider - 1).max() > SIZE:
        return f"is {size(new)} pixels, was {size(old)}."
    if not 1 / INK < ratio < INK:
        return f"is covered to {inks[1].mean():.0%}, was to {inks[0].mean():.0%}."
    grids = [cv2.resize(mask, (TILE, TILE), interpolation=cv2.INTER_AREA) for mask in inks]
    likeness = np.corrcoef(grids[0].ravel(), grids[1].ravel())[0, 1]
    if not likeness >= LIKENESS:
        return f"is laid out otherwise: likeness {likeness:.2f}, where {LIKENESS} would pass."


def ink(pixels):
    """Return where a picture is not white, as 0 and 1."""
    return (pixels.min(axis=2) < 248).astype(np.float32)


def size(pixels):
    """Return width and height for people."""
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def side_by_side(*pictures):
    """Return old, new and their difference (white: none) as one picture."""
    wide, high = (max(sides) for sides in zip(*(p.size for p in pictures), strict=True))
    parts = []
    for picture in pictures:
        parts.append(Image.new("RGB", (wide, high), "white"))
        parts[-1].paste(picture.convert("RGB"))
    parts.append(ImageChops.invert(ImageChops.difference(*parts)))
    whole = Image.new("RGB", (3 * wide + 20, high + 20), "lightgrey")
    pen = ImageDraw.Draw(whole)
    for k, (title, part) in enumerate(zip(("old", "new", "difference"), parts, strict=True)):
        pen.text((k * (wide + 10) + 4, 4), title, fill="black")
        whole.paste(part, (k * (wide + 10), 20))
    return whole


if __name__ == "__main__":
    sys.exit(main())
