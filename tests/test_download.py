"""`helpers.download` against the real Kaggle client and a small server, and against bad zips."""

import os
import random
import stat
import sys
import threading
import types

import pytest
from archives_made import make_zip
from kaggle_server import Fault, KaggleServer, environment

from helpers import download
from helpers.download import DownloadError, check_counts, credentials, kaggle_archive, unpack

SECRET, TOKEN = "0123456789abcdef0123456789abcdef", "KGAT_fedcba9876543210"
SLUG = "someone/chest-xray"


# Over 1 MB: the client writes pieces of that size, and a shorter download leaves nothing to resume.
ARCHIVE = make_zip([(f"xray/{i}.png", random.Random(i).randbytes(300_000)) for i in range(8)])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home folder without credentials."""
    for name in list(os.environ):
        if name.startswith("KAGGLE") or name == "XDG_CONFIG_HOME":
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setattr(download, "WAITS", (0, 0, 0))
    return tmp_path / "home"


@pytest.fixture
def server(home, monkeypatch, capfd):
    """The local server, for which the real client takes Kaggle; and no secret gets out."""
    with KaggleServer(ARCHIVE) as server:
        for name, value in environment(home, server.server_port).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KAGGLE_USERNAME", "someone")
        monkeypatch.setenv("KAGGLE_KEY", SECRET)
        yield server
    said = "".join(capfd.readouterr())
    assert SECRET not in said and TOKEN not in said and "Traceback" not in said


def fails(call, *args, **kwargs):
    """Return the sentence of the DownloadError that the call raises."""
    with pytest.raises(DownloadError) as caught:
        call(*args, **kwargs)
    said = str(caught.value)
    assert said.endswith(".") and "\n" not in said and "Traceback" not in said
    assert SECRET not in said and TOKEN not in said
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return said


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


# --- Downloads


def test_whole_once(server, tmp_path, capfd):
    archive = kaggle_archive(SLUG, tmp_path / "data")
    assert archive == tmp_path / "data" / "chest-xray.zip"
    assert archive.read_bytes() == ARCHIVE
    assert names(tmp_path / "data") == ["chest-xray.zip"]
    assert server.steps() == ["GetDatasetMetadata", "DownloadDataset", "storage"]
    said = "".join(capfd.readouterr()).splitlines()
    assert said == ["chest-xray: downloading from Kaggle (2 MB)…"] or not said
    assert kaggle_archive(SLUG, tmp_path / "data") == archive
    assert len(server.seen) == 3


def test_competition_with_token(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    archive = kaggle_archive("eyes", tmp_path, competition=True)
    assert (archive.name, archive.read_bytes()) == ("eyes.zip", ARCHIVE)
    assert server.seen[-2][1]["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in server.seen[-1][1]  # the storage is another machine


def test_open_data_needs_no_account(server, tmp_path, monkeypatch):
    monkeypatch.delenv("KAGGLE_KEY")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kaggle.py").write_text("raise SystemExit('a file of this name is not the client')")
    assert kaggle_archive(SLUG, tmp_path).read_bytes() == ARCHIVE


def test_cut_and_gone_on_by_the_client(server, tmp_path):
    server.faults["storage"].append(Fault(cut=len(ARCHIVE) // 2))
    assert kaggle_archive(SLUG, tmp_path).read_bytes() == ARCHIVE
    assert server.seen[-1][1]["Range"] == "bytes=1048576-"


def test_hung_then_gone_on_by_a_new_client(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "STALL", 3)
    release = threading.Event()
    server.faults["storage"].append(Fault(cut=len(ARCHIVE) // 2, hold=release))
    assert kaggle_archive(SLUG, tmp_path).read_bytes() == ARCHIVE
    release.set()
    assert server.seen[-1][1]["Range"] == "bytes=1048576-"
    assert server.steps().count("DownloadDataset") == 2


def test_wrong_length_is_said_and_the_next_call_starts_anew(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "WAITS", ())
    server.faults["storage"] += [Fault(cut=len(ARCHIVE) // 2), Fault(status=206, body=b"")]
    assert "no whole zip" in fails(kaggle_archive, SLUG, tmp_path)
    assert not (tmp_path / "chest-xray.zip").exists()
    assert kaggle_archive(SLUG, tmp_path).read_bytes() == ARCHIVE
    assert "Range" not in server.seen[-1][1]


DAMAGED = ARCHIVE[:500] + bytes([ARCHIVE[500] ^ 1]) + ARCHIVE[501:]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(body=ARCHIVE[:1_500_000]),
        Fault(length=1000, cut=1000),
        Fault(body=DAMAGED),
        Fault(headers={"Content-Length": None}, cut=1_500_000),
    ],
    ids=["truncated", "short length", "one bit", "no length"],
)
def test_broken_once_is_fetched_anew(server, tmp_path, fault):
    server.faults["storage"].append(fault)
    assert kaggle_archive(SLUG, tmp_path).read_bytes() == ARCHIVE


def test_not_a_zip_twice(server, tmp_path):
    page = Fault(body=b"<html>please log in</html>", headers={"Content-Type": "text/html"})
    server.faults["storage"] += [page, page]
    said = fails(kaggle_archive, SLUG, tmp_path)
    assert "no whole zip" in said and "kaggle.com/datasets/someone/chest-xray" in said
    assert server.steps().count("storage") == 2


def test_a_broken_archive_in_place_is_replaced(server, tmp_path):
    (tmp_path / "chest-xray.zip").write_bytes(ARCHIVE[:-100])
    assert kaggle_archive(SLUG, tmp_path).read_bytes() == ARCHIVE


def test_killed_between_check_and_rename(server, tmp_path, monkeypatch):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(download.os, "replace", killed)
        kaggle_archive(SLUG, tmp_path)
    assert not (tmp_path / "chest-xray.zip").exists()
    assert kaggle_archive(SLUG, tmp_path).read_bytes() == ARCHIVE
    assert server.steps().count("storage") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "size", [0, 1, 1 << 20, len(ARCHIVE) - 1, *random.Random(0).sample(range(len(ARCHIVE)), 16)]
)
def test_cut_at_any_byte(server, tmp_path, size):
    """The connection ends there: this call, or else the next one, has it all."""
    server.faults["storage"].append(Fault(cut=size))
    try:
        kaggle_archive(SLUG, tmp_path / "data")
    except DownloadError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
        assert not (tmp_path / "data/chest-xray.zip").exists()
    assert kaggle_archive(SLUG, tmp_path / "data").read_bytes() == ARCHIVE
    assert names(tmp_path / "data") == ["chest-xray.zip"]


def test_a_slow_file_is_waited_for(server, tmp_path, monkeypatch):
    """Every piece takes longer than the look at the log, all of them longer than STALL."""
    monkeypatch.setattr(download, "STALL", 4)
    server.faults["storage"].append(Fault(pause=0.3, piece=len(ARCHIVE) // 20))
    assert kaggle_archive(SLUG, tmp_path).read_bytes() == ARCHIVE
    assert server.steps().count("storage") == 1


STEPS = ("GetDatasetMetadata", "DownloadDataset", "storage")
WORDS = {401: "(401)", 403: "(403)", 404: "(404)", 429: "(429)", 500: "500", 503: "503"}


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("status", WORDS)
def test_each_status_at_each_step(server, tmp_path, step, status):
    """It is said, nothing is left that counts as the archive, and a later call has it all."""
    server.faults[step] += [Fault(status=status)] * 20
    said = fails(kaggle_archive, SLUG, tmp_path / "data")
    assert WORDS[status] in said and said.startswith("chest-xray: ")
    assert not (tmp_path / "data/chest-xray.zip").exists()
    server.faults[step].clear()
    server.faults[step].append(Fault(status=status))
    if status in (429, 500, 503):
        assert kaggle_archive(SLUG, tmp_path / "data").read_bytes() == ARCHIVE
        server.faults[step].append(Fault(status=status))
    else:
        fails(kaggle_archive, SLUG, tmp_path / "data")
        assert kaggle_archive(SLUG, tmp_path / "data").read_bytes() == ARCHIVE


FULL = """
import builtins, errno
class Full(__import__("io").FileIO):
    def write(self, data):
        if self.tell() + len(data) > 1_500_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)
