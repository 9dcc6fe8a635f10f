"""The page of results says what metrics.json holds, no more; a broken-off run goes on."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers import datasets, runtime, splits

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(
    str(ROOT / "results")
)  # its scripts are no package; last, so that they hide nothing

import anomalies  # noqa: E402
import baselines  # noqa: E402
import heat_maps  # noqa: E402
import lists  # noqa: E402
import metrics  # noqa: E402
import networks  # noqa: E402
import page  # noqa: E402
import pictures  # noqa: E402
import plan  # noqa: E402
import recipe  # noqa: E402
import setting  # noqa: E402
import shifts  # noqa: E402
import spreading  # noqa: E402

# benchmarks/ has a run_all too
_spec = importlib.util.spec_from_file_location("results_run_all", ROOT / "results" / "run_all.py")
run_all = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run_all)

JUDGED = {"AUC": 0.9, "low": 0.85, "high": 0.94, "accuracy": 0.8, "sensitivity": 0.7}
JUDGED |= {"specificity": 0.6, "seconds": 12.3, "cores": 2}
SPREAD = JUDGED | {"percent": 5, "labelled_images": 190, "majority": 0.74, "name": "x"}


def keyed(*records):
    return {f"{record['name']}/{record['seed']}": record for record in records}


MADE_UP = {
    "data": {
        "fingerprint": "abc",
        "full": False,
        "official_test": False,
        "images": {"test NORMAL": 20, "train NORMAL": 1080},
        "patients": 900,
        "parts": {"test": {"images": 20, "sick": 7, "patients": 19}},
    },
    "machine": {"processor": "Abacus 2", "cores": 2, "system": "Linux", "python": "3.12.1"}
    | {"keras": "3.99.1"},
    "records": keyed(
        JUDGED | {"name": "baseline_8x8", "seed": 42, "parameters": 65, "job": "baseline_8x8/42"},
        JUDGED | {"name": "vgg16", "seed": 42, "parameters": 14782529, "weights": "none"},
        JUDGED | {"name": "vgg16", "seed": 43, "AUC": 0.8, "weights": "none", "seconds": 14.3},
        JUDGED | {"name": "new_thing", "seed": 42, "AUC": 0.777, "low": 0.7},
        JUDGED
        | {"name": "smallnet_printed", "seed": 42, "score_deviation": 0.0, "restored_AUC": 0.612},
        {"name": "gradcam_vgg16", "seed": 42, "network": "vgg16", "method": "gradcam"}
        | {"images": 200, "energy": 0.431, "low": 0.4, "high": 0.5, "energy_lit": None}
        | {"chance": 0.494, "blank": 0.25, "seconds": 3.0, "cores": 16},
        JUDGED
        | {"name": "anomaly_file_size", "seed": 42, "AUC": 0.09, "low": 0.05, "high": 0.12}
        | {"points": "down", "false_alarms": 0.061, "parameters": 0},
        SPREAD | {"name": "spreading_few_labels_05", "seed": 42, "method": "few_labels"},
        SPREAD | {"name": "spreading_trained_longer_05", "seed": 42, "method": "trained_longer"},
    ),
}


_left = JUDGED | {"kind": "file_size", "train_images": 4000, "test_images": 780, "seed": 42}
RECIPE = keyed(
    _left | {"name": "leave_out_file_size_8x8", "method": "8x8", "AUC": 0.777, "low": 0.7},
    _left | {"name": "leave_out_file_size", "method": "compactnet"},
    _left | {"name": "leave_out_file_size", "method": "compactnet", "seed": 43, "AUC": 0.92},
    _left | {"name": "ablation_first_file_size", "variant": "first", "size": 128},
    _left
    | {"name": "ablation_first_virus_and_series", "variant": "first", "size": 128}
    | {"kind": "virus_and_series", "AUC": 0.987, "seconds": 20.0, "high": 0.99},
)


def line(text, start):
    (found,) = [row for row in text.splitlines() if row.startswith(f"| {start} |")]
    return [cell.strip() for cell in found.strip("|").split(" | ")]


def test_rows():
    text = page.text(MADE_UP)
    vgg16 = line(text, "VGG16 with a lean head | 14,782,529")
    assert vgg16[2:] == ["13", "2", "0.850", "0.800 to 0.900", "0.850 to 0.940"] + [
        "0.800",
        "0.700",
        "0.600",
    ]
    assert line(text, "new_thing")[4:6] == ["0.777", "-"]
    heat = line(text, "VGG16 with a lean head | Grad-CAM")
    assert heat[2:] == ["200", "0.431", "0.400 to 0.500", "-", "0.494", "25%", "0.015"]
    assert line(text, "file size")[-3:] == ["down", "0.061", "0.700"]
    assert line(text, "5% | few labels")[3:7] == ["190", "12", "1", "0.900"]
    assert line(text, "5% | few labels")[-2:] == ["-", "0.740"]


def test_words():
    text = page.text(MADE_UP)
    assert "1,100 images of 900 patients" in text and "NOT the official test folder" in text
    assert "2 cores of Abacus 2 (Linux), with Python 3.12.1, Keras 3.99.1." in text
    assert "On another machine, with 16 cores: gradcam_vgg16." in text
    assert text.count("an untrained base: no ImageNet weights were at hand") == 1
    assert "seed 42, got stuck" in text and "with AUC 0.612 in place of 0.900" in text
    missing = re.search(r"Missing.*: (.*)\.\n", text)[1]
    assert "baseline_8x8" not in missing and "smallnet_course (42)" in missing
    full = page.text(MADE_UP | {"data": MADE_UP["data"] | {"full": True, "official_test": True}})
    assert "This is a smaller copy" not in full and "the official one" in full
    pictured = re.findall(r"!\[(.*)\]\(results/(.*)\.png\)", text)
    assert [name for _, name in pictured] == ["classifiers", "anomalies", "spreading"]
    assert "new_thing 0.777" in pictured[0][0] and all(len(alt) > 40 for alt, _ in pictured)


def test_a_page_of_nothing():
    text = page.text({"data": {}, "machine": {}, "records": {}})
    assert "![" not in text and text.count("Nothing of this has been measured yet.") == 6
    typed = text.split("## Published figures")[1]
    assert ".964" not in typed and typed.count("official test |") == 7


def test_nobody_typed_a_number():
    said = "docs/results.md is not what metrics.json says: run make results."
    text = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert (ROOT / "docs" / "results" / "metrics.json").is_file()
    assert text == page.text(metrics.load()), said
    named = re.findall(r"!\[.*\]\((.*)\)", text)
    drawn = {f"results/{path.name}" for path in (ROOT / "docs" / "results").glob("*.png")}
    assert set(named) == drawn
    assert all((ROOT / "docs" / name).stat().st_size < 100_000 for name in named)


def test_pictures(tmp_path):
    pictures.draw(MADE_UP["records"] | RECIPE, tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(pictures.FIGURES)
    assert all(path.stat().st_size < 100_000 for path in tmp_path.iterdir())
    pictures.draw({}, tmp_path)
    assert not list(tmp_path.iterdir()) and not plt.get_fignums()


def test_keep(tmp_path):
    metrics.keep([{"name": "a", "seed": 1, "job": "a/1", "AUC": np.float64(0.123456)}], tmp_path)
    metrics.keep([{"name": "a", "seed": 2, "job": "a/2", "AUC": float("nan")}], tmp_path)
    kept = metrics.load(tmp_path)["records"]
    assert kept["a/1"]["AUC"] == 0.1235 and kept["a/2"]["AUC"] is None
    assert metrics.machine()["scikit-learn"] and kept["a/1"]["cores"]


# -- the command, on a tiny archive and jobs of its own


def packed(path, count=20):
    """Pack drawn images as if they were real: `count` patients of each label in train and test."""
    rows = datasets.table("chest_xray")
    rows = rows.drop_duplicates("group").groupby(["split", "label"]).head(count)
    with zipfile.ZipFile(path, "w") as file:
        for row in rows.itertuples():
            name = "/".join(("chest_xray", row.split, row.label, Path(row.path).name))
            file.write(row.path, name)
    return path


STUB = """
import os, time
from pathlib import Path

