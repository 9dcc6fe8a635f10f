"""Labels that come as a CSV file, one image a row: read as written, checked row by row."""

import csv
import io
from pathlib import Path, PureWindowsPath

import pandas as pd

FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}  # a table program may have written the latter two


def read_labels(file, key, columns):
    """Read a CSV file of labels that are 0 or 1.

    Parameters
    ----------
    file : pathlib.Path
        The CSV file.
    key : str
        The column that names the image.
    columns : tuple of str
        Labels that must be there. A further column of mostly 0 and 1 counts as a label too, any
        other stays text.

    Returns
    -------
    DataFrame
        One row an image, in the file's order: the key as `read_rows` gives it, each label an
        integer, 0 or 1.

    Raises
    ------
    ValueError
        As `read_rows` and `merge_repeats`, or when a label is neither 0 nor 1: one sentence with
        the line, the key and the column.
    """
    rows, found = read_rows(file, key, columns), []
    for name in rows.columns.drop(key):
        values = rows[name].map(FLAGS)
        wrong = values.isna()
        if name not in columns and wrong.mean() >= 0.5:
            continue
        if wrong.any():
            line = rows.index[wrong][0]
            text = f"'{rows.at[line, name]}'" if rows.at[line, name] else "empty"
            raise ValueError(
                f"{file.name}, line {line} ({key} {rows.at[line, key]}): {name} is {text}, but a "
                "label is 0 or 1: correct it."
            )
        rows[name] = values.astype(int)
        found.append(name)
    return merge_repeats(rows, file, key, found).reset_index(drop=True)


def read_rows(file, key, columns):
    """Read a CSV file of images as text.

    A byte-order mark, spaces around names and values, empty lines and columns without a name are
    passed over; semicolons and tabs separate as well as commas.

    Parameters
    ----------
    file, key, columns : pathlib.Path, str, tuple of str
        As for `read_labels`; the columns may hold any text.

    Returns
    -------
    DataFrame
        All columns as text, what is missing as "", the key as a path with "/"; the index is the
        line of the file that the row begins on, from 1.

    Raises
    ------
    ValueError
        When the file is no such table, a column is absent, or a key is empty or leads out of the
        folder: one sentence with the line or the column.
    """
    (_, header), *records = _records(file)
    _check_header(file, header, (key, *columns))
    if not records:
        raise ValueError(f"{file.name} has no rows below its header: add a line for every image.")
    for line, values in records:
        if any(values[len(header) :]):
            raise ValueError(
                f"{file.name}, line {line}: it has {len(values)} values for {len(header)} columns: "
                "put a value that holds a comma in quotation marks."
            )
    # a program that drops empty values at the end of a line leaves it short
    full = [values + [""] * (len(header) - len(values)) for _, values in records]
    full = [values[: len(header)] for values in full]
    rows = pd.DataFrame(full, [line for line, _ in records], header)
    rows = rows[[name for name in header if name]].copy()
    rows[key] = [_inside(file, line, key, text) for line, text in rows[key].items()]
    return rows


def merge_repeats(rows, file, key, columns):
    """Keep a key that comes twice once, and print how many do.

    Parameters
    ----------
    rows : DataFrame
        From `read_rows`.
    file, key, columns : pathlib.Path, str, list of str
        The file that it came from, the key, and the columns in which repeated rows must agree.

    Returns
    -------
    DataFrame
        The first row of every key.

    Raises
    ------
    ValueError
        When two rows of one key differ, with the key and both lines.
    """
    versions = rows.drop_duplicates([key, *columns])
    clash = versions[key][versions[key].duplicated()]
    if len(clash):
        same = versions[versions[key] == clash.iloc[0]]
        first, second = same.index[:2]
        name = next(n for n in columns if same.at[first, n] != same.at[second, n])
        raise ValueError(
            f"{file.name}, lines {first} and {second}: {key} {clash.iloc[0]} comes twice, with "
            f"different values of {name}: remove one of the two."
        )
    repeated = rows[key][rows[key].duplicated()]
    if len(repeated):
        said = listed(repeated, "row repeats an image", "rows repeat an image")
        print(f"{file.name}: {said}: kept once.")
    return rows.drop_duplicates(key)


def existing(rows):
    """Keep the rows whose image is there, and print how many are not.

    Raises
    ------
    ValueError
        When none is.
    """
    there = rows["path"].map(lambda path: Path(path).is_file())
    missing = [Path(path) for path in rows["path"][~there]]
    if missing and not there.any():
        raise ValueError(
            f"None of the images named in the table is there, {missing[0].name} first: correct "
            f"the names, or put the images into the folder {missing[0].parent.name}."
        )
    if missing:
        names = [path.name for path in missing]
        said = "image named in the table is missing", "images named in the table are missing"
        print(f"{listed(names, *said)}: left out.")
    return rows[there]


def say_unnamed(images, rows, file):
    """Print how many of the images found on disk, a list of Path, no row of the file names."""
    named = set(rows["path"])
    names = sorted(path.name for path in images if str(path) not in named)
    if names:
        said = f"image is not named in {file.name}", f"images are not named in {file.name}"
        print(f"{listed(names, *said)}: left out.")


def listed(names, one, many):
    """Say how many there are and which is first, e.g. "2 images are missing, a.png first"."""
    first = list(names)[0]
    return f"1 {one}, {first}" if len(names) == 1 else f"{len(names):,} {many}, {first} first"


def _records(file):
    """Return (line, values) for every line of a CSV file that is not empty, the header first."""
    text = _text(file)
    # a spreadsheet writes what is the custom of its country
    comma = max(",;\t", key=text.strip().partition("\n")[0].count)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=comma, skipinitialspace=True, strict=True)
    records, line = [], 1
    try:
        for values in reader:
            values = [value.strip() for value in values]
            if any(values):
                records.append((line, values))
            line = reader.line_num + 1  # a value in quotation marks may hold line ends
    except csv.Error:
        raise ValueError(
            f"{file.name}, line {line}: a quotation mark is not closed or in a wrong place: "
            "correct it."
        ) from None
    if not records:
        raise ValueError(f"{file.name} is empty: download it or write it again.")
    return records


def _text(file):
    if not file.is_file():
        raise ValueError(f"There is no {file.name} in {file.parent.name}: put it there.")
    data = file.read_bytes()
    if data.startswith(b"PK\x03\x04"):
        kind = "a zip archive or an Excel workbook"
        raise ValueError(f"{file.name} is {kind}, not a table: save the table as CSV UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file.name} is not in UTF-8: save the table as CSV UTF-8.") from None
    if text.lstrip().startswith("<") or "\0" in text:
        kind = "no text" if "\0" in text else "a web page"
        raise ValueError(f"{file.name} is {kind}, not a table: download it again.")
    return text


def _check_header(file, header, wanted):
    names = [name for name in header if name]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{file.name} has two columns named {twice[0]}: remove or rename one.")
    for name in wanted:
        if name not in names:
            some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            raise ValueError(
                f"{file.name} has no column {name}, but {some}: add or rename it in the first line."
            )


def _inside(file, line, key, text):
    path = PureWindowsPath(text)  # knows both kinds of slashes
    if not text:
        raise ValueError(f"{file.name}, line {line}: {key} is empty: name the image.")
    if path.anchor or ".." in path.parts:
        raise ValueError(
            f"{file.name}, line {line}: {key} {text} leads out of the images' folder: name a file "
            "in it."
        )
    return path.as_posix()