real = builtins.open
def full(name, mode="r", *args, **options):
    zipped = str(name).endswith(".zip") and mode in ("wb", "ab")
    return Full(name, mode) if zipped else real(name, mode, *args, **options)
builtins.open = full
"""


@pytest.mark.slow
def test_no_room_in_the_middle(server, tmp_path, monkeypatch):
    """The disk is full once 1.5 MB are there; with room again the next call has it all."""
    with monkeypatch.context() as patch:
        patch.setattr(download, "CLIENT", FULL + download.CLIENT)
        said = fails(kaggle_archive, SLUG, tmp_path / "data")
    assert "has no room" in said
    assert not (tmp_path / "data/chest-xray.zip").exists()
    assert kaggle_archive(SLUG, tmp_path / "data").read_bytes() == ARCHIVE


@pytest.mark.parametrize(
    "step, status, words",
    [
        ("GetDatasetMetadata", 401, "the environment here is not accepted"),
        ("DownloadDataset", 403, "kaggle.com/datasets/someone/chest-xray"),
        ("GetDatasetMetadata", 404, "(404)"),
    ],
)
def test_refusals_are_final(server, tmp_path, step, status, words):
    server.faults[step].append(Fault(status=status))
    said = fails(kaggle_archive, SLUG, tmp_path)
    assert f"({status})" in said and words in said
    assert server.steps().count(step) == 1


def test_too_many_requests_then_whole(server, tmp_path, capfd):
    server.faults["GetDatasetMetadata"].append(Fault(status=429))
    server.faults["DownloadDataset"].append(Fault(status=429, message="Too many requests"))
    assert kaggle_archive(SLUG, tmp_path).read_bytes() == ARCHIVE
    assert capfd.readouterr().out.count("chest-xray: busy, trying again in 0 s\n") == 2


def test_server_error_to_the_end(server, tmp_path):
    server.faults["GetDatasetMetadata"] += [Fault(status=s) for s in (500, 502, 503, 500)]
    said = fails(kaggle_archive, SLUG, tmp_path)
    assert "out of order" in said and "500" in said
    assert server.steps() == ["GetDatasetMetadata"] * 4


def test_connection_refused(server, home, tmp_path):
    with KaggleServer(b"") as other:
        free = other.server_port
    environment(home, free)
    assert "cannot be reached" in fails(kaggle_archive, SLUG, tmp_path)
    assert server.seen == []


def test_token_refused(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    server.faults["IntrospectToken"] += [Fault(status=401)] * 2  # the client's traceback is ours
    assert "access token here is not accepted" in fails(kaggle_archive, SLUG, tmp_path)


def test_competition_without_account(server, tmp_path, monkeypatch):
    monkeypatch.delenv("KAGGLE_KEY")
    assert "none is here" in fails(kaggle_archive, "eyes", tmp_path, competition=True)


def test_unforeseen_words_lose_their_secrets(server, tmp_path):
    server.faults["GetDatasetMetadata"].append(Fault(status=418, message=f"tea for {SECRET}"))
    assert "(tea for ***)" in fails(kaggle_archive, SLUG, tmp_path)


def test_no_room(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=1e8))
    release = threading.Event()
    server.faults["storage"].append(Fault(cut=10, hold=release))
    said = fails(kaggle_archive, SLUG, tmp_path)
    release.set()
    assert "no room" in said and "2 MB wanted, 100 MB free" in said


@pytest.mark.parametrize("slug", ["name", "../name", "a/b/c", "-p/x", "a/..", "a/b c", ""])
def test_odd_names(tmp_path, slug):
    assert "no Kaggle name" in fails(kaggle_archive, slug, tmp_path)


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in fails(kaggle_archive, SLUG, tmp_path / "file")


@pytest.mark.parametrize(
    "kind, text",
    [
        ("login", "You must authenticate before you can call the Kaggle API.\nFollow the ...\n"),
        ("login", "Dataset URL: https://x\nUnauthenticated\n"),
        ("terms", "You must accept this competition's rules before you'll be able to download"),
        ("terms", "Permission 'datasets.get' was denied"),
        ("absent", "  0%|   | 0.00/1\r404 Client Error: Not Found for url: https://x\n"),
        ("room", "Connection error: OSError: reset\nOSError: [Errno 28] No space left on device"),
        ("broken", "Downloaded file size (404) does not match expected size (429)"),
        ("network", "('Connection broken: IncompleteRead(1 bytes read)', IncompleteRead(1))"),
        ("network", "Traceback (most recent call last):\n  x = 404 Client\nSSLError: bad"),
        ("other", "Traceback (most recent call last):\n  timeout=3\nKeyError: 'kaggle'"),
        ("other", ""),
    ],
)
def test_the_clients_last_words(kind, text):
    assert download._explain(text)[0] == kind


# --- Credentials


def test_sources_in_the_clients_order(home, monkeypatch):
    assert credentials() is None
    (home / ".config" / "kaggle").mkdir(parents=True)
    legacy = f'{{"username": "someone", "key": "{SECRET}"}}'
    if sys.platform.startswith("linux"):
        (home / ".config" / "kaggle" / "kaggle.json").write_text(legacy)
        assert credentials() == "kaggle.json"
    (home / ".kaggle").mkdir()
    assert credentials() is None
    login = f'{{"refresh_token": "{SECRET}", "access_token": "{TOKEN}", "scopes": []}}'
    (home / ".kaggle" / "credentials.json").write_text(login)
    assert credentials() == "login"
    assert download._explain(f"{SECRET} and {TOKEN} fail")[1] == "*** and *** fail"
    (home / ".kaggle" / "kaggle.json").write_text(legacy)
    assert credentials() == "kaggle.json"
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    assert credentials() == "kaggle.json"
    monkeypatch.setenv("KAGGLE_KEY", SECRET)
    assert credentials() == "environment"
    (home / ".kaggle" / "access_token").write_text(" \n")
    assert credentials() == "environment"
    (home / ".kaggle" / "access_token").write_text(TOKEN)
    assert credentials() == "access token"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_an_open_kaggle_json_is_closed(home, monkeypatch, capfd):
    legacy = home / "elsewhere" / "kaggle.json"
    legacy.parent.mkdir()
    legacy.write_text(f'{{"username": "someone", "key": "{SECRET}"}}')
    legacy.chmod(0o644)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(legacy.parent))
    assert credentials() == credentials() == "kaggle.json"
    assert stat.S_IMODE(legacy.stat().st_mode) == 0o600
    said = capfd.readouterr().out
    assert said.count("\n") == 1 and "600" in said and SECRET not in said


@pytest.mark.parametrize(
    "secrets, source",
    [
        ({"KAGGLE_API_TOKEN": TOKEN}, "Colab secrets"),
        ({"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": SECRET}, "Colab secrets"),
        ({"KAGGLE_USERNAME": "someone"}, None),
        ({}, None),
    ],
)
def test_colab_secrets(monkeypatch, capfd, secrets, source):
    colab = types.ModuleType("google.colab")
    colab.userdata = types.SimpleNamespace(get=secrets.__getitem__)
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert credentials() == source
    kept = secrets if source else {}
    assert {k: v for k, v in os.environ.items() if k.startswith("KAGGLE")} == kept
    assert "".join(capfd.readouterr()) == ""


# --- Unpacking


def unpacked(tmp_path, files, **options):
    (tmp_path / "a.zip").write_bytes(make_zip(files))
    return unpack(tmp_path / "a.zip", tmp_path / "out", **options)


def test_junk_and_the_second_copy_of_the_chest_set(tmp_path):
    images = [("train/NORMAL/1.jpeg", b"one"), ("test/NORMAL/1.jpeg", b"one")]
    copy = [("chest_xray/chest_xray/" + name, data) for name, data in images]
    junk = ["__MACOSX/._x", "chest_xray/__MACOSX/train/1.jpeg", "chest_xray/.DS_Store"]
    junk += ["chest_xray/train/._1.jpeg", "chest_xray/train/Thumbs.db", "chest_xray/chest_xray/"]
    files = copy + [("chest_xray/" + n, d) for n, d in images] + [(n, b"") for n in junk]
    out = unpacked(tmp_path, files)
    assert names(out) == ["chest_xray/test/NORMAL/1.jpeg", "chest_xray/train/NORMAL/1.jpeg"]
    assert not (tmp_path / "out.part").exists()


def test_the_folder_that_ends_in_a_space(tmp_path):
    files = [
        (f"{top}train/CNV/CNV-1-{i}.jpeg", b"%d" % i) for top in ("OCT2017 /",) for i in (1, 2)
    ]
    files += [("oct2017/" + name, data) for name, data in files]
    out = unpacked(tmp_path, [*files, ("OCT2017 /.DS_Store", b"")])
    assert names(out) == ["OCT2017/train/CNV/CNV-1-1.jpeg", "OCT2017/train/CNV/CNV-1-2.jpeg"]


def test_what_only_looks_like_a_second_copy_stays(tmp_path):
    files = [("train/train/1.jpg", b"1"), ("a/b/1.jpg", b"2"), ("b/1.jpg", b"3"), ("1.jpg", b"3")]
    # (b/1.jpg is 1.jpg once more.)
    assert names(unpacked(tmp_path, files)) == ["1.jpg", "a/b/1.jpg", "train/train/1.jpg"]


def test_what_check_refuses_is_never_put_in_place(tmp_path):
    def refuse(folder):
        assert names(folder) == ["a/1.png"]
        raise DownloadError("nothing in it")

    with pytest.raises(DownloadError, match="nothing in it"):
        unpacked(tmp_path, [("a/1.png", b"1")], check=refuse)
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.part").exists()
    assert names(unpacked(tmp_path, [("a/1.png", b"1")], check=names)) == ["a/1.png"]


LINK = stat.S_IFLNK | 0o777


@pytest.mark.parametrize(
    "files, words",
    [
        ([("../x", b"")], "outside"),
        ([("a/../../x", b"")], "outside"),
        ([("a/.. /x", b"")], "outside"),
        ([("..\\x", b"")], "outside"),
        ([("/x", b"")], "outside"),
        ([("\\\\host\\x", b"")], "outside"),
        ([("C:/x", b"")], "outside"),
        ([("C:x", b"")], "outside"),
        ([("a/ /x", b"")], "outside"),
        ([("a", b"/etc", LINK), ("a/passwd", b"")], "link"),
        ([("pipe", b"", stat.S_IFIFO | 0o666)], "link"),
        ([("a/1", b"1"), ("a/1", b"2")], "twice"),
        ([("a /1", b"1"), ("a/1", b"2")], "twice"),
        ([("a", b"1"), ("a/1", b"2")], "cannot be unpacked"),
        ([("a/hard", b"/etc/passwd", LINK)], "link"),
        ([("dev", b"", stat.S_IFCHR | 0o666)], "link"),
        ([("__MACOSX/x", b"")], "0 files"),
        ([], "0 files"),
    ],
)
def test_unsafe_and_empty_archives(tmp_path, files, words):
    said = fails(unpacked, tmp_path, [("good/1", b"good"), *files] if words != "0 files" else files)
    assert words in said
    assert names(tmp_path) == ["a.zip"] and not (tmp_path / "out").exists()


def test_over_the_cap(tmp_path):
    files = [("zeros", bytes(1000)), ("more", bytes(1000))]
    assert "allowed" in fails(unpacked, tmp_path, files, cap=1999)
    assert names(tmp_path) == ["a.zip"]
    assert unpacked(tmp_path, files, cap=2000)


def test_a_member_that_hides_its_size(tmp_path):
    data = bytearray(make_zip([("zeros", bytes(5000))]))
    place = data.rindex(b"PK\x01\x02") + 24
    assert data[place : place + 4] == (5000).to_bytes(4, "little")
    data[place : place + 4] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    assert "cannot be unpacked" in fails(unpack, tmp_path / "a.zip", tmp_path / "out", cap=100)
    assert names(tmp_path) == ["a.zip"]


def test_no_room_to_unpack(tmp_path, monkeypatch):
    free = types.SimpleNamespace(free=download.SPARE + 9)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: free)
    assert "free" in fails(unpacked, tmp_path, [("a", bytes(10))])
    assert unpacked(tmp_path, [("a", bytes(9))])


@pytest.mark.parametrize("data", [ARCHIVE[:-1000], DAMAGED, b"<html>", b""])
def test_damaged_archives(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    assert "download it again" in fails(unpack, tmp_path / "a.zip", tmp_path / "out")
    assert names(tmp_path) == ["a.zip"] and not (tmp_path / "out").exists()


def test_no_archive(tmp_path):
    assert "No such file" in fails(unpack, tmp_path / "a.zip", tmp_path / "out")


def test_killed_half_way_and_redone(tmp_path, monkeypatch):
    copy, files = download.shutil.copyfileobj, [("a/1", b"one"), ("a/2", b"two")]

    def killed(data, out, size):
        if out.name.endswith("2"):
            raise KeyboardInterrupt
        copy(data, out, size)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(download.shutil, "copyfileobj", killed)
        unpacked(tmp_path, files)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out.part" / "left over").write_text("")
    assert names(unpacked(tmp_path, files)) == ["a/1", "a/2"]
    assert not (tmp_path / "out.part").exists()


def test_a_folder_there_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    assert names(unpacked(tmp_path, [("a", b"1")])) == ["a"]  # an empty one is none
    (tmp_path / "out" / "a").write_bytes(b"mine")
    assert (unpacked(tmp_path, [("a", b"2")]) / "a").read_bytes() == b"mine"
    (tmp_path / "a.zip").unlink()
    assert unpack(tmp_path / "a.zip", tmp_path / "out") == tmp_path / "out"


def test_one_line_is_printed(tmp_path, capfd):
    unpacked(tmp_path, [("a", bytes(1_500_000)), ("b", b"")])
    assert "".join(capfd.readouterr()) == "out: unpacking 2 files, 2 MB…\n"


# --- Counts


EXPECTED = {("train", "NORMAL"): 1341, ("train", "PNEUMONIA"): 3875}


def test_counts_that_agree():
    assert check_counts(EXPECTED, EXPECTED, "chest_xray") == []


def test_a_smaller_copy_and_a_larger_one():
    notes = check_counts({**EXPECTED, ("train", "NORMAL"): 100}, EXPECTED, "chest_xray")
    assert notes == ["chest_xray: train/NORMAL holds 100 of 1,341 images, a smaller copy"]
    notes = check_counts({"a": 5, "b": 1, "c": 0}, {"a": 4}, "own")
    assert notes == [
        "own: a holds 5 of 4 images, more than published",
        "own: b holds 1 of 0 images, more than published",
    ]


@pytest.mark.parametrize("nothing", [{}, {("train", "NORMAL"): 0}])
def test_an_empty_class(nothing):
    counts = {("train", "PNEUMONIA"): 3875, **nothing}
    assert "train/NORMAL holds no images" in fails(check_counts, counts, EXPECTED, "chest_xray")
