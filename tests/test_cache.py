"""Small copies: the right pixels, made once, whole or not there at all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import cache, images, pipelines
from phantoms import fundus

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = "{} of {} files are left out, as no image can be read from them:"
RUN = "import sys, pandas; from PIL import Image; from helpers import cache\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def opened(monkeypatch):
    """List the files that are decoded from now on."""
    names, real = [], Path.read_bytes

    def noting(path):
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", noting)
    return names


def eye(size=(241, 363), noise=6):
    """Draw a photograph with the noise of a camera, so that careless shrinking shows."""
    image = fundus.draw(("diabetic retinopathy",), 3, size=size).image.astype(float)
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def flat(folder, count, size=(20, 30)):
    """Write files 0.png, 1.png ... of one grey value each, and return their table."""
    folder.mkdir(exist_ok=True)
    for n in range(count):
        Image.fromarray(np.full(size, n, np.uint8)).save(folder / f"{n}.png")
    return pd.DataFrame({"path": [str(folder / f"{n}.png") for n in range(count)]})


def table(*paths):
    return pd.DataFrame({"path": [str(path) for path in paths]})


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(float)


def decoded(path, size, channels=3):
    return images.read(path, size, channels).astype(float)


def files(home):
    return sorted(path for path in home.rglob("*") if path.is_file())


def python(text, *args, **options):
    """Start another Python on some lines of code."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN + text, *map(str, args)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def one_sentence(error):
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and ". " not in text, text
    return text


def test_table_in_table_out(tmp_path, home):
    rows = flat(tmp_path, 4).assign(label=list("abba")).iloc[[2, 0, 3]]
    rows.index = [7, 5, 7]
    before = rows.copy()
    small = cache.shrink(rows, 16)
    pd.testing.assert_frame_equal(rows, before)
    pd.testing.assert_series_equal(small["original"], rows["path"], check_names=False)
    assert small.index.tolist() == [7, 5, 7] and small["label"].tolist() == list("baa")
    assert list(small.columns) == ["path", "label", "original"]
    for path, value in zip(small["path"], (2, 0, 3), strict=True):
        assert Path(path).is_relative_to(home / "cache") and path.endswith(".png")
        assert pixels(path).shape == (16, 16) and (pixels(path) == value).all()


def test_batches_read_the_copies(tmp_path):
    rows = cache.shrink(flat(tmp_path, 5).assign(label=list("ababa")), 16)
    ((batch, labels),) = pipelines.batches(rows, ("a", "b"), 16, 3)
    assert (batch.numpy() == np.arange(5)[:, None, None, None]).all()
    assert labels.numpy().ravel().tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize(
    "shape, size",
    [((1424, 2144), 128), ((997, 1497), 64), ((997, 1497), 224), ((30, 20), 64), ((64, 64), 64)],
)
def test_pixels_of_decode(tmp_path, kind, shape, size):
    path = tmp_path / f"eye.{kind}"
    eye((241, 363)).resize(shape[::-1], Image.Resampling.BICUBIC).save(path, quality=92)
    (small,) = cache.shrink(table(path), size)["path"]
    gap = np.abs(pixels(small) - decoded(path, size))
    assert gap.mean() <= 1 and gap.max() <= 8  # 2 on average is what the docstring promises
    if shape == (size, size) and kind == "png":
        assert (gap == 0).all()


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_shrinks_by_averaging(tmp_path, kind):
    stripes = np.zeros((1024, 1024), np.uint8)
    stripes[:, ::2] = 200
    Image.fromarray(stripes).save(tmp_path / f"stripes.{kind}", quality=95)
    (small,) = cache.shrink(table(tmp_path / f"stripes.{kind}"), 128)["path"]
    assert np.abs(pixels(small) - 100).max() <= 2


def test_the_last_column_of_a_jpeg_stays_as_narrow_as_it_is(tmp_path):
    edge = np.zeros((513, 513), np.uint8)  # decoded at a fourth, its column 129 is one pixel wide
    edge[:, -1] = 255
    Image.fromarray(edge).save(tmp_path / "edge.jpg", quality=100)
    (small,) = cache.shrink(table(tmp_path / "edge.jpg"), 64)["path"]
    wanted = decoded(tmp_path / "edge.jpg", 64, 1)[..., 0]
    assert np.abs(pixels(small) - wanted)[:, -1].mean() <= 40  # 88 if it counted as a whole one


