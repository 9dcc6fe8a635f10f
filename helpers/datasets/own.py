"""Folders and label tables as people have them: to path, label, group, split."""

import io
import itertools
import os
import re
import unicodedata
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
from imutils import paths as files_of

from helpers import images as pictures

JUNK = (".", "__MACOSX")  # how names begin that are hidden, or that a Mac leaves behind
WINDOWS_JUNK = ("Thumbs.db", "desktop.ini")
# of names less all but letters and digits, in small letters: see _plain
PART = re.compile(r"(train|val|test)(?:ing|id|idation)?(?:data)?(?:set|images?|split)?\d*")
PATIENT = ("patient", "patientid", "patientnumber", "patientno", "subject", "subjectid")
MASK = re.compile(r"(.+)[ _-](?:mask|seg|segmentation)s?(?:[ _-]?\d+)?", re.IGNORECASE)
MASKS = re.compile(r"(?:mask|segmentation)s?", re.IGNORECASE)
UNKNOWN = ("", "nan", "na", "n/a", "#n/a", "<na>", "none", "null", "unknown", "unk", "?", "-")
ROUNDED = r"\d(?:[.,]\d+)?[eE]\+\d+"  # so Excel writes a number of more than 11 digits
FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}  # a table program may have written the latter two


def own_images(folder, patient=None):
    r"""List a folder of one's own JPEG and PNG images.

    The folder holds either one subfolder a class, its name the label, or a file labels.csv with
    the columns filename, label and, where it is known, patient. The classes may lie in parts of a
    split, as in train/sick. What cannot be read, masks and second copies are left out and said.

    Parameters
    ----------
    folder : str or Path
        The folder.
    patient : str, optional
        A regular expression that finds the patient in a file's name, its first group or all of it:
        ``r"(\d+)_"`` finds 12 in p12_left.png. With a "/" in it, it is searched in the path below
        the folder: ``r"^[^/]+/([^/]+)/"`` finds 0815 in sick/0815/series 2/1.png, as hospitals
        export. It counts before the column patient. An image without a known patient stands alone.

    Returns
    -------
    DataFrame
        path, label, group (the patient) and split, sorted by path. The split is train, val or
        test where there are such folders, else "train": divide it with `splits.by_patient`.

    Raises
    ------
    ValueError
        When there is no such folder, nothing to learn from in it, folders that cannot be told
        apart, a fault in labels.csv or in `patient`: one sentence that says what to do.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        fault = f"{folder} is a file" if folder.exists() else f"There is no folder {folder}"
        raise ValueError(f"{fault}: give the path of the folder that your images are in.")
    try:
        pattern = None if patient is None else re.compile(patient)
    except re.error as error:
        raise ValueError(
            f"The patient pattern {patient} is no regular expression ({error}): correct it."
        ) from None
    file = folder / "labels.csv"
    rows = _from_csv(file, pattern) if file.is_file() else _from_folders(folder)
    if rows.empty:
        raise ValueError(f"There are no JPEG or PNG images in {folder}: put some there.")
    if rows["label"].nunique() == 1:
        label = rows["label"].iloc[0]
        raise ValueError(
            f"Every image has the label {label}: add images of another class, or give the path of "
            "the folder that the classes are in."
        )
    rows = rows.assign(group=_patients(rows, folder, pattern))
    return rows[["path", "label", "group", "split"]].sort_values("path", ignore_index=True)


def _from_csv(file, pattern):
    rows = read_rows(file, "filename", ("label",))
    for name in ("filename", "label"):
        rows[name] = rows[name].str.normalize("NFC")
    empty = rows["filename"][rows["label"] == ""]
    if len(empty):
        raise ValueError(
            f"{file.name}, line {empty.index[0]} (filename {empty.iloc[0]}): label is empty: fill "
            "it in."
        )
    agree = ["label"]
    if pattern is None and (column := _patient_column(file, rows.columns)):
        rows["patient"], agree = _one_spelling(file, rows[column]), ["label", "patient"]
    rows = merge_repeats(rows, file, "filename", agree)
    rows["path"] = [str(file.parent / name) for name in rows["filename"]]
    rows = as_on_disk(rows.assign(split="train"), file.parent, file)
    return pictures.readable(existing(rows))


def _patient_column(file, columns):
    names = [name for name in columns if _plain(name) in PATIENT]
    if "patient" in names:
        return "patient"
    if len(names) > 1:
        raise ValueError(
            f"{file.name} has the columns {' and '.join(names)}: rename the one that tells the "
            "patient to patient."
        )
    if names:
        print(f"{file.name}: the patient is in the column {names[0]}.")
    return names[0] if names else None


def _one_spelling(file, known):
    """Return "" for unknown patients, and 12, 12.0 and 012 as the first of them is written."""
    known = known.where(~known.str.casefold().isin(UNKNOWN), "")
    number = known.str.extract(r"^0*(\d+)(?:[.,]0+)?$", expand=False).fillna(known)
    first = known.groupby(number).transform("first")
    other = known.index[known != first]
    if len(other):
        one = f"{first[other[0]]} and {known[other[0]]}"
        print(
            f"{file.name}: {one} count as one patient, and so do all numbers written in two ways."
        )
    return first


def _from_folders(folder):
    """List every image with its class, the folder below a part of a split or else the first."""
    tree = {home: names for home, names in walk(folder) if names}
    places = {home: _place(home.relative_to(folder).parts) for home in tree}
    rows = [
        (path, *places[home][:4])
        for home, names in _less_masks(tree, places).items()
        for path in within(home, names)
    ]
    rows = pd.DataFrame(sorted(rows), columns=["path", "top", "above", "split", "label"], dtype=str)
    rows = pictures.readable(_less_copies(rows, folder) if (rows["split"] != "").any() else rows)
    loose = [Path(path).name for path in rows["path"][rows["top"] == ""]]
    if loose:
        found = listed(loose, f"image lies in {folder} itself", f"images lie in {folder} itself")
        raise ValueError(
            f"{found}: put every image into a subfolder named after its class, or write labels.csv "
            "with the columns filename and label."
        )
    parted = rows["split"] != ""
    within_parts = parted & (rows["label"] != "")
    if not within_parts.any():  # then the class is above them, or they are no parts but classes
        if len(rows) and parted.all() and (rows["above"] == "").any():
            raise _unclear(folder, rows["top"], "no folders named after classes in them")
        return rows.assign(label=rows["top"], split=rows["split"] if parted.all() else "train")
    if not within_parts.all():
        name = Path(rows["path"][~within_parts].iloc[0]).name
        raise _unclear(folder, rows["top"], f"{name} is in no folder of a class in one of them")
    places = rows.drop_duplicates(["above", "label"])
    if places["above"].nunique() > 1 and places["label"].is_unique:
        what = f"the folders above and below them differ ({places['label'].iloc[0]} first)"
        raise _unclear(folder, rows["top"], what)
    return rows


def _unclear(folder, tops, what):
    tops = ", ".join(sorted(tops.unique())[:5])
    return ValueError(
        f"The folders in {folder} ({tops}) hold the parts of a split, but {what}: put every image "
        "into a folder named after its class, as in train/sick, or rename what is no part."
    )


def _place(folders):
    """Return a place's first folder, what is above a part, the part, its class, what is below."""
    folders = [unicodedata.normalize("NFC", name) for name in folders]
    parts = [(PART.fullmatch(_plain(name)) or [0, ""])[1] for name in folders]
    start = next((n for n, part in enumerate(parts) if part), 0)
    part = "".join(parts[start : start + 1])
    same = len(list(itertools.takewhile(lambda name: part and name == part, parts[start:])))
    label, *below = folders[start + same :] or [""]
    return "".join(folders[:1]), "/".join(folders[:start]), part, label, below


