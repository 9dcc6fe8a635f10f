"""What both pages of results are made of: the head, tables, numbers, figures."""

NAMES = {"python": "Python", "tensorflow": "TensorFlow", "keras": "Keras"}
NAMES |= {"scikit-learn": "scikit-learn", "numpy": "NumPy"}


def head(records):
    """Say on what, with which versions, when and from which commit records were measured.

    What most were measured on comes first; records of another machine, of other versions, or of
    which date and commit are not known, are named.
    """
    groups = {}
    for row in records.values():
        groups.setdefault((_place(row), row.get("date") is None), []).append(row)
    told = []
    for (place, unknown), rows in sorted(groups.items(), key=lambda item: -len(item[1])):
        line = f"{place}; " + ("date and commit were not kept" if unknown else _when(rows))
        names = f": {', '.join(sorted({row['name'] for row in rows}))}" if told else ""
        told.append(f"{'Measured on' if not told else 'On'} {line}{names}.")
    return " ".join(told)


def _place(row):
    machine, versions = row["machine"], row["versions"]
    listed = ", ".join(f"{NAMES[key]} {versions[key]}" for key in NAMES if key in versions)
    where = f"{machine['cores']} cores of {machine['processor']} ({machine['system']})"
    return f"{where}, with {listed}"


def _when(rows):
    dates = sorted({row["date"] for row in rows})
    commits = sorted({row["commit"] or "unknown" for row in rows})
    days = f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else dates[0]
    return f"{days}, {'commit' if len(commits) == 1 else 'commits'} {', '.join(commits)}"


def table(head, rows):
    """Return a Markdown table, or a line that says that there is nothing yet."""
    if not rows:
        return "Nothing of this has been measured yet.\n"
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def picture(file, what, told):
    """Return a figure with its alternative text; nothing without numbers to show."""
    return f"\n![{what}: {'; '.join(told)}.]({file})\n" if told else ""


def share(value):
    """Write a figure of 0 to 1 with three digits, or "-" where there is none."""
    return "-" if value is None else f"{value:.3f}"


def count(value):
    """Write a number of parameters or images."""
    return "-" if value is None else f"{value:,}"


def number(value):
    """Write any number with three digits, larger ones in full."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ends(values, write=share):
    """Write the lowest and the highest of several; "-" for a single one, which has no range."""
    return f"{write(min(values))} to {write(max(values))}" if len(values) > 1 else "-"
