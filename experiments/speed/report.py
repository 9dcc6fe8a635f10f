"""Write README.md of this folder, its figures and the instructors' timings from records.json."""

import re
from pathlib import Path
from typing import NamedTuple

from experiments import records
from experiments.report import count, ends, head, number, picture, table
from experiments.speed.aims import COST, GROWTH, ROWS, SPEED, Row, met, shown, spread

HOME = Path(__file__).resolve().parent
INSTRUCTORS = HOME.parent.parent / "docs" / "instructors.md"
MARK = r"<!-- timings: .*-->"
MET, MISSED, FREE = "#1f77b4", "#d95f02", "#8c8c8c"  # told apart by the colour-blind as well
SMALLEST = 0.1  # MB, so that a growth of nothing has a place on a logarithmic axis
COLUMNS = ("what", "beside", "n", "ours", "other", "ratio (low to high)", "ratio is", "aim",
           "met?", "peak MB, ours / other")  # fmt: skip
SCRIPTS = {"course": "course_time"}  # where records are not named after their script
TITLE = """# Benchmarks

`make bench` measures all of this anew and keeps it in [records.json](../records.json); this page
and its figures are made from that file by [report.py](report.py), so nobody types a number here.

Two ways of doing the same run in turn, each time in a fresh process. *Ours* and *other* are medians
over the runs; behind a ratio of several runs stand the lowest and the highest of single ones. A row
without another way stands alone. What exactly is compared, and when the clock runs, is said in the
first lines of each script. Aims are in [aims.py](aims.py); one that is not met is shown as such.
"""


def text(kept):
    """Return the page.

    Parameters
    ----------
    kept : dict
        The records of speed, by name.

    Returns
    -------
    str
        Markdown.
    """
    known = {row.name for row in ROWS}
    rows = [*ROWS, *(Row(name, name, "") for name in sorted(set(kept) - known))]
    missing = [row.name for row in ROWS if row.name not in kept]
    parts = [TITLE, *([f"{head(kept)}\n"] if kept else [])]
    parts.append(table(COLUMNS, [cells(row, kept.get(row.name)) for row in rows]))
    if missing:
        parts.append(f"Missing, as nobody has measured it yet: {', '.join(missing)}.\n")
    return "\n".join(parts) + figures(kept)


def cells(row, record):
    """Return one line of the table."""
    script = row.name.split(".")[0]
    what = f"[{row.name}]({SCRIPTS.get(script, script)}.py): {row.what}"
    aim = row.aim.words if row.aim else "-"
    if record is None:
        other, form = "missing" if row.beside else "-", row.form or "-"
        return [what, row.beside or "-", "-", "missing", other, "-", form, aim, "missing", "-"]
    ratio, range_ = shown(row, record["ratio"]), spread(row, record)
    behind = f" ({ends(range_, number)})" if range_ else ""
    alone = ratio is None or row.form is None
    peaks = [record.get(f"{way}_peak_mb") for way in ("ours", "other")]
    sides = [record[way] for way in ("ours", "other")]
    sides = ["-" if side is None else f"{number(side)} {record['unit']}" for side in sides]
    return [
        *(what, row.beside or "-", count(record["n"]), *sides),
        *(("-", "-") if alone else (f"{number(ratio)}{behind}", row.form)),
        *(aim, {True: "yes", False: "**no**", None: "-"}[met(row, record)]),
        "-" if None in peaks else " / ".join(map(number, peaks)),
    ]


def figures(kept):
    """Return the figures that there are, each with its alternative text."""
    found = ""
    if told := [f"{bar.name} {number(bar.value)}" for bar in speeds(kept)]:
        what = "How many times as fast as the other way each measurement was, aims as black lines"
        found += f"\n## Speed beside the other way\n{picture('ratios.png', what, told)}"
    if lines := growths(kept):
        told = [f"{line.label} from {number(line.few)} to {number(line.many)}" for line in lines]
        what = "Growth of memory in MB as ten times the images are read"
        found += f"\n## Memory with ten times the images\n{picture('memory.png', what, told)}"
    if "label_spreading.knn_against_rbf" in kept:
        what = "Time and growth of memory of spreading labels against the number of images"
        told = ["a line for each kernel, all axes logarithmic"]
        found += f"\n## Label spreading\n{picture('label_spreading.png', what, told)}"
    return found


def with_timings(page, kept):
    """Return the instructors' page with the table of what each lesson took."""
    fresh = timings(kept.get("course.sample"))
    return re.sub(
        rf"({MARK})\n(?:\n\|.*\n(?:\|.*\n)*)?", lambda found: f"{found[1]}\n\n{fresh}\n", page
    )


def timings(record):
    """Return a table of the lessons' seconds on the drawn sample."""
    record = record or {"machine": {"cores": "?"}}
    lessons = [(name, record[name]) for name in sorted(record) if name[:2].isdigit()]
    rows = [f"| [{name[:2]}](../notebooks/{name}.ipynb) | {spent:.0f} |" for name, spent in lessons]
    rows += [f"| all | {record['ours']:.0f} |"] if lessons else []
    cores = record["machine"]["cores"]
    first = f"| lesson | seconds on {cores} cores without a GPU, drawn images |"
    return "\n".join([first, "|---|---|", *rows])


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


