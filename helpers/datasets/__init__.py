"""The data sets of the course: from an archive to a table of images.

All that differs between data sets is in `registry` and `layouts`; `own` lists a folder of one's
own. A table has one image a row: path, label, group (the patient) and split (the archive's own
folder).
"""

import functools
import hashlib
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from helpers import download, images, runtime
from helpers.datasets.own import own_images
from helpers.datasets.registry import REGISTRY
from phantoms import archives

__all__ = ["REGISTRY", "archive", "counts", "fetch", "is_sample", "masks", "own_images", "table"]


def archive(name, source=None):
    """Bring a data set's archive to disk, once: draw it, download it, or find it.

    Parameters
    ----------
    name : str
        A name in REGISTRY.
    source : str, optional
        "sample", "kaggle", the path of a zip archive, or "auto": a real archive already in data/;
        else, in Colab, Kaggle, and if that fails the sample; else the sample. `COURSE_SOURCE`
        when None.

    Returns
    -------
    pathlib.Path
        The zip archive.

    Raises
    ------
    helpers.download.DownloadError
        With one sentence that says what is wrong and what to do.
    """
    if name not in REGISTRY:
        raise ValueError(f"There is no data set '{name}': choose one of {', '.join(REGISTRY)}.")
    entry, home = REGISTRY[name], runtime.data_root()
    source = source or runtime.source()
    if source == "auto":
        for path in sorted(home.glob("*.zip")):
            if holds(path, entry):
                return path
        if runtime.in_colab() or (home / name / "kaggle").is_dir():
            try:
                return archive(name, "kaggle")
            except download.DownloadError as error:
                print(f"{error}\nGoing on with the drawn sample.")
    elif source == "kaggle":
        return download.kaggle_archive(entry.slug, home / "archives", entry.competition)
    elif source != "sample":
        if holds(Path(source), entry):
            return Path(source)
        print(f"{Path(source).name} does not hold {name}: going on with the drawn sample.")
    return _sample(name)


def fetch(name, source=None):
    """Bring a data set to disk, unpacked and checked, once, and return its folder.

    Parameters
    ----------
    name, source : str
        As for `archive`.

    Returns
    -------
    pathlib.Path
        data/<name>/sample, data/<name>/kaggle, or data/<name>/<archive>-<digest of its contents>.

    Raises
    ------
    helpers.download.DownloadError
        With one sentence that says what is wrong and what to do.
    """
    return _fetched(name, source or runtime.source(), runtime.data_root())


@functools.cache
def _fetched(name, source, home):
    folder = home / name / "kaggle"
    if folder.is_dir() and source in ("auto", "kaggle"):
        return folder  # its archive may have been deleted since, to save room
    packed, archives = archive(name, source), home / "archives"
    if packed.resolve() == (archives / f"{name}-sample.zip").resolve():
        download.unpack(_masks_of(packed), home / name / "sample-masks")
        return download.unpack(packed, home / name / "sample")
    kaggles = archives / f"{REGISTRY[name].slug.split('/')[-1]}.zip"
    if packed.resolve() != kaggles.resolve():
        folder = home / name / f"{packed.stem}-{fingerprint(packed)[:8]}"
    return download.unpack(packed, folder, check=functools.partial(_compare, name))


def table(name, folder=None):
    """List a data set's images.

    Parameters
    ----------
    name : str
        A name in REGISTRY.
    folder : pathlib.Path, optional
        Where it is unpacked; fetched first when None.

    Returns
    -------
    DataFrame
        path, label, group (the patient), split (train, val or test, the archive's own), sorted by
        path; for vietai_retina and rfmid one 0/1 column a disease as well. Images that cannot be
        read are left out, and a list of them is printed.
    """
    folder = Path(folder or fetch(name))
    rows = _listed(name, folder)
    return rows if is_sample(rows) else _not_empty(images.readable(rows), name, folder)


def _listed(name, folder):
    rows = _not_empty(REGISTRY[name].read(folder), name, folder)
    return rows.sort_values("path", ignore_index=True)


def _not_empty(rows, name, folder):
    if rows.empty:
        raise ValueError(
            f"There are no images of {name} in {folder.name}: unpack the archive again."
        )
    return rows.reset_index(drop=True)


def is_sample(rows):
    """Tell whether a table's images are drawn ones, by their place in the data folder."""
    return _place(rows["path"].iloc[0])[1:2] == ("sample",)


def _place(path):
    """Return a path's parts below the data folder: (name, "sample", ...) of a drawn image."""
    path, home = Path(path).absolute(), runtime.data_root()
    return path.relative_to(home).parts if path.is_relative_to(home) else ()


def masks(rows, mask):
    """Read one mask of each drawn image: "lesion", "lungs", "marker", or a retinal disease.

    Returns
    -------
    list of ndarray of bool
        Each [H, W], as large as its image.
    """
    found = []
    for name, _, *inside in map(_place, rows["path"]):
        file = runtime.data_root().joinpath(name, "sample-masks", *inside)
        bit = archives.mask_names(name).index(mask)
        found.append((np.asarray(Image.open(f"{file}.png")) >> bit) & 1 == 1)
    return found


def counts(rows, entry):
    """Return images per (split, label), the form of `Dataset.counts`."""
    if entry.multilabel:
        rows = rows.assign(label="all")
    return rows.groupby(["split", "label"]).size().to_dict()


def _sample(name):
    packed = runtime.data_root() / "archives" / f"{name}-sample.zip"
    if not (packed.is_file() and _masks_of(packed).is_file()):
        print(f"{name}: drawing the sample, once ...")
        with download.writing(packed.parent):
            archives.write(name, packed.parent)
    return packed


def _masks_of(packed):
    return packed.with_name(f"{packed.stem}-masks.zip")


def _compare(name, folder):
    entry = REGISTRY[name]
    try:
        rows = _listed(name, folder)
    except ValueError as error:  # its sentence says what to do, which is not to free some room
        raise download.DownloadError(str(error)) from None
    known = {key: n for key, n in counts(rows, entry).items() if key in entry.counts}
    published = entry.counts
    if "val" not in set(rows["split"]) and any(split == "val" for split, _ in published):
        print(
            f"{name}: it has no folder val, as the makers' own has none: validate on part of train."
        )
        published = {key: n for key, n in published.items() if key[0] != "val"}
    for note in download.check_counts(known, published, name):
        print(note)


def holds(archive, entry):
    """Tell whether an archive, a Path, is one of a data set, zipped in whatever way.

    Raises
    ------
    helpers.download.DownloadError
        When it is no whole zip archive.
    """
    names = [info.filename.replace("\\", "/") for info in _members(archive)]
    names = [name.removeprefix("./").replace("/./", "/") for name in names]
    names = [name for name in names if not name.startswith((".", "__MACOSX"))]
    if len({name.partition("/")[0] for name in names}) == 1:  # one folder around everything
        names += [name.partition("/")[2] for name in names]
    return any(name.startswith(entry.sign) for name in names)


def fingerprint(archive):
    """Return 16 letters that change with the names, sizes and contents in an archive, a Path."""
    members = sorted((info.filename, info.file_size, info.CRC) for info in _members(archive))
    return hashlib.sha256(repr(members).encode()).hexdigest()[:16]


def _members(archive):
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.infolist()
    except zipfile.BadZipFile as error:
        raise download.DownloadError(
            f"{archive.name} is not a whole zip archive: download it again."
        ) from error