def measure(name, seed, setting):
    home = setting.models.parent
    with open(home / "ran.txt", "a") as file:
        file.write(f"{name}/{seed} {os.getpid()}\\n")
    if name == "raises":
        raise RuntimeError("by intent")
    if name == "dies":
        os._exit(9)
    state = setting.file(name, seed)
    if name == "slow" and not state.exists():
        state.write_text("epoch 1")
        time.sleep(60)
    found = {"seed": seed, "AUC": 0.5, "low": 0.4, "high": 0.6}
    return [found | {"name": f"{name}_{k}"} for k in "ab"]
"""
NAMES = {"quick": (1, 2), "raises": (1,), "dies": (1,), "slow": (1,), "last": (1,)}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run the command's `main` on the tiny archive; what the jobs are is in STUB."""
    packed(tmp_path / "tiny.zip")
    (tmp_path / "stub.py").write_text(STUB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))

    def run(*arguments, jobs=("quick", "last")):
        homes = ["--home", str(tmp_path), "--work", str(tmp_path / "work")]
        listed = [plan.Job(name, "stub", NAMES[name]) for name in jobs]
        return run_all.main([*arguments, *homes], listed)

    return run


def test_a_failure_stops_no_other(command, tmp_path, capfd):
    source = ["--source", str(tmp_path / "tiny.zip")]
    assert command(*source, jobs=("raises", "dies", "last")) == 1
    said = capfd.readouterr()
    assert said.err.endswith("Failed: raises/1, dies/1.\n") and "by intent" in said.out
    assert set(metrics.load(tmp_path)["records"]) == {"last_a/1", "last_b/1"}
    assert "raises (1)" in (tmp_path / "results.md").read_text()
    assert command(*source, jobs=("last",)) == 0  # nothing is left to do
    ran = (tmp_path / "work" / "ran.txt").read_text().split()[::2]
    assert ran == ["raises/1", "dies/1", "last/1"]