def _less_masks(tree, places):
    """Leave out what has an image of its name beside it, or lies in a folder of a class's masks."""
    stems = {home: set(map(_stem, image_names(names))) for home, names in tree.items()}
    kept, masks = {}, []
    for home, names in tree.items():
        found = {name for name in names if _less_mask(name) in stems[home]}
        if any(map(MASKS.fullmatch, places[home][4])):
            found = set(names)
        elif MASKS.fullmatch(home.name):
            near = [s for h, s in stems.items() if home.parent in (h, h.parent) and h != home]
            near = set().union(*near)
            named = {n for n in names if {_stem(n), _less_mask(n)} & near}
            found |= named if 2 * len(named) >= len(names) else set()
        kept[home] = [name for name in names if name not in found]
        masks += sorted(found)
    if masks:
        print(f"{listed(masks, 'file is a mask', 'files are masks')}: left out.")
    return kept


def _stem(name):
    return name.rpartition(".")[0]


def _less_mask(name):
    match = MASK.fullmatch(_stem(name))
    return match[1] if match else None


def _less_copies(rows, folder):
    """Leave out files that are there as well without a folder above their part: unzipped twice."""
    start, there, copies = len(str(folder / "x")) - 1, set(rows["path"]), []
    for path, above in zip(rows["path"], rows["above"], strict=True):
        parts = path[start:].split(os.sep)
        for n in range(above.count("/") + 1 if above else 0):
            first = path[:start] + os.sep.join(parts[:n] + parts[n + 1 :])
            if first in there and os.path.getsize(first) == os.path.getsize(path):
                copies.append(path)
                break
    if copies:
        names = [Path(path).name for path in copies]
        print(f"{listed(names, 'file is a second copy', 'files are second copies')}: left out.")
    return rows[~rows["path"].isin(copies)]