def speeds(kept):
    """Return a bar for every record that compares how fast two ways are."""
    bars = []
    for row in ROWS:
        record = kept.get(row.name)
        if record is None or row.form not in SPEED or record["ratio"] is None:
            continue

        def faster(ratio, row=row):  # where less is better, turned round
            return 1 / ratio if row.form == COST else ratio

        range_, mark = spread(row, record), row.aim.mark if row.aim else None
        range_ = tuple(sorted(map(faster, range_))) if range_ else None
        value = faster(shown(row, record["ratio"]))
        bars.append(Bar(row.name, value, range_, faster(mark) if mark else None, met(row, record)))
    return bars


def growths(kept):
    """Return a line for every way whose growth is known with n images and with ten times as many.

    Records say so as <way>_growth_mb_at_<images> and, for their own n, <way>_growth_mb.
    """
    lines = []
    for row in ROWS:
        record = kept.get(row.name, {})
        if record and row.form == GROWTH:
            lines.append(Line(f"{row.name}, n to 10n", True, record["other"], record["ours"]))
        ways = {}
        for key, value in record.items():
            if found := re.fullmatch(r"(.+)_growth_mb(?:_at_(\d+))?", key):
                ways.setdefault(found[1], {})[int(found[2] or record["n"])] = value
        for way, sizes in sorted(ways.items(), key=lambda item: item[0] == "other"):
            many = record["n"]
            if row.form != GROWTH and {many, many // 10} <= set(sizes):
                label = f"{row.name}, {way}, {many // 10:,} to {many:,}"
                ours = way in ("ours", "knn")
                lines.append(Line(label, ours, sizes[many // 10], sizes[many]))
    return lines


def draw_speeds(bars, path):
    """Draw the bars, from 1 to either side, with their ranges and aims."""
    if not bars:
        return
    figure, axes, plt = _empty([bar.name for bar in bars])
    for place, bar in enumerate(bars):
        colour = {True: MET, False: MISSED, None: FREE}[bar.met]
        axes.barh(place, bar.value - 1, left=1, color=colour, height=0.6)
        if bar.ends:
            axes.plot(bar.ends, [place, place], color="black", linewidth=1)
        if bar.aim:
            axes.plot([bar.aim] * 2, [place - 0.42, place + 0.42], color="black", linewidth=2.5)
        aim = f" (aim {number(bar.aim)})" if bar.aim else ""
        right = max(bar.value, bar.aim or 0, 1, *(bar.ends or ()))
        _beside(axes, f"{number(bar.value)}{aim}", right, place)
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
    figure, axes, plt = _empty([line.label for line in lines])
    for place, line in enumerate(lines):
        few, many = (max(value, SMALLEST) for value in (line.few, line.many))
        colour = MET if line.ours else MISSED
        axes.plot([few, many], [place, place], color=colour, linewidth=2)
        axes.plot(few, place, "o", color=colour, markerfacecolor="white", markersize=8)
        axes.plot(many, place, "o", color=colour, markersize=8)
        _beside(axes, f"{number(line.few)} to {number(line.many)}", max(few, many), place)
    values = [max(v, SMALLEST) for line in lines for v in (line.few, line.many)]
    axes.set_xlim(0.6 * min(values), 12 * max(values))
    axes.set_xlabel("growth of memory (MB)")
    keys = [plt.Line2D([], [], color=colour, linewidth=2) for colour in (MET, MISSED)]
    for fill in ("white", "black"):
        keys.append(plt.Line2D([], [], color="black", marker="o", markerfacecolor=fill, ls=""))
    _finish(figure, keys, ("ours", "other", "n images", "10n images"), path)


def _beside(axes, words, x, y):
    axes.annotate(words, (x, y), (9, 0), textcoords="offset points", va="center")


def _empty(names):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    size = (10, 1.3 + 0.36 * len(names))
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")  # 100, not a power
    axes.set_ylim(len(names) - 0.4, -0.6)  # the first on top
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes, plt


def _finish(figure, keys, words, path):
    figure.legend(keys, words, loc="outside upper center", ncols=len(words), frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})  # no version: less noise in git


def write():
    """Write the page, its figures, and the timings of the lessons."""
    kept = records.load()["speed"]
    draw_speeds(speeds(kept), HOME / "ratios.png")
    draw_growths(growths(kept), HOME / "memory.png")
    (HOME / "README.md").write_text(text(kept), "utf-8")
    INSTRUCTORS.write_text(with_timings(INSTRUCTORS.read_text("utf-8"), kept), "utf-8")
    print(f"README.md tells of {len(kept)} records of {records.FILE.name}")


if __name__ == "__main__":
    write()