def test_another_archive_is_refused(command, tmp_path, capsys):
    assert command("--source", str(tmp_path / "tiny.zip"), jobs=("quick",)) == 0
    other = packed_again(tmp_path / "other.zip", tmp_path / "tiny.zip")
    before = (tmp_path / "results" / "metrics.json").read_bytes()
    capsys.readouterr()
    assert command("--source", str(other)) == 2
    assert command("--source", str(other), "--only", "last", "--anew") == 2  # it would leave some
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("another archive" in one for one in said)
    assert (tmp_path / "results" / "metrics.json").read_bytes() == before
    assert command("--source", str(other), "--only", "quick", "--anew", "1") == 0
    assert metrics.load(tmp_path)["data"]["fingerprint"] == setting.fingerprint(other)
    assert (tmp_path / "work" / "ran.txt").read_text().count("quick/1") == 2


def packed_again(path, archive):
    """Write an archive with one image less."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist()[1:]:
            new.writestr(member, old.read(member))
    return path


def test_misuse_is_told_in_a_sentence(command, tmp_path, capsys):
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        file.writestr("holiday/1.jpg", b"")
    for arguments, words in (
        (["--source", "nowhere.zip"], "There is no archive nowhere.zip"),
        (["--source", str(tmp_path / "text.zip")], "text.zip is not a whole zip archive"),
        (["--source", str(tmp_path / "photos.zip")], "does not hold the chest X-rays"),
        (["--only", "lats"], "There is no experiment lats: choose among quick, last."),
        (["--only", "last"], "add SOURCE=PATH.zip"),
    ):
        assert command(*arguments) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    assert command() == 0 and "0 records" in capsys.readouterr().out


SCRIPT = """
import importlib.util, sys
sys.path.append({results!r})
import plan