def _patients(rows, folder, pattern):
    if pattern is None and "patient" not in rows:
        words = ("patient", "subject", "person", "case")
        maybe = [name for name in rows if any(word in _plain(name) for word in words)]
        print(
            "The patients are unknown: every image counts as a patient of its own, so a patient "
            "may be on both sides of a split."
            + (f" If the column {maybe[0]} tells them, rename it to patient." if maybe else "")
        )
        return rows["path"]
    if pattern is None:
        rounded = rows["patient"].str.fullmatch(ROUNDED)
        if rounded.any():
            names = rows["patient"][rounded].tolist()
            count = listed(names, "patient is a rounded number", "patients are rounded numbers")
            print(f"{count}: write the column as text, for Excel rounds what is long.")
        known = rows["patient"].where(~rounded, "")
    else:
        start = len(str(folder / "x")) - 1
        known = rows["path"].map(lambda path: _found(pattern, path[start:].replace(os.sep, "/")))
    alone = [Path(path).name for path in rows["path"][known == ""]]
    if alone:
        count = listed(alone, "image has no known patient", "images have no known patient")
        print(f"{count}: counted as one patient per image.")
    return known.where(known != "", rows["path"])


def _found(pattern, path):
    path = path if "/" in pattern.pattern else path.rpartition("/")[2]
    match = pattern.search(unicodedata.normalize("NFC", path))
    return (match and match[1 if pattern.groups else 0]) or ""


def _plain(name):
    """Return a name's letters and digits, in small letters: patientid of Patient-ID."""
    return re.sub(r"[\W_]", "", name.casefold())


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
    rows, labels = read_rows(file, key, columns), []
    for name in rows.columns.drop(key):
        values = rows[name].map(FLAGS)
        wrong = values.isna()
        if name not in columns and wrong.mean() >= 0.5:
            continue
        if wrong.any():
            line = wrong.idxmax()
            value = f"'{rows.at[line, name]}'" if rows.at[line, name] else "empty"
            raise ValueError(
                f"{file.name}, line {line} ({key} {rows.at[line, key]}): {name} is {value}, but a "
                "label is 0 or 1: correct it."
            )
        rows[name] = values.astype(int)
        labels.append(name)
    return merge_repeats(rows, file, key, labels).reset_index(drop=True)


