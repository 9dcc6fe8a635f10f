"""Bring a data set's archive from Kaggle onto disk, and unpack it: whole, or not at all."""

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen

WAITS = (5, 20, 60)  # s before each new try
AGAIN = {"busy": 3, "server": 3, "network": 1, "broken": 1}  # new tries; of other kinds none
STALL = 300  # s without a sign of life: the client sets its first request no time limit
SPARE = 100e6  # bytes to leave free on the disk
# Runs any version of the client; only one named "kaggle" may fetch open data without an account.
CLIENT = "import sys; sys.argv[0] = 'kaggle'; from kaggle.cli import main; main()"
# What the client's last words tell: an HTTP status, Kaggle's message instead, or a traceback's end.
PATTERNS = {
    "room": "No space left|Disk quota exceeded|not enough space",
    "broken": "does not match expected size|content-length",
    "login": "401 Client|unauthori[sz]ed|authenticated?\\b|Authentication required",
    "terms": "403 Client|forbidden|permission '.*denied|accept .*(rules|terms)",
    "absent": "404 Client|not found",
    "busy": "429 Client|too many requests|rate.?limit",
    "server": "5\\d\\d Server|server error|unavailable|bad gateway",
    "network": "Max retries|refused|resolve|reset|aborted|Connection broken|timed out|timeout|SSL",
}
SENTENCES = {
    "room": "the disk has no room for the archive ({words}); free some and run this again.",
    "broken": "Kaggle sends no whole zip archive; try later, or look at kaggle.com/{group}/{slug}.",
    "login": "Kaggle wants a token (401), and {source}; make one at kaggle.com/settings and save it"
    " as ~/.kaggle/access_token or as Colab's secret KAGGLE_API_TOKEN, with notebook access.",
    "terms": "Kaggle refuses it (403); accept its terms or rules at kaggle.com/{group}/{slug}.",
    "absent": "Kaggle has nothing of this name (404); look at kaggle.com/{group}/{slug}.",
    "busy": "Kaggle gets too many requests (429); wait some minutes and run this again.",
    "server": "Kaggle's server is out of order ({words}); try again later.",
    "network": "Kaggle cannot be reached; check the connection and run this again to go on.",
    "other": "Kaggle's client failed ({words}).",
}


class DownloadError(Exception):
    """One plain sentence: what is wrong and what to do."""


@contextlib.contextmanager
def writing(folder):
    """Turn an OSError of what is written to a folder into a sentence."""
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"{folder}: cannot be written ({error.strerror or error}); name another "
            "folder in COURSE_DATA."
        ) from None


def credentials():
    """Return "access token", "environment", "kaggle.json", "login" or "Colab secrets", or None.

    A login is that of `kaggle auth login`. Colab's are copied to `os.environ`; a .json that others
    may read gets mode 600.
    """
    for source, _ in _found():
        return source
    for names in (("KAGGLE_API_TOKEN",), ("KAGGLE_USERNAME", "KAGGLE_KEY")):
        with contextlib.suppress(Exception):  # no Colab, no such secret, or no access to it
            from google.colab import userdata

            os.environ.update({name: userdata.get(name) for name in names})
            return "Colab secrets"
    return None


