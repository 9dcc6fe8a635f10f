"""The figures of the report: how fast beside the other way, and how memory grows."""

import re
from typing import NamedTuple

from aims import COST, GROWTH, ROWS, SPEED, met, shown, spread

MET, MISSED, FREE = "#1f77b4", "#d95f02", "#8c8c8c"  # told apart by the colour-blind as well
SMALLEST = 0.1  # MB, so that a growth of nothing has a place on a logarithmic axis


class Bar(NamedTuple):
    """How many times as fast as the other way, its range, and what was aimed at."""

    name: str
    value: float
    ends: tuple | None
    aim: float | None
    met: bool | None


class Line(NamedTuple):
    """How memory grew, in MB, with few images and with ten times as many."""

    label: str
    ours: bool
    few: float
    many: float


def speeds(entries):
    """Return a bar for every entry that compares how fast two ways are."""
    bars = []
    for row in ROWS:
        entry = entries.get(row.name)
        if entry is None or row.form not in SPEED or entry["ratio"] is None:
            continue

        def faster(ratio, row=row):  # where less is better, turned round
            return 1 / ratio if row.form == COST else ratio

        ends = spread(row, entry)
        mark = row.aim.mark if row.aim else None
        bars.append(
            Bar(
                row.name,
                faster(shown(row, entry["ratio"])),
                tuple(sorted(map(faster, ends))) if ends else None,
                faster(mark) if mark else None,
                met(row, entry),
            )
        )
    return bars


def growths(entries):
    """Return a line for every way whose growth is known with n images and with ten times as many.

    Entries say so as <way>_growth_mb_at_<images> and, for their own n, <way>_growth_mb.
    """
    lines = []
    for row in ROWS:
        entry = entries.get(row.name, {})
        if entry and row.form == GROWTH:
            lines.append(Line(f"{row.name}, n to 10n", True, entry["other"], entry["ours"]))
        ways = {}
        for key, value in entry.items():
            if found := re.fullmatch(r"(.+)_growth_mb(?:_at_(\d+))?", key):
                ways.setdefault(found[1], {})[int(found[2] or entry["n"])] = value
        for way, sizes in sorted(ways.items(), key=lambda item: item[0] == "other"):
            many = entry["n"]
            if row.form != GROWTH and {many, many // 10} <= set(sizes):
                label = f"{row.name}, {way}, {many // 10:,} to {many:,}"
                ours = way in ("ours", "knn")
                lines.append(Line(label, ours, sizes[many // 10], sizes[many]))
    return lines


def draw_speeds(bars, path):
    """Draw the bars, from 1 to either side, with their ranges and aims."""
    if not bars:
        return
    figure, axes, plt = _empty(len(bars))
    for place, bar in enumerate(bars):
        colour = {True: MET, False: MISSED, None: FREE}[bar.met]
        axes.barh(place, bar.value - 1, left=1, color=colour, height=0.6)
        low, high = bar.ends or (bar.value, bar.value)
        axes.plot([low, high], [place, place], color="black", linewidth=1)
        if bar.aim:
            axes.plot([bar.aim] * 2, [place - 0.42, place + 0.42], color="black", linewidth=2.5)
        aim = f" (aim {number(bar.aim)})" if bar.aim else ""
        _beside(axes, f"{number(bar.value)}{aim}", max(high, bar.aim or 0, 1), place)
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    reach = [1, *(end for bar in bars for end in (bar.value, bar.aim or 1, *(bar.ends or ())))]
    axes.set_xlim(0.7 * min(reach), 12 * max(reach))  # room for the words
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times as fast as the other way")
    keys = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in (MET, MISSED, FREE)]
    keys += [plt.Line2D([], [], color="black", linewidth=width) for width in (2.5, 1)]
    words = ("aim met", "aim not met", "no aim", "aim", "lowest to highest run")
    _finish(figure, keys, words, path)


def draw_growths(lines, path):
    """Draw a line for each way, from its growth with few images to that with many."""
    if not lines:
        return
    figure, axes, plt = _empty(len(lines))
    for place, line in enumerate(lines):
        few, many = (max(value, SMALLEST) for value in (line.few, line.many))
        colour = MET if line.ours else MISSED
        axes.plot([few, many], [place, place], color=colour, linewidth=2)
        axes.plot(few, place, "o", color=colour, markerfacecolor="white", markersize=8)
        axes.plot(many, place, "o", color=colour, markersize=8)
        _beside(axes, f"{number(line.few)} to {number(line.many)}", max(few, many), place)
    axes.set_yticks(range(len(lines)), [line.label for line in lines])
    values = [max(v, SMALLEST) for line in lines for v in (line.few, line.many)]
    axes.set_xlim(0.6 * min(values), 12 * max(values))
    axes.set_xlabel("growth of memory (MB)")
    keys = [plt.Line2D([], [], color=colour, linewidth=2) for colour in (MET, MISSED)]
    for fill in ("white", "black"):
        keys.append(plt.Line2D([], [], color="black", marker="o", markerfacecolor=fill, ls=""))
    _finish(figure, keys, ("ours", "other", "n images", "10n images"), path)


def number(value):
    """Write a number with three digits, larger ones in full."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _beside(axes, words, x, y):
    axes.annotate(words, (x, y), (9, 0), textcoords="offset points", va="center")


def _empty(count):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 1.3 + 0.36 * count), layout="constrained")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")  # 100, not a power
    axes.set_ylim(count - 0.4, -0.6)  # the first on top
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes, plt


def _finish(figure, keys, words, path):
    figure.legend(keys, words, loc="outside upper center", ncols=len(words), frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})  # no version: less noise in git