def read_rows(file, key, columns):
    """Read a CSV file of images as text.

    A byte-order mark, spaces around names and values, empty lines and columns without a name are
    passed over; semicolons and tabs separate as well as commas.

    Parameters
    ----------
    file, key, columns : pathlib.Path, str, tuple of str
        As for `read_labels`; the columns may hold any text of one line.

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
    cells = _cells(file)
    header = cells.iloc[0]
    _check_header(file, header[header != ""].tolist(), (key, *columns))
    rows = cells.iloc[1:].set_axis(header.tolist(), axis=1).loc[:, (header != "").tolist()].copy()
    if rows.empty:
        raise ValueError(f"{file.name} has no rows below its header: add a line for every image.")
    for name in (key, *columns):
        broken = rows[name].str.contains("\n", regex=False)
        if broken.any():  # a quotation mark that is not closed takes in the lines that follow
            raise _misquoted(file, broken.idxmax())
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
        count = listed(repeated, "row repeats an image", "rows repeat an image")
        print(f"{file.name}: {count}: kept once.")
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
        kinds = "image named in the table is missing", "images named in the table are missing"
        print(f"{listed(names, *kinds)}: left out.")
    return rows[there]


def as_on_disk(rows, home, file):
    """Return rows with paths as the disk spells them, and print images that no row names.

    An "ä" may be one letter (NFC) or two (NFD), which macOS writes.
    """
    there = {unicodedata.normalize("NFC", str(path)): str(path) for path in images(home)}
    paths = [there.get(unicodedata.normalize("NFC", path), path) for path in rows["path"]]
    names = sorted(Path(path).name for path in set(there.values()).difference(paths))
    if names:
        kinds = f"image is not named in {file.name}", f"images are not named in {file.name}"
        print(f"{listed(names, *kinds)}: left out.")
    return rows.assign(path=paths)


def listed(names, one, many):
    """Say how many there are and which is first, e.g. "2 images are missing, a.png first"."""
    first = list(names)[0]
    return f"1 {one}, {first}" if len(names) == 1 else f"{len(names):,} {many}, {first} first"


def _cells(file):
    """Return a CSV file's lines that are not empty, all text, the header first, by their number."""
    text = _text(file)
    # a spreadsheet writes what is the custom of its country, and may say so first
    said = re.match(r'"?sep=([,;\t])"?[,;\t ]*\n', text)
    comma = said[1] if said else max(",;\t", key=text.strip().partition("\n")[0].count)
    text = text[said.end() - 1 :] if said else text  # the line's end stays, and counts
    # one that pads lines with empty values makes some longer than the header
    text = re.sub(rf"[{comma} \t]+$", "", text, flags=re.MULTILINE)
    table = text.lstrip("\n")
    if not table:
        raise ValueError(f"{file.name} is empty: download it or write it again.")
    above = len(text) - len(table)  # empty lines
    options = {"header": None, "skipinitialspace": True, "skip_blank_lines": False}
    options |= {"dtype": str, "keep_default_na": False}  # "NA" and "007" stay as they are
    try:
        cells = pd.read_csv(io.StringIO(table), sep=comma, **options)
    except pd.errors.ParserError as error:
        counted = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if not counted:
            row = re.search(r"row (\d+)", str(error))
            raise _misquoted(file, above + int(row[1]) + 1) from None
        columns, line, values = map(int, counted.groups())
        raise ValueError(
            f"{file.name}, line {above + line}: it has {values} values for {columns} columns: put "
            "a value that holds a comma in quotation marks."
        ) from None
    breaks = cells.apply(lambda column: column.str.count("\n")).sum(axis=1)
    cells.index = above + 1 + np.arange(len(cells)) + breaks.cumsum() - breaks
    cells = cells.apply(lambda column: column.str.strip())
    return cells[(cells != "").any(axis=1)]


def _text(file):
    if not file.is_file():
        raise ValueError(f"There is no {file.name} in {file.parent.name}: put it there.")
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or text.startswith("PK\x03\x04"):  # so begin workbooks and other zip archives
        raise ValueError(
            f"{file.name} is no text in UTF-8, as a workbook of Excel is none: save the table as "
            "CSV UTF-8."
        )
    if text.lstrip().startswith("<"):
        raise ValueError(f"{file.name} is a web page, not a table: download it again.")
    return text


def _misquoted(file, line):
    return ValueError(
        f"{file.name}, line {line}: a quotation mark is not closed or in a wrong place: correct it."
    )


def _check_header(file, names, wanted):
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


def walk(folder):
    """Yield every folder below one, and it, with the names of its files, without junk.

    Linked folders too, but each folder once: what is really here counts before a link to it, and a
    link to a folder above itself leads nowhere. Names that are no UTF-8 are left out and said.
    """
    tops, seen, odd = [str(folder)], set(), []
    for top in tops:  # which grows: links come after all that is really here
        start = os.path.realpath(top)
        if len(seen) and (os.path.realpath(os.path.dirname(top)) + os.sep).startswith(
            start + os.sep
        ):
            continue
        for home, below, names in os.walk(top):
            real = start + home[len(top) :]
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            # names below the folder only: it may itself lie in a hidden one, such as ~/.cache
            below[:] = sorted(n for n in below if not n.startswith(JUNK))
            names = [n for n in names if not n.startswith(JUNK) and n not in WINDOWS_JUNK]
            odd += [n for n in (*below, *names) if not _is_text(n)]
            below[:] = filter(_is_text, below)
            tops += [place for n in below if os.path.islink(place := os.path.join(home, n))]
            yield Path(home), list(filter(_is_text, names))
    if odd:
        odd = [os.fsencode(name).decode("utf-8", "backslashreplace") for name in odd]
        print(f"{listed(odd, 'name is no UTF-8', 'names are no UTF-8')}: left out, so rename it.")


def _is_text(name):
    return name.isascii() or name == name.encode("utf-8", "ignore").decode()


def within(home, names):
    """Return str(home / name) of every name, a hundred thousand of them in no time."""
    start = str(home / "x")[:-1]
    return [start + name for name in names]


def images(folder):
    """List the images below a folder, by the endings of their names, without junk."""
    return [home / name for home, names in walk(folder) for name in image_names(names)]


def image_names(names):
    """Return those of the names that end as an image's does."""
    return [name for name in names if name.lower().endswith(files_of.image_types)]