def _found():
    """List (source, secret) of all credentials but Colab's secrets, in the client's order."""
    home, env, text = Path.home() / ".kaggle", os.environ.get, {}
    config = Path(env("KAGGLE_CONFIG_DIR") or home)
    if sys.platform.startswith("linux") and not config.exists():
        config = Path(env("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"
    places = home / "access_token", home / "access_token.txt", home / "credentials.json"
    for file in (*places, config / "kaggle.json"):
        with contextlib.suppress(OSError, UnicodeError):
            text[file.name] = file.read_text().strip()
            if os.name != "nt" and file.suffix == ".json" and file.stat().st_mode & 0o077:
                file.chmod(0o600)
                print(f"{file}: was open to other users, has mode 600 now")
    key = re.search(r'"key"\s*:\s*"([^"]+)"', text.pop("kaggle.json", ""))
    login = re.findall(r'"\w+_token"\s*:\s*"([^"]+)"', text.pop("credentials.json", ""))
    found = [("access token", token) for token in (env("KAGGLE_API_TOKEN"), *text.values())]
    found += [("environment", env("KAGGLE_USERNAME") and env("KAGGLE_KEY"))]
    found += [("kaggle.json", key and key[1]), *(("login", token) for token in login)]
    return [pair for pair in found if pair[1]]


def kaggle_archive(slug, folder, competition=False):
    """Download an archive with Kaggle's own client, unless it is there.

    What has come lies in NAME.zip.part, where the next call goes on; the archive takes its place
    once all its checksums are right.

    Parameters
    ----------
    slug : str
        "owner/name" of a data set, or the name of a competition.
    folder : str or Path
        Where NAME.zip is to lie.
    competition : bool
        Whether it is a competition's archive.

    Returns
    -------
    pathlib.Path
        The zip archive.

    Raises
    ------
    DownloadError
        When Kaggle refuses, cannot be reached or sends no whole archive, or the disk has no room.
    """
    if not re.fullmatch(r"\w[\w.-]*" if competition else r"\w[\w.-]*/\w[\w.-]*", slug):
        raise DownloadError(f"{slug!r} is no Kaggle name; write it as in its address, owner/name.")
    archive = Path(folder) / (slug.split("/")[-1] + ".zip")
    if zipfile.is_zipfile(archive):  # quick: its table of contents, which comes last, is there
        return archive
    part = archive.with_name(archive.name + ".part")
    with writing(archive.parent):
        part.mkdir(parents=True, exist_ok=True)
        _fetch(slug, part / archive.name, "competitions" if competition else "datasets")
        os.replace(part / archive.name, archive)
    shutil.rmtree(part, ignore_errors=True)
    return archive


def _fetch(slug, file, group):
    source = credentials()
    source = f"the {source} here is not accepted" if source else "none is here"
    for failures, wait in enumerate((*WAITS, None)):
        kind, words = ("", "") if _whole(file) else _run_client(slug, file, group)
        if not kind:
            return
        if kind == "broken":  # else the client would go on from wrong bytes
            file.unlink(missing_ok=True)
        if wait is None or failures >= AGAIN.get(kind, 0):
            fault = SENTENCES[kind].format(words=words, group=group, slug=slug, source=source)
            raise DownloadError(f"{file.stem}: {fault}")
        print(f"{file.stem}: {kind}, trying again in {wait} s")
        time.sleep(wait)


def _whole(file):
    with contextlib.suppress(Exception), zipfile.ZipFile(file) as archive:  # damage raises anything
        return bool(archive.namelist()) and archive.testzip() is None
    return False


def _run_client(slug, file, group):
    """Run the client once; return the kind of failure ("" if none) and some words about it."""
    # -P: a kaggle.py beside the notebook must not stand in for the client.
    command = [sys.executable, "-P", "-c", CLIENT, group, "download", slug, "-p", str(file.parent)]
    env, total = os.environ | {"PYTHONIOENCODING": "utf-8"}, 0
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "wb") as log:
        client = Popen(command, stdin=DEVNULL, stdout=log, stderr=STDOUT, env=env)
        try:
            while client.poll() is None:
                time.sleep(0.1)
                text = "" if total else Path(log.name).read_text("utf-8", "replace")
                # Only the progress bar tells the size, to three digits: "0.00/1.15G [00:00<?".
                if bar := re.search(r"/([\d.]+)([kMGT]?) \[", text):
                    total = float(bar[1]) * 1024 ** " kMGT".index(bar[2] or " ")
                    print(f"{file.stem}: downloading from Kaggle ({total / 1e6:,.0f} MB)…")
                    free = shutil.disk_usage(file.parent).free
                    if free < total + SPARE - (file.stat().st_size if file.exists() else 0):
                        return "room", f"{total / 1e6:,.0f} MB wanted, {free / 1e6:,.0f} MB free"
                if time.time() - os.path.getmtime(log.name) > STALL:
                    return "network", ""
        finally:  # an interrupted cell must not leave the client running
            client.kill()
            client.wait()
        text = Path(log.name).read_text("utf-8", "replace")
    return _explain(text) if client.returncode else ("" if _whole(file) else "broken", "")


def _explain(text):
    for _, secret in _found():
        text = text.replace(secret, "***")
    # A traceback's last line tells all; the indented ones before it only mislead.
    lines = [line for line in re.split(r"[\r\n]+", text) if line[:1].strip()] or ["no message"]
    for line in reversed(lines):
        for kind, pattern in PATTERNS.items():
            if re.search(pattern, line, re.IGNORECASE):
                return kind, lines[-1][:200]
    return "other", lines[-1][:200]


def unpack(archive, folder, cap=30e9, check=None):
    """Unpack a zip archive in one step, less junk and second copies.

    Parameters
    ----------
    archive : str or Path
        The zip archive.
    folder : str or Path
        Where its files are to lie. It is left alone when it holds anything.
    cap : float
        Bytes that may come out at most.
    check : callable, optional
        Called with the folder before it gets its final name; what it raises refuses the archive.

    Returns
    -------
    pathlib.Path
        `folder`.

    Raises
    ------
    DownloadError
        When the archive is damaged, unsafe, empty, too large or refused; nothing is left then.
    """
    archive, folder = Path(archive), Path(folder)
    part = folder.with_name(folder.name + ".part")
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    shutil.rmtree(part, ignore_errors=True)  # left by a run that was killed
    with writing(folder.parent):
        part.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as source:
            files = _files(source)
            # Of no member does zipfile give out more bytes than the size declared here.
            size = sum(info.file_size for info in files.values())
            most = min(cap, shutil.disk_usage(part).free - SPARE)
            found = f"{len(files):,} files, {size / 1e6:,.0f} MB"
            if not files or size > most:
                raise ValueError(f"{found}, while {most / 1e6:,.0f} MB are allowed or free")
            print(f"{folder.name}: unpacking {found}…")
            for path, info in files.items():
                (part / path).parent.mkdir(parents=True, exist_ok=True)
                with source.open(info) as data, open(part / path, "xb") as out:
                    shutil.copyfileobj(data, out, 1 << 20)
        if check:
            check(part)
        if folder.exists():
            folder.rmdir()  # empty, but Windows would not rename onto it
        part.rename(folder)
    except DownloadError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    except Exception as error:  # a damaged zip makes zipfile raise nearly anything
        shutil.rmtree(part, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise DownloadError(
            f"{archive}: cannot be unpacked ({reason}); free some room or download it again."
        ) from None
    return folder


def _files(source):
    """Map the path of each file to unpack to its entry; raise if any entry could do harm."""
    files = {}
    for info in source.infolist():
        name, mode = info.filename.replace("\\", "/"), stat.S_IFMT(info.external_attr >> 16)
        # Windows holds no name that ends in a space ("OCT2017 " does) or a dot; ".." becomes "".
        parts = [part.rstrip(" .") for part in name.split("/") if part not in ("", ".")]
        outside = name.startswith("/") or ":" in name or "" in parts
        if outside or mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ValueError(f"{info.filename!r} is a link or lies outside the folder")
        junk = {"__MACOSX", ".DS_Store", "Thumbs.db"}.intersection(parts)
        if name.endswith("/") or junk or parts[-1].startswith("._"):
            continue
        if files.setdefault("/".join(parts), info) is not info:
            raise ValueError(f"{info.filename!r} is in it twice")
    # In a second copy ("chest_xray/chest_xray/...", or "oct2017/OCT2017 /..." beside "OCT2017 /")
    # each path without its first folder is the path of a file with the same bytes.
    same = {(path, info.CRC, info.file_size) for path, info in files.items()}
    for path, info in list(files.items()):
        if (path.partition("/")[2], info.CRC, info.file_size) in same:
            del files[path]
    return files


def check_counts(counts, expected, name):
    """Compare the numbers of images with those published.

    Parameters
    ----------
    counts, expected : dict
        (split, class), or a name, to number of images: those here, and those published.
    name : str
        The data set.

    Returns
    -------
    list of str
        One sentence for every number that differs.

    Raises
    ------
    DownloadError
        When a class that should hold images holds none.
    """
    notes = []
    for key in dict.fromkeys([*expected, *counts]):
        label = "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
        have, want = counts.get(key, 0), expected.get(key, 0)
        if want and not have:
            raise DownloadError(f"{name}: {label} holds no images; {want:,} are published.")
        if have != want:
            what = "a smaller copy" if have < want else "more than published"
            notes.append(f"{name}: {label} holds {have:,} of {want:,} images, {what}")
    return notes