def test_a_wide_jpeg_is_not_blurred(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (160, 1600), np.uint8)
    Image.fromarray(noise).save(tmp_path / "wide.jpg", quality=95)
    (small,) = cache.shrink(table(tmp_path / "wide.jpg"), 128)["path"]
    wanted = decoded(tmp_path / "wide.jpg", 128, 1)[..., 0]
    assert np.abs(pixels(small) - wanted).mean() <= 2


def turned(path, **options):
    exif = Image.Exif()
    exif[274] = 6
    eye().save(path, exif=exif, **options)


def sixteen(path, factor):
    grey = np.asarray(eye().convert("L")).astype(np.uint16)
    Image.fromarray(grey * factor).save(path)


def faded(image):
    across = np.tile(np.linspace(0, 255, image.width).astype(np.uint8), (image.height, 1))
    image.putalpha(Image.fromarray(across))
    return image


# name: (how it is written, the mode of its copy)
KINDS = {
    "grey.png": (lambda path: eye().convert("L").save(path), "L"),
    "grey.jpg": (lambda path: eye().convert("L").save(path, quality=95), "L"),
    "bits.png": (lambda path: eye().convert("1").save(path), "L"),
    "grey16.png": (lambda path: sixteen(path, 257), "L"),
    "grey12.png": (lambda path: sixteen(path, 16), "L"),
    "grey-faded.png": (lambda path: faded(eye().convert("L")).save(path), "L"),
    "palette.png": (lambda path: eye().quantize(60).save(path), "RGB"),
    "palette-clear.png": (lambda path: eye().quantize(60).save(path, transparency=7), "RGB"),
    "opaque.png": (lambda path: eye().convert("RGBA").save(path), "RGB"),
    "faded.png": (lambda path: faded(eye()).save(path), "RGB"),
    "cmyk.jpg": (lambda path: eye().convert("CMYK").save(path, quality=95), "RGB"),
    "turned.jpg": (lambda path: turned(path, quality=95), "RGB"),
    "turned.png": (turned, "RGB"),
    "profile.jpg": (lambda path: eye().save(path, icc_profile=b"x" * 9999, quality=95), "RGB"),
    # Pillow warns of this one
    "rubbish-exif.png": (lambda path: eye().save(path, exif=b"Exif\0\0rubbish"), "RGB"),
    "cut-exif.jpg": (lambda path: eye().save(path, exif=b"Exif\0\0MM\0*\0\0\0\b"), "RGB"),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("error")
def test_every_kind_of_file(tmp_path, name, capfd):
    write, mode = KINDS[name]
    write(tmp_path / name)
    (small,) = cache.shrink(table(tmp_path / name), 96)["path"]
    with Image.open(small) as image:
        assert image.mode == mode and not set(image.info) & {"transparency", "icc_profile", "exif"}
    wanted = images.read(tmp_path / name, 96, 3).astype(float)
    assert np.abs(decoded(small, 96) - wanted).mean() <= 1
    assert capfd.readouterr().err == ""


def test_a_second_call_decodes_nothing(tmp_path, capsys, opened):
    rows = flat(tmp_path, 230)
    first = cache.shrink(rows, 16)
    assert capsys.readouterr().out == "Shrinking 230 images to 16 x 16 pixels, once ...\n"
    assert sorted(opened) == sorted(f"{n}.png" for n in range(230))
    opened.clear()
    again = cache.shrink(rows, 16)
    some = cache.shrink(rows[::-7].assign(label="a"), 16)
    assert capsys.readouterr().out == "" and opened == []
    pd.testing.assert_frame_equal(first, again)
    assert some["path"].tolist() == first["path"][::-7].tolist()


def test_a_new_process_decodes_nothing(tmp_path):
    rows = flat(tmp_path, 9)
    first = cache.shrink(rows, 16)
    (rows[3:]).to_csv(tmp_path / "rows.csv")
    there = python(
        "Image.open = None\n"
        "rows = cache.shrink(pandas.read_csv(sys.argv[1], index_col=0), 16)\n"
        "assert 'tensorflow' not in sys.modules and 'cv2' not in sys.modules\n"
        "print(*rows['path'], sep='\\n')",
        tmp_path / "rows.csv",
    )
    out, err = there.communicate()
    assert err == "" and out.split() == first["path"][3:].tolist()


def test_only_what_is_missing_is_made(tmp_path, capsys, opened):
    rows = flat(tmp_path, 6)
    cache.shrink(rows[:4], 16)
    opened.clear()
    capsys.readouterr()
    cache.shrink(rows[:5], 16)
    assert opened == ["4.png"]
    assert capsys.readouterr().out == "Shrinking 1 image to 16 x 16 pixels, once ...\n"
    assert pixels(cache.shrink(rows, 8)["path"][2]).shape == (8, 8)  # another size, another copy
    assert pixels(cache.shrink(rows, 16)["path"][2]).shape == (16, 16)


def test_a_file_twice_in_a_table_is_decoded_once(tmp_path, opened, monkeypatch):
    rows = flat(tmp_path, 3)
    small = cache.shrink(rows.iloc[[0, 1, 0, 2, 0]], 16)
    assert sorted(opened) == ["0.png", "1.png", "2.png"]
    assert small["path"].nunique() == 3 and small.index.tolist() == [0, 1, 0, 2, 0]
    monkeypatch.chdir(tmp_path)  # the same file from elsewhere
    assert cache.shrink(table("1.png"), 16)["path"][0] == small["path"].iloc[1]


def test_a_changed_file_is_shrunk_again(tmp_path):
    def written(name, value, time_ns, width=30):
        image = Image.fromarray(np.full((20, width), value, np.uint8))
        image.save(tmp_path / name, compress_level=0)
        os.utime(tmp_path / name, ns=(0, time_ns))
        return pixels(cache.shrink(table(tmp_path / name), 16)["path"][0]).mean()

    # files with the same width are equally large
    assert written("a.png", 1, 10**18) == 1
    assert written("a.png", 2, 10**18 + 1000) == 2  # another time
    assert written("a.png", 3, 10**18, width=60) == 3  # another size
    assert written("b.png", 4, 10**18) == 4  # another path


def spoiled(folder):
    """Write files that cannot be read; return name: what the line must say of it."""
    eye().save(folder / "whole.png")
    eye().save(folder / "whole.jpg")
    for kind in ("png", "jpg"):
        data = (folder / f"whole.{kind}").read_bytes()
        (folder / f"cut.{kind}").write_bytes(data[: len(data) // 2])
    eye().save(folder / "drawn.bmp")
    eye().save(folder / "drawn.gif")
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image at all")
    (folder / "folder.png").mkdir()
    return {
        "cut.png": "cut off or damaged",
        "cut.jpg": "cut off or damaged",
        "drawn.bmp": "no JPEG or PNG in it",
        "drawn.gif": "no JPEG or PNG in it",
        "empty.png": "empty",
        "text.png": "no JPEG or PNG in it",
        "folder.png": "Is a directory",
        "gone.png": "No such file or directory",
    }


def test_what_cannot_be_read_is_left_out_and_said(tmp_path, capsys, home):
    for name, reason in spoiled(tmp_path).items():
        rows = table(tmp_path / "whole.png", tmp_path / name, tmp_path / "whole.jpg")
        for call in range(2):
            assert cache.shrink(rows, 16)["original"].tolist() == rows["path"][[0, 2]].tolist()
            said = capsys.readouterr().out.splitlines()
            assert said[-2:] == [LEFT_OUT.format(1, 3), f"  {name}: {reason}"]
            assert call == 0 or len(said) == 2  # nothing was shrunk
    assert len(files(home)) == 2


def test_all_are_named_in_the_tables_order(tmp_path, capsys):
    bad = spoiled(tmp_path)
    names = ["whole.png", *bad, "whole.jpg"]
    small = cache.shrink(table(*(tmp_path / name for name in names)), 16)
    assert small.index.tolist() == [0, 9]
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [LEFT_OUT.format(8, 10), *(f"  {n}: {why}" for n, why in bad.items())]


def test_no_image_at_all(tmp_path):
    names = list(spoiled(tmp_path))
    with pytest.raises(ValueError, match="None of the 8 images can be read, cut.png first") as none:
        cache.shrink(table(*(tmp_path / name for name in names)), 16)
    assert "check" in one_sentence(none)
    with pytest.raises(ValueError, match="no rows") as none:
        cache.shrink(table(), 16)
    one_sentence(none)


def test_absurdly_large_images_are_left_out(tmp_path, capsys, monkeypatch):
    rows = flat(tmp_path, 2, (50, 50))
    eye().save(rows["path"][0])
    for limit in (80_000, 5_000):  # Pillow warns up to twice the limit, and refuses beyond
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert len(cache.shrink(rows, 16)) == 1
        assert f"0.png: more than {limit:,} pixels\n" in capsys.readouterr().out


def test_a_full_disk(tmp_path, home):
    resource = pytest.importorskip("resource")
    eye().save(tmp_path / "eye.png")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # a copy takes more bytes
    try:
        with pytest.raises(OSError, match="cannot be written to .* free some room") as full:
            cache.shrink(table(tmp_path / "eye.png"), 96)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "(File too large);" in one_sentence(full)
    assert isinstance(full.value.__cause__, OSError) and files(home) == []
    assert len(cache.shrink(table(tmp_path / "eye.png"), 96)) == 1


def test_a_folder_that_cannot_be_written(tmp_path, home):
    home.mkdir()
    (home / "cache").touch()
    with pytest.raises(OSError, match="cannot be written to .* COURSE_DATA") as shut:
        cache.shrink(flat(tmp_path, 3), 16)
    one_sentence(shut)
    assert isinstance(shut.value.__cause__, OSError)


# the fifth copy and all after it never take their place, as on a disk that hangs
HANGING = """
import itertools, os, time
calls, replace = itertools.count(), os.replace
os.replace = lambda *args: replace(*args) if next(calls) < 4 else time.sleep(600)
cache.shrink(pandas.read_csv(sys.argv[1]), 64)
"""


def test_a_killed_process_leaves_no_half_file(tmp_path, home, opened):
    for n in range(12):
        eye().rotate(n).save(tmp_path / f"{n}.png")
    rows = table(*(tmp_path / f"{n}.png" for n in range(12)))
    rows.to_csv(tmp_path / "rows.csv")
    killed, end = python(HANGING, tmp_path / "rows.csv"), time.monotonic() + 60
    while len(files(home)) < 5 and killed.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    done = [path for path in files(home) if path.parent.suffix != ".part"]
    assert len(done) == 4 < len(files(home))
    times = [path.stat().st_mtime_ns for path in done]
    opened.clear()
    small = cache.shrink(rows, 64)
    assert len(opened) == 8 and [path.stat().st_mtime_ns for path in done] == times
    for path, old in zip(small["path"], small["original"], strict=True):
        assert np.abs(pixels(path) - decoded(old, 64)).mean() <= 1


def test_processes_side_by_side(tmp_path, home):
    flat(tmp_path, 150).to_csv(tmp_path / "rows.csv")
    text = "assert len(cache.shrink(pandas.read_csv(sys.argv[1]), 64)) == 150"
    several = [python(text, tmp_path / "rows.csv") for _ in range(3)]
    assert [each.communicate()[1] for each in several] == ["", "", ""]
    assert len(files(home)) == 150 and {pixels(path).shape for path in files(home)} == {(64, 64)}


def test_another_process_overtakes(tmp_path, home, monkeypatch):
    rows, replace = flat(tmp_path, 1), os.replace

    def late(part, copy):
        monkeypatch.setattr(os, "replace", replace)
        cache.shrink(rows, 16)  # makes the same copy before this one takes its place
        replace(part, copy)

    monkeypatch.setattr(os, "replace", late)
    assert cache.shrink(rows, 16)["path"].tolist() == list(map(str, files(home)))


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="Linux tells the peak there")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    rows = flat(tmp_path, 140)
    noise = np.random.default_rng(0).integers(0, 256, (700, 700), np.uint8)
    for path in rows["path"]:  # 0.5 MB each, packed or not
        Image.fromarray(noise).save(path, compress_level=0)
    rows.to_csv(tmp_path / "rows.csv")
    grown = python(
        "def peak():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return next(int(x.split()[1]) for x in lines if x.startswith('VmHWM')) / 1000\n"
        "rows = pandas.read_csv(sys.argv[1])\n"
        "cache.shrink(rows[:20], 700)\n"
        "before = peak()\n"
        "cache.shrink(rows, 700)\n"
        "print('grown', peak() - before)",
        tmp_path / "rows.csv",
    )
    out, err = grown.communicate()
    assert err == "" and float(out.split()[-1]) < 20  # MB; all 120 would be 59
