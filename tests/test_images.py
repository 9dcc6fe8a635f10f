"""Every kind of image file: read alike everywhere, or left out everywhere, with its reason."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import spoiled
from PIL import Image

from helpers import cache, datasets, dicom, evaluation, images, pipelines, plots, training
from helpers.backend import keras

PICTURE = spoiled.picture()
WHOLE, BAD = spoiled.whole(PICTURE), spoiled.bad(PICTURE)
SIZE = 32


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def table(*paths):
    return pd.DataFrame({"path": list(paths), "label": ["a", "b"] * (len(paths) // 2)})


def in_a_batch(path, channels):
    ((pixels, _),) = pipelines.batches(table(path, path), ("a", "b"), SIZE, channels)
    return pixels.numpy()[0]


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.filterwarnings("error")
def test_what_is_read_is_read_alike(tmp_path, name, capfd):
    path = write(tmp_path / "sick" / name, WHOLE[name])
    assert images.faults([path]) == {}
    for channels in (1, 3):
        batch = in_a_batch(path, channels)
        assert (images.read(path, SIZE, channels) == batch).all()
        assert (images.read(path, SIZE, channels) == batch).all()
    (small,) = cache.shrink(table(path, path).drop(1), SIZE)["path"]
    assert np.abs(in_a_batch(small, 3) - batch).mean() <= 2
    write(tmp_path / "well/a.png", WHOLE["rgb.png"])
    (tmp_path / "data").rename(tmp_path.parent / f"{tmp_path.name}-data")
    assert path in datasets.own_images(tmp_path)["path"].tolist()
    assert "left out" not in capfd.readouterr().out
    if name not in ("one-wide.png", "one-high.jpg", "one-pixel.png", "grey12.png"):
        upright = np.rot90(np.asarray(PICTURE), -1) if "turned" in name else np.asarray(PICTURE)
        alike = Image.fromarray(np.ascontiguousarray(upright)).resize((SIZE, SIZE), 2)
        mode = "L" if {"grey", "bits"} & set(name.replace("16", "").split(".")) else "RGB"
        if "rgba" in name or "clear" in name:
            return
        wanted = np.asarray(alike.convert(mode).convert("RGB")).astype(float)
        assert np.abs(batch - wanted).mean() < (30 if name == "bits.png" else 12)


@pytest.mark.parametrize("name", [*BAD, "folder.png", "gone.png"])
@pytest.mark.filterwarnings("error")
def test_what_is_not_is_left_out_everywhere(tmp_path, name, capfd):
    path = str(tmp_path / "sick" / name)
    if name in BAD:
        data, why = BAD[name]
        write(Path(path), data)
    else:
        why = "No such file or directory"
        if name == "folder.png":
            Path(path).mkdir(parents=True)
            why = "Is a directory"
    assert images.faults([path]) == {path: why}
    good = [write(tmp_path / f"{c}/g.png", WHOLE["rgb.png"]) for c in ("sick", "well")]
    rows = table(path, *good, good[0])
    listed = f"1 of 3 files are left out, as no image can be read from them:\n  {name}: {why}\n"
    assert images.readable(rows).equals(rows[1:]) and capfd.readouterr() == (listed, "")
    assert cache.shrink(rows, SIZE).index.tolist() == [1, 2, 3]
    assert capfd.readouterr().out.endswith(listed)
    with pytest.raises(ValueError) as told:
        pipelines.batches(rows, ("a", "b"), SIZE)
    assert str(told.value) == (
        f"1 of 4 images cannot be read, {name} first ({why}); leave them out with "
        "images.readable(rows)."
    )
    for call in (lambda: images.read(path, SIZE, 1), lambda: images.picture(path)):
        with pytest.raises(ValueError, match=name) as told:
            call()
        assert str(told.value).endswith(".") and "\n" not in str(told.value)
    if name in BAD:
        (tmp_path / "data").rename(tmp_path.parent / f"{tmp_path.name}-data")
        assert datasets.own_images(tmp_path)["path"].tolist() == good
        assert listed in capfd.readouterr().out


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_shown_and_what_baselines_see_is_what_the_network_sees(tmp_path, name):
    path = write(tmp_path / name, WHOLE[name])
    drawn = plots.grid([path], [name]).axes[0].images[0].get_array()
    shown = Image.fromarray(np.asarray(drawn)).convert("L").resize((8, 8), Image.Resampling.BOX)
    seen = images.read(path, 64, 1)[..., 0].reshape(8, 8, 8, 8).mean((1, 3))
    for other in (np.asarray(shown, float), evaluation.thumbnails([path])[0].reshape(8, 8)):
        assert np.abs(other - seen).mean() < 12
    plots.plt.close("all")


def test_grey_with_alpha_of_16_bits_is_read_as_without(tmp_path):
    grey = np.tile(np.arange(0, 4096, 64, dtype=np.uint16), (64, 1))

    def png(pixels, kind):
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
        head = spoiled.struct.pack(">IIBBBBB", 64, 64, 16, kind, 0, 0, 0)
        parts = [(b"IHDR", head), (b"IDAT", spoiled.zlib.compress(rows)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(spoiled.chunk(*part) for part in parts)

    for scale in (1, 16):
        clear = np.dstack([grey * scale, np.full_like(grey, 65535)])
        clear[:9, :, 1] = 0
        plain = np.where(clear[..., 1] > 0, grey * scale, 0)
        found, wanted = (images.small(png(*one), 64) for one in ((clear, 4), (plain, 0)))
        assert found.mode == "L" and (np.asarray(found) == np.asarray(wanted)).all()
        hidden = int(grey[0, 40] * scale).to_bytes(2, "big")
        shown = np.asarray(
            images.small(spoiled.with_chunk(png(grey * scale, 0), b"tRNS", hidden), 64)
        )
        assert (shown[:, 40] == 0).all() and shown[0, 41] == np.asarray(wanted)[9, 41]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_grey_below_is_a_cut_only_where_data_are_missing(tmp_path, mode, progressive):
    pixels = np.array(spoiled.picture(1, 256, 256))
    pixels[200:], pixels[:, 200:] = 128, 128  # a whole picture with a grey margin
    image = Image.fromarray(pixels).convert(mode)
    whole = spoiled.encoded("JPEG", image, quality=90, progressive=progressive)
    path = write(tmp_path / "a.jpg", whole)
    assert images.faults([path]) == {} and images.read(path, 64).shape == (64, 64, 1)
    start = whole.rfind(b"\xff\xda") if progressive else whole.find(b"\xff\xda") + 20
    for share in (0.2, 0.5, 0.9):
        end = 900 if progressive else start + int(share * (len(whole) - start))
        write(tmp_path / "a.jpg", whole[:end] + b"\xff\xd9")
        assert images.faults([path]) == {path: "cut off, plain grey below"}, share
        with pytest.raises(ValueError, match="a.jpg is cut off, damaged or of a rare kind"):
            images.read(path, 64)


def test_a_scan_is_a_picture_as_well():
    path = Path(dicom._pydicom().__file__).parent / "data/test_files/CT_small.dcm"
    shown = np.asarray(plots.grid([path], ["CT"]).axes[0].images[0].get_array())
    assert (shown == dicom.read(path)).all() and evaluation.thumbnails([path]).shape == (1, 64)
    plots.plt.close("all")


def test_memory_that_runs_out_is_no_damage():
    assert images.reason(MemoryError()) == "too large for the memory at hand"


def test_a_long_list_is_cut(tmp_path, capsys):
    rows = table(*(write(tmp_path / f"{n:02}.png", b"text") for n in range(22)))
    good = write(tmp_path / "good.png", WHOLE["rgb.png"])
    rows.loc[22] = [good, "a"]
    assert images.readable(rows)["path"].tolist() == [good]
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 22 and said[20] == "  19.png: no JPEG or PNG in it"
    assert said[21] == "  and 2 more, see images.faults(paths)"
    assert list(images.faults(rows["path"])) == rows["path"].tolist()[:22]
    assert images.readable(rows[:3]).empty


def test_a_file_is_decoded_once_until_it_changes(tmp_path, home, monkeypatch):
    seen, real = [], images._fault
    monkeypatch.setattr(images, "_fault", lambda path: seen.append(Path(path).name) or real(path))
    good = write(tmp_path / "good.png", WHOLE["rgb.png"])
    bad = write(tmp_path / "bad.png", b"")
    for _ in range(2):
        assert images.faults([good, bad, good]) == {bad: "empty"}
    assert seen == ["good.png", "bad.png", "bad.png"]
    images._known_good.cache_clear()  # as in a new session
    images.faults([good])
    assert len(seen) == 3
    write(tmp_path / "bad.png", WHOLE["rgb.png"])
    assert images.faults([bad]) == {} == images.faults([bad]) and len(seen) == 4
    write(tmp_path / "good.png", WHOLE["rgb.png"][:-1])
    assert images.faults([good]) == {good: "cut off or damaged"}


def test_what_a_killed_session_kept_is_used(tmp_path, home):
    paths = [write(tmp_path / f"{n}.png", WHOLE["rgb.png"]) for n in range(3)]
    images.faults(paths)
    store = home / "cache" / "readable-2.txt"
    store.write_bytes(store.read_bytes()[:-10])  # the last line is cut off
    images._known_good.cache_clear()
    assert images.faults(paths) == {} and len(images._known_good(store)) == 3
    store.write_bytes(b"\xff\0 rubbish")
    images._known_good.cache_clear()
    assert images.faults(paths) == {}


def test_nothing_is_kept_where_nothing_can_be(tmp_path, home):
    home.mkdir()
    (home / "cache").touch()
    assert images.faults([write(tmp_path / "a.png", WHOLE["rgb.png"])]) == {}


def test_an_archives_bad_images_are_left_out_and_said(tmp_path, capsys):
    names = [f"chest_xray/train/{c}/{n}.jpeg" for c in ("NORMAL", "PNEUMONIA") for n in range(3)]
    for name in names:
        write(tmp_path / name, WHOLE["rgb.jpg"])
    write(tmp_path / names[1], WHOLE["rgb.jpg"][:-200])
    found = datasets.table("chest_xray", tmp_path)
    assert len(found) == 5 and found.index.tolist() == list(range(5))
    assert capsys.readouterr().out.endswith("from them:\n  1.jpeg: cut off or damaged\n")
    for name in names:
        write(tmp_path / name, b"")
    with pytest.raises(ValueError, match="no images of chest_xray in .*: unpack the archive again"):
        datasets.table("chest_xray", tmp_path)


def folder_of(count, folder, faulty):
    """Write tiny images of two classes, and faulty ones among them; return name to reason."""
    reasons, kinds = {}, list(BAD.items())
    for n in range(count):
        name = f"{('dark', 'light')[n % 2]}/p{n:04}.png"
        if n % (count // faulty) == 5 and len(reasons) < faulty:
            data, why = kinds[len(reasons) % len(kinds)][1]
            reasons[name] = why
        else:
            grey = np.random.default_rng(n).integers(0, 90, (20, 24), np.uint8) + 150 * (n % 2)
            data = spoiled.encoded("PNG", Image.fromarray(grey.astype(np.uint8)))
        write(folder / name, data)
    return reasons


def test_training_goes_on_with_the_rest_of_1000(tmp_path, capsys):
    reasons = folder_of(1000, tmp_path / "mine", 30)
    assert len(reasons) == 30 and len(set(reasons.values())) == 6
    rows = datasets.own_images(tmp_path / "mine")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "30 of 1,000 files are left out, as no image can be read from them:"
    shown = [f"  {Path(name).name}: {why}" for name, why in sorted(reasons.items())]
    assert said[1:21] == shown[:20] and said[21] == "  and 10 more, see images.faults(paths)"
    left = {str(tmp_path / "mine" / name) for name in reasons}
    assert len(rows) == 970 and not left & set(rows["path"])
    assert (rows["label"] == rows["path"].map(lambda p: Path(p).parent.name)).all()
    stream = pipelines.batches(rows, ("dark", "light"), 16, training=True)
    body = [keras.layers.Rescaling(1 / 255), keras.layers.GlobalAveragePooling2D()]
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((16, 16, 1)), *body, keras.layers.Dense(1, "sigmoid")])
    log = training.fit(training.compiled(net, 0.1), stream, None, 3)
    assert len(log["loss"]) == 3 and log["auc"][-1] > 0.99
    assert sum(len(labels) for _, labels in stream) == 970


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="Linux tells the peak there")
def test_a_large_image_is_read_without_gigabytes(tmp_path):
    path = write(tmp_path / "wide.png", spoiled.zeros_png(20_000, 4_000))
    text = """
import sys, pandas
from helpers import cache, images

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("VmHWM")) / 1000

before = peak()
assert images.faults([sys.argv[1]]) == {}
assert images.read(sys.argv[1], 64, 3).shape == (64, 64, 3)
assert len(cache.shrink(pandas.DataFrame({"path": [sys.argv[1]]}), 64)) == 1
print(peak() - before)
"""
    run = [sys.executable, "-c", text, path]
    out = subprocess.run(run, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert float(out.stdout.split()[-1]) < 900  # MB; the 80 million pixels take 240 in RGB
