"""Write benchmarks/README.md, its figures and docs/instructors.md's timings from results.json."""

import re

import charts
from aims import ROWS, Row, met, shown, spread
from results import FILE, load

MARK = "<!-- timings: written by benchmarks/report.py -->"
COLUMNS = ("what", "beside", "n", "ours", "other", "ratio (low to high)", "ratio is", "aim",
           "met?", "peak MB, ours / other")  # fmt: skip
SCRIPTS = {"course": "course_time"}  # where entries are not named after their script
HEAD = """# Benchmarks

`make bench` measures all of this anew and writes it to [results.json](results.json); this page and
its figures are made from that file by [report.py](report.py), so nobody types a number here.

Two ways of doing the same run in turn, each time in a fresh process. *Ours* and *other* are medians
over the runs; behind a ratio stand the lowest and the highest of single runs. A row without another
way stands alone. What exactly is compared, and when the clock runs, is said in the first lines of
each script. Aims are in [aims.py](aims.py); one that is not met is shown as such.
"""


def text(entries):
    """Return the page.

    Parameters
    ----------
    entries : dict
        What results.json holds.

    Returns
    -------
    str
        Markdown.
    """
    known = {row.name for row in ROWS}
    others = [Row(name, name, "") for name in sorted(set(entries) - known - {"machine"})]
    lines = [" | ".join(COLUMNS), " | ".join("---" for _ in COLUMNS)]
    lines += [" | ".join(cells(row, entries.get(row.name))) for row in (*ROWS, *others)]
    table = "\n".join(f"| {line} |" for line in lines)
    missing = [row.name for row in ROWS if row.name not in entries]
    said = f"\nMissing, as nobody has measured it yet: {', '.join(missing)}.\n" if missing else ""
    return f"{HEAD}\n{machine(entries)}\n\n{table}\n{said}{figures(entries)}"


def machine(entries):
    """Say what all was measured on."""
    told = entries.get("machine")
    cores = {e["cores"] for name, e in entries.items() if name != "machine" and "cores" in e}
    if not told:
        many = ", ".join(map(str, sorted(cores))) or "an unknown number of"
        return f"Measured on {many} cores; the processor and the versions were not recorded."
    names = {"tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy"}
    versions = [f"{names[key]} {told[key]}" for key in names if key in told]
    line = f"Measured on {told['cores']} cores of {told['processor']} ({told['system']}), with "
    line += ", ".join([f"Python {told['python']}", *versions]) + "."
    for count in sorted(cores - {told["cores"]}):
        names = [name for name, entry in entries.items() if entry.get("cores") == count]
        line += f" On another machine, with {count} cores: {', '.join(names)}."
    return line


def cells(row, entry):
    """Return one line of the table."""
    script = row.name.split(".")[0]
    what = f"[{row.name}]({SCRIPTS.get(script, script)}.py): {row.what}"
    aim = row.aim.words if row.aim else "-"
    if entry is None:
        other = "missing" if row.beside else "-"
        form = row.form or "-"
        return [what, row.beside or "-", "-", "missing", other, "-", form, aim, "missing", "-"]
    ratio, ends = shown(row, entry["ratio"]), spread(row, entry)
    behind = f" ({charts.number(ends[0])} to {charts.number(ends[1])})" if ends else ""
    alone = ratio is None or row.form is None
    peaks = [entry.get(f"{way}_peak_mb") for way in ("ours", "other")]
    return [
        what,
        row.beside or "-",
        f"{entry['n']:,}",
        f"{charts.number(entry['ours'])} {entry['unit']}",
        "-" if entry["other"] is None else f"{charts.number(entry['other'])} {entry['unit']}",
        "-" if alone else f"{charts.number(ratio)}{behind}",
        "-" if alone else row.form,
        aim,
        {True: "yes", False: "**no**", None: "-"}[met(row, entry)],
        "-" if None in peaks else " / ".join(map(charts.number, peaks)),
    ]


def figures(entries):
    """Return the figures that there are, each with its alternative text."""
    parts = []
    if bars := charts.speeds(entries):
        told = [f"{bar.name} {charts.number(bar.value)}" for bar in bars]
        parts += ["## Speed beside the other way", f"![{alt_speeds(told)}](ratios.png)"]
    if lines := charts.growths(entries):
        told = [
            f"{line.label} from {charts.number(line.few)} to {charts.number(line.many)}"
            for line in lines
        ]
        alt = "Growth of memory in MB as ten times the images are read: " + "; ".join(told) + "."
        parts += ["## Memory with ten times the images", f"![{alt}](memory.png)"]
    if "label_spreading.knn_against_rbf" in entries:
        alt = "Time and growth of memory of spreading labels against the number of images, a line "
        alt += "for each kernel, all axes logarithmic."
        parts += ["## Label spreading", f"![{alt}](label_spreading.png)"]
    return "".join(f"\n{part}\n" for part in parts)


def alt_speeds(told):
    """Return the first figure's alternative text."""
    words = "Bars that tell how many times as fast as the other way each measurement was, with "
    return f"{words}aims as black lines: {', '.join(told)}."


def with_timings(page, entries):
    """Return the instructors' page with the table of what each lesson took."""
    table = f"{MARK}\n\n{timings(entries.get('course.sample', {}))}\n"
    return re.sub(f"{re.escape(MARK)}\n(?:\n\\|.*\n(?:\\|.*\n)*)?", lambda _: table, page)


def timings(entry):
    """Return a table of the lessons' seconds on the drawn sample."""
    lessons = [(name, entry[name]) for name in sorted(entry) if name[:2].isdigit()]
    rows = [f"| [{name[:2]}](../notebooks/{name}.ipynb) | {spent:.0f} |" for name, spent in lessons]
    rows += [f"| all | {entry['ours']:.0f} |"] if lessons else []
    head = f"| lesson | seconds on {entry.get('cores', '?')} cores without a GPU, drawn images |"
    return "\n".join([head, "|---|---|", *rows])


def main():
    entries, home = load(), FILE.parent
    charts.draw_speeds(charts.speeds(entries), home / "ratios.png")
    charts.draw_growths(charts.growths(entries), home / "memory.png")
    (home / "README.md").write_text(text(entries), "utf-8")
    page = home.parent / "docs" / "instructors.md"
    page.write_text(with_timings(page.read_text("utf-8"), entries), "utf-8")
    print(f"README.md tells of {len(entries)} entries of {FILE.name}")


if __name__ == "__main__":
    main()