if __name__ == "__main__":
    import run_all
    jobs = [plan.Job("quick", "stub", (1,)), plan.Job("slow", "stub"), plan.Job("last", "stub")]
    sys.exit(run_all.main(sys.argv[1:], jobs))
"""


def test_a_broken_off_run_goes_on(command, tmp_path):
    (tmp_path / "go.py").write_text(SCRIPT.format(results=str(ROOT / "results")))
    given = ["--source", tmp_path / "tiny.zip", "--home", tmp_path, "--work", tmp_path / "work"]
    run = [sys.executable, tmp_path / "go.py", *given]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    states = tmp_path / "work"
    with subprocess.Popen(run, env=env, stdout=subprocess.DEVNULL) as first:
        wait(lambda: list(states.glob("*/state/slow-42.keras")), first)
        first.kill()
    assert set(metrics.load(tmp_path)["records"]) == {"quick_a/1", "quick_b/1"}
    ran = (states / "ran.txt").read_text().split()
    wait(lambda: not runtime.alive(int(ran[-1])))  # what it had started ends with it
    done = subprocess.run(run, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    ran = (states / "ran.txt").read_text().split()[::2]
    assert ran == ["quick/1", "slow/42", "slow/42", "last/42"]
    assert len(metrics.load(tmp_path)["records"]) == 6
    assert not list(states.glob("*/state/*"))  # of no use any more


def wait(for_what, process=None, seconds=90):
    end = time.monotonic() + seconds
    while not for_what():
        assert time.monotonic() < end and (process is None or process.poll() is None)
        time.sleep(0.1)


# -- the experiments, on a few drawn images of 32 pixels


@pytest.fixture
def few(tmp_path):
    parts = splits.course_split(datasets.table("chest_xray"))
    counts = (60, 60, 20)  # 60 held-out normals: enough for an alarm by half of them
    parts = [
        part.groupby("label").head(n).reset_index(drop=True)
        for part, n in zip(parts, counts, strict=True)
    ]
    (tmp_path / "state").mkdir()
    classes = datasets.REGISTRY["chest_xray"].classes
    return setting.Setting(tuple(parts), classes, tmp_path, tmp_path / "state", 32, 1)


SHARES = ("AUC", "low", "high", "accuracy", "sensitivity", "specificity", "false_alarms")
SHARES += ("energy", "chance", "blank", "validation_AUC", "majority", "hidden_accuracy")


def checked(records, names):
    assert [record["name"] for record in records] == list(names)
    for record in records:
        assert all(0 <= record[key] <= 1 for key in SHARES if key in record)
        assert record["low"] <= record["high"] and record["seconds"] > 0 and record["seed"] == 42
        json.dumps({key: metrics._plain(value) for key, value in record.items()})
    return records


def test_baselines(few):
    for name in baselines.WAYS:
        (row,) = checked(baselines.measure(name, 42, few), [name])
        assert row["train_images"] == 120 and row["test_images"] == 40
        if name == "baseline_larger_class":
            assert (row["AUC"], row["accuracy"], row["specificity"]) == (0.5, 0.5, 0)


def test_validation_chooses_the_threshold(few):
    sick = [(part["label"] == few.classes[1]).to_numpy() for part in few.parts]
    row = setting.judged("x", 42, few.parts, few.classes, sick[1] * 1.0, sick[2] * 0.4, size=7)
    assert row["threshold"] == 0.5 and row["AUC"] == 1 and row["size"] == 7
    assert (row["accuracy"], row["sensitivity"], row["specificity"]) == (0.5, 0, 1)


def test_smallnet_and_heat_maps(few):
    with pytest.raises(ValueError, match="needs the network of smallnet_course"):
        heat_maps.measure("gradcam_smallnet_course", 42, few)
    checked(networks.measure("smallnet_course", 42, few), ["smallnet_course"])
    names = ["gradcam_smallnet_course", "hirescam_smallnet_course"]
    rows = checked(heat_maps.measure(names[0], 42, few), names)
    test = few.parts[2]
    assert rows[0]["images"] == test[test["label"] == few.classes[1]]["group"].nunique()
    assert 0.45 < rows[0]["chance"] < 0.55


def test_the_chapters_smallnet(few):
    (row,) = networks.measure("smallnet_printed", 42, few._replace(epochs=3))
    checked([row], ["smallnet_printed"])
    assert row["restored_AUC"] != row["AUC"] and row["epochs"] == 3
    (once,) = networks.measure("smallnet_printed", 43, few)
    assert once["restored_AUC"] == once["AUC"]  # of one epoch the first is the last
    assert networks.prose_network().count_params() == 11_132_033


def test_vgg16(few, monkeypatch):
    monkeypatch.setenv("COURSE_VGG16_WEIGHTS", "none")
    (row,) = checked(networks.measure("vgg16", 42, few), ["vgg16"])
    assert row["weights"] == "none" and (few.models / "vgg16.keras").is_file()


def test_anomalies(few):
    names = [f"anomaly_{kind}" for kind in anomalies.SCORES]
    checked(anomalies.measure("anomaly_scores", 42, few), names)
    kinds = ("autoencoder", "autoencoder_mahalanobis", "autoencoder_two_sided")
    rows = anomalies.measure("anomaly_autoencoder", 42, few)
    checked(rows, [f"anomaly_{kind}" for kind in kinds])
    assert rows[2]["held_out"] < rows[0]["held_out"]


def test_spreading(few):
    train = few.parts[0]
    kept, hidden = spreading.hide(train, 0.2, 42)
    assert len(kept) + len(hidden) == len(train) and not set(kept["group"]) & set(hidden["group"])
    for _, part in train.groupby("label"):
        patients = part["group"].nunique()
        assert part["group"].isin(kept["group"]).groupby(part["group"]).any().sum() == -(
            -patients // 5
        )
    assert not spreading.hide(train, 0.2, 43)[0].equals(kept)
    methods = ("few_labels", "logistic_regression", "spread_labels", "trained_longer")
    rows = spreading.measure("spreading_20", 42, few._replace(epochs=2))
    checked(rows, [f"spreading_{method}_20" for method in methods])
    assert {row["labelled_images"] for row in rows} == {len(kept)}


def test_a_network_goes_on_as_if_never_stopped(few):
    from helpers import checkpoints, training
    from helpers.backend import keras

    def learn(name, *several):
        for epochs in several:
            keras.utils.set_random_seed(1)
            train, check, _ = networks.streams(few, 8, 1, seed=1)
            pixels = keras.Input((8, 8, 1))
            x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
            model = keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))
            training.compiled(model, 2.0)  # too large: the plateau has something to do
            options = {"plateau": True, "best": few.file(name, 1, "-best.keras")}
            spent = networks.learned(model, train, check, epochs, few.file(name, 1), **options)
        return model.get_weights(), float(model.optimizer.learning_rate.numpy()), spent

    whole, parts = learn("whole", 14), learn("parts", 5, 9, 14)
    assert whole[1] == parts[1] < 2
    assert all(np.array_equal(a, b) for a, b in zip(whole[0], parts[0], strict=True))
    assert parts[2] > 0
    losses = checkpoints.history(few.file("whole", 1))["val_loss"]
    rise = next(k for k in range(1, 14) if losses[k] > min(losses[:k]))  # the best came before
    whole, parts = learn("short", rise + 1), learn("halves", rise, rise + 1)
    assert all(np.array_equal(a, b) for a, b in zip(whole[0], parts[0], strict=True))


# -- CompactNet's recipe: what is left out, what is changed


@pytest.fixture(scope="module")
def drawn():
    return datasets.table("chest_xray")


@pytest.mark.parametrize("kind", sorted(shifts.KINDS))
def test_what_is_left_out_is_never_trained_on(drawn, kind):
    train, validation, test = shifts.parts(drawn, kind, 42)
    patients = [set(part["group"]) for part in (train, validation, test)]
    assert not patients[0] & patients[2] and not patients[1] & patients[2]
    assert not patients[0] & patients[1] and all(
        part["label"].nunique() == 2 for part in (train, test)
    )
    names = [[Path(path).name for path in part["path"]] for part in (train, test)]
    if "virus" in kind:
        assert not any("virus" in name for name in names[0])
        assert (
            sum("virus" in name for name in names[1]) == drawn["path"].str.contains("virus").sum()
        )
    if "series" in kind:
        assert not any(name.startswith("IM-") for name in names[0])
        assert any(name.startswith("IM-") for name in names[1])


def test_the_odd_ends_of_file_size(drawn):
    train, _, test = shifts.parts(drawn, "file_size", 42)
    assert 0.14 < len(test) / len(drawn) < 0.16
    size = {id(part): part["path"].map(os.path.getsize) for part in (train, test)}
    for label, smaller in (("NORMAL", test), ("PNEUMONIA", train)):
        larger = train if smaller is test else test
        low, high = (size[id(part)][part["label"] == label] for part in (smaller, larger))
        assert low.max() <= high.min()


def test_the_recipe(few):
    (row,) = checked(recipe.measure("compactnet", 42, few), ["compactnet"])
    assert (few.models / "compactnet.keras").is_file() and row["parameters"] < 500_000
    names = ["leave_out_series_8x8", "leave_out_series"]
    rows = checked_names(recipe.measure("leave_out_series", 42, few), names)
    assert rows[0]["test_images"] == rows[1]["test_images"] > 0
    assert set(recipe.VARIANTS) == set(lists.VARIANTS)
    for variant in ("first", "averaged"):
        name = f"ablation_{variant}_file_size"
        (row,) = checked(recipe.measure(name, 42, few), [name])
        assert (row["variant"], row["kind"], row["epochs"], row["size"]) == (
            variant,
            "file_size",
            1,
            32,
        )


def checked_names(records, names):
    assert [record["name"] for record in records] == names
    return records


def test_a_half_is_where_both_classes_are_equally_likely(few):
    sick = [(part["label"] == few.classes[1]).to_numpy() for part in few.parts[1:]]
    rng = np.random.default_rng(0)
    # answers far below a half, as of a network that learned from disturbed images only
    odds = [rng.normal(np.where(truth, -2.0, -6.0), 0.5) for truth in sick]
    scores = [1 / (1 + np.exp(-value)) for value in odds]
    found = recipe.at_half(few.parts, few.classes, *scores)
    assert found == {"half_accuracy": 1.0, "half_sensitivity": 1.0, "half_specificity": 1.0}
    assert all(value < 0.5 for value in scores[1])


def test_the_recipes_sections():
    text = page.text(MADE_UP | {"records": RECIPE})
    eight = line(text, "the odd ends of file size | logistic regression on 8x8 pixels")
    assert eight[2:7] == ["4,000", "780", "1", "0.777", "-"]
    ours = line(text, "the odd ends of file size | CompactNet")
    assert ours[4:7] == ["2", "0.910", "0.900 to 0.920"]
    first = line(text, "128 pixels, rotated and shifted")
    assert first[1:] == ["128", "16", "0.900", "0.800", "0.987", "0.800"]
    assert "15% of each" in text


def test_no_script_hides_another():
    names = [
        {path.stem for path in (ROOT / d).glob("*.py")} for d in ("results", "benchmarks", "tools")
    ]
    assert names[0] & names[1] == {"run_all"} and not names[0] & names[2]
