"""The page of results says what records.json holds, no more; a broken-off run goes on."""

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

from experiments import records
from experiments.accuracy import __main__ as command_line
from experiments.accuracy import (
    anomalies,
    classifiers,
    heat_maps,
    plan,
    report,
    setting,
    spreading,
)
from helpers import datasets, files, splits

ROOT = Path(__file__).resolve().parent.parent
MACHINE = {"processor": "Abacus 2", "cores": 2, "system": "Linux"}
JUDGED = {"AUC": 0.9, "low": 0.85, "high": 0.94, "accuracy": 0.8, "sensitivity": 0.7}
JUDGED |= {"specificity": 0.6, "seconds": 12.3}
SPREAD = JUDGED | {"percent": 5, "labelled_images": 190, "majority": 0.74, "name": "x"}


def keyed(*found):
    around = {"machine": MACHINE, "versions": {"python": "3.12.1", "keras": "3.99.1"}}
    around |= {"commit": None, "date": None, "repeats": 1}
    return {f"{record['name']}/{record['seed']}": around | record for record in found}


MADE_UP = {
    "archive": {
        "fingerprint": "abc",
        "full": False,
        "official_test": False,
        "images": {"test NORMAL": 20, "train NORMAL": 1080},
        "patients": 900,
        "parts": {"test": {"images": 20, "sick": 7, "patients": 19}},
    },
    "accuracy": keyed(
        JUDGED | {"name": "baseline_8x8", "seed": 42, "parameters": 65, "job": "baseline_8x8/42"},
        JUDGED | {"name": "vgg16", "seed": 42, "parameters": 14782529, "weights": "none"},
        JUDGED | {"name": "vgg16", "seed": 43, "AUC": 0.8, "weights": "none", "seconds": 14.3},
        JUDGED | {"name": "new_thing", "seed": 42, "AUC": 0.777, "low": 0.7},
        JUDGED
        | {"name": "smallnet_printed", "seed": 42, "score_deviation": 0.0, "restored_AUC": 0.612},
        {"name": "gradcam_vgg16", "seed": 42, "network": "vgg16", "method": "gradcam"}
        | {"images": 200, "energy": 0.431, "low": 0.4, "high": 0.5, "energy_lit": None}
        | {"chance": 0.494, "blank": 0.25, "seconds": 3.0, "machine": MACHINE | {"cores": 16}},
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
    text = report.text(MADE_UP)
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
    text = report.text(MADE_UP)
    assert "1,100 images of 900 patients" in text and "NOT the official test folder" in text
    versions, unknown = "Python 3.12.1, Keras 3.99.1", "date and commit were not kept"
    assert f"Measured on 2 cores of Abacus 2 (Linux), with {versions}; {unknown}." in text
    assert f"On 16 cores of Abacus 2 (Linux), with {versions}; {unknown}: gradcam_vgg16." in text
    assert text.count("an untrained base: no ImageNet weights were at hand") == 1
    assert "seed 42, got stuck" in text and "with AUC 0.612 in place of 0.900" in text
    missing = re.search(r"Missing.*: (.*)\.\n", text)[1]
    assert "baseline_8x8" not in missing and "smallnet_course (42)" in missing
    full = report.text(
        MADE_UP | {"archive": MADE_UP["archive"] | {"full": True, "official_test": True}}
    )
    assert "This is a smaller copy" not in full and "the official one" in full
    pictured = re.findall(r"!\[(.*)\]\(results/(.*)\.png\)", text)
    assert [name for _, name in pictured] == ["classifiers", "anomalies", "spreading"]
    assert "new_thing 0.777" in pictured[0][0] and all(len(alt) > 40 for alt, _ in pictured)


def test_a_page_of_nothing():
    text = report.text({"archive": {}, "accuracy": {}})
    assert "![" not in text and text.count("Nothing of this has been measured yet.") == 6
    typed = text.split("## Published figures")[1]
    assert ".964" not in typed and typed.count("official test |") == 7


def test_nobody_typed_a_number():
    said = "docs/results.md is not what records.json says: run make results."
    text = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert text == report.text(records.load()), said
    named = re.findall(r"!\[.*\]\((.*)\)", text)
    drawn = {f"results/{path.name}" for path in (ROOT / "docs" / "results").glob("*.png")}
    assert set(named) == drawn
    assert all((ROOT / "docs" / name).stat().st_size < 100_000 for name in named)


def test_pictures(tmp_path):
    report.draw(MADE_UP["accuracy"] | RECIPE, tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(report.FIGURES)
    assert all(path.stat().st_size < 100_000 for path in tmp_path.iterdir())
    report.draw({}, tmp_path)
    assert not list(tmp_path.iterdir()) and not plt.get_fignums()


def test_keep(tmp_path):
    file = tmp_path / "records.json"
    rows = [{"name": "a", "seed": 1, "job": "a/1", "AUC": np.float64(0.123456)}]
    records.keep("accuracy", rows, file)
    records.keep("accuracy", [{"name": "a", "seed": 2, "job": "a/2", "AUC": float("nan")}], file)
    kept = records.load(file)["accuracy"]
    assert kept["a/1"]["AUC"] == 0.1235 and kept["a/2"]["AUC"] is None
    assert kept["a/1"]["versions"]["scikit-learn"] and kept["a/1"]["machine"]["cores"]
    assert kept["a/1"]["date"] and kept["a/1"]["repeats"] == 1 and "commit" in kept["a/1"]


def test_names_stay():
    """What was measured under a name would else count as missing."""
    rows, jobs = records.load()["accuracy"].values(), {job.name: job for job in plan.PLAN}
    assert len(jobs) == 33 and sum(len(job.seeds) for job in jobs.values()) == 53
    for row in rows:
        name, seed = row["job"].split("/")
        assert int(seed) in jobs[name].seeds and row["seed"] == int(seed)
    assert len({row["job"] for row in rows}) >= 33 and len({row["name"] for row in rows}) >= 53
    known = {row["name"] for row in rows if row["name"].startswith("ablation_")}
    assert known == {f"ablation_{one}_{kind}" for one in plan.VARIANTS for kind in plan.HARD}


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
        homes += ["--records", str(tmp_path / "records.json")]
        listed = [plan.Job(name, "stub", NAMES[name]) for name in jobs]
        return command_line.main([*arguments, *homes], listed)

    return run


def test_a_failure_stops_no_other(command, tmp_path, capfd):
    source = ["--source", str(tmp_path / "tiny.zip")]
    assert command(*source, jobs=("raises", "dies", "last")) == 1
    said = capfd.readouterr()
    assert said.err.endswith("Failed: raises/1, dies/1.\n") and "by intent" in said.out
    assert set(records.load(tmp_path / "records.json")["accuracy"]) == {"last_a/1", "last_b/1"}
    assert "raises (1)" in (tmp_path / "results.md").read_text()
    assert command(*source, jobs=("last",)) == 0  # nothing is left to do
    ran = (tmp_path / "work" / "ran.txt").read_text().split()[::2]
    assert ran == ["raises/1", "dies/1", "last/1"]


def test_another_archive_is_refused(command, tmp_path, capsys):
    assert command("--source", str(tmp_path / "tiny.zip"), jobs=("quick",)) == 0
    other = packed_again(tmp_path / "other.zip", tmp_path / "tiny.zip")
    before = (tmp_path / "records.json").read_bytes()
    capsys.readouterr()
    assert command("--source", str(other)) == 2
    assert command("--source", str(other), "--only", "last", "--anew") == 2  # it would leave some
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("another archive" in one for one in said)
    assert (tmp_path / "records.json").read_bytes() == before
    assert command("--source", str(other), "--only", "quick", "--anew", "1") == 0
    kept = records.load(tmp_path / "records.json")["archive"]
    assert kept["fingerprint"] == datasets.fingerprint(other)
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
import sys

from experiments.accuracy import __main__ as command_line
from experiments.accuracy.plan import Job

if __name__ == "__main__":
    jobs = [Job("quick", "stub", (1,)), Job("slow", "stub"), Job("last", "stub")]
    sys.exit(command_line.main(sys.argv[1:], jobs))
"""


def test_a_broken_off_run_goes_on(command, tmp_path):
    (tmp_path / "go.py").write_text(SCRIPT)
    given = ["--source", tmp_path / "tiny.zip", "--home", tmp_path, "--work", tmp_path / "work"]
    given += ["--records", tmp_path / "records.json"]
    run = [sys.executable, tmp_path / "go.py", *given]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    states = tmp_path / "work"
    with subprocess.Popen(run, env=env, stdout=subprocess.DEVNULL) as first:
        wait(lambda: list(states.glob("*/state/slow-42.keras")), first)
        first.kill()
    assert set(records.load(tmp_path / "records.json")["accuracy"]) == {"quick_a/1", "quick_b/1"}
    ran = (states / "ran.txt").read_text().split()
    wait(lambda: not files.alive(int(ran[-1])))  # what it had started ends with it
    done = subprocess.run(run, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    ran = (states / "ran.txt").read_text().split()[::2]
    assert ran == ["quick/1", "slow/42", "slow/42", "last/42"]
    assert len(records.load(tmp_path / "records.json")["accuracy"]) == 6
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


def checked(found, names):
    # all four are computed together; 8x8 pixels also stand beside the leave-out tests
    baselines = {*classifiers.LEARNED, *(name for name in names if name.endswith("_8x8"))}
    assert [record["name"] for record in found] == list(names)
    for record in found:
        assert all(0 <= record[key] <= 1 for key in SHARES if key in record)
        assert record["low"] <= record["high"] and record["seed"] == 42
        assert record["name"] in baselines or record["seconds"] > 0
        json.dumps({key: records.plain(value) for key, value in record.items()})
    return found


def test_baselines(few):
    for name in classifiers.LEARNED:
        (row,) = checked(classifiers.measure(name, 42, few), [name])
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
    checked(classifiers.measure("smallnet_course", 42, few), ["smallnet_course"])
    names = ["gradcam_smallnet_course", "hirescam_smallnet_course"]
    rows = checked(heat_maps.measure(names[0], 42, few), names)
    test = few.parts[2]
    assert rows[0]["images"] == test[test["label"] == few.classes[1]]["group"].nunique()
    assert 0.45 < rows[0]["chance"] < 0.55


def test_the_chapters_smallnet(few):
    (row,) = classifiers.measure("smallnet_printed", 42, few._replace(epochs=3))
    checked([row], ["smallnet_printed"])
    assert row["restored_AUC"] != row["AUC"] and row["epochs"] == 3
    (once,) = classifiers.measure("smallnet_printed", 43, few)
    assert once["restored_AUC"] == once["AUC"]  # of one epoch the first is the last
    assert classifiers.prose_network().count_params() == 11_132_033


def test_vgg16(few, monkeypatch):
    monkeypatch.setenv("COURSE_VGG16_WEIGHTS", "none")
    (row,) = checked(classifiers.measure("vgg16", 42, few), ["vgg16"])
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


def test_the_chapters_network_goes_on_as_if_never_stopped(few):
    from helpers import checkpoints, training
    from helpers.backend import keras

    def learn(name, *several):
        for epochs in several:
            keras.utils.set_random_seed(1)
            pixels = keras.Input((8, 8, 3))
            x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
            model = keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))
            training.compiled(model, 2.0)  # too large: the plateau has something to do
            files = {"file": few.file(name, 1), "first": few.file(name, 1, "-first.keras")}
            _, found = classifiers.timed(
                classifiers.fit_chapter, model, few, epochs, seed=1, **files
            )
        first = checkpoints.load(files["first"]).get_weights()
        return model.get_weights(), float(model.optimizer.learning_rate.numpy()), found, first

    whole, parts = learn("whole", 14), learn("parts", 5, 9, 14)
    assert whole[1] == parts[1] < 2
    assert whole[2]["epochs"] == parts[2]["epochs"] == 14 and parts[2]["seconds"] > 0
    for which in (0, 3):
        pairs = zip(whole[which], parts[which], strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert not np.array_equal(whole[0][0], whole[3][0])


# -- CompactNet's recipe: what is left out, what is changed


@pytest.fixture(scope="module")
def drawn():
    return datasets.table("chest_xray")


@pytest.mark.parametrize("kind", sorted(setting.KINDS))
def test_what_is_left_out_is_never_trained_on(drawn, kind):
    train, validation, test = setting.left_out(drawn, kind, 42)
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
    train, _, test = setting.left_out(drawn, "file_size", 42)
    assert 0.14 < len(test) / len(drawn) < 0.16
    size = {id(part): part["path"].map(os.path.getsize) for part in (train, test)}
    for label, smaller in (("NORMAL", test), ("PNEUMONIA", train)):
        larger = train if smaller is test else test
        low, high = (size[id(part)][part["label"] == label] for part in (smaller, larger))
        assert low.max() <= high.min()


def test_the_recipe(few):
    (row,) = checked(classifiers.measure("compactnet", 42, few), ["compactnet"])
    assert (few.models / "compactnet.keras").is_file() and row["parameters"] < 500_000
    names = ["leave_out_series_8x8", "leave_out_series"]
    rows = checked_names(classifiers.measure("leave_out_series", 42, few), names)
    assert rows[0]["test_images"] == rows[1]["test_images"] > 0
    assert set(classifiers.VARIANTS) == set(plan.VARIANTS)
    for variant in ("first", "averaged"):
        name = f"ablation_{variant}_file_size"
        (row,) = checked(classifiers.measure(name, 42, few), [name])
        assert (row["variant"], row["kind"], row["epochs"], row["size"]) == (
            variant,
            "file_size",
            1,
            32,
        )


def checked_names(found, names):
    assert [record["name"] for record in found] == names
    return found


def test_a_half_is_where_both_classes_are_equally_likely(few):
    sick = [(part["label"] == few.classes[1]).to_numpy() for part in few.parts[1:]]
    rng = np.random.default_rng(0)
    # answers far below a half, as of a network that learned from disturbed images only
    odds = [rng.normal(np.where(truth, -2.0, -6.0), 0.5) for truth in sick]
    scores = [1 / (1 + np.exp(-value)) for value in odds]
    found = classifiers.at_half(few.parts, few.classes, *scores)
    assert found == {"half_accuracy": 1.0, "half_sensitivity": 1.0, "half_specificity": 1.0}
    assert all(value < 0.5 for value in scores[1])


def test_the_recipes_sections():
    text = report.text(MADE_UP | {"accuracy": RECIPE})
    eight = line(text, "the odd ends of file size | logistic regression on 8x8 pixels")
    assert eight[2:7] == ["4,000", "780", "1", "0.777", "-"]
    ours = line(text, "the odd ends of file size | CompactNet")
    assert ours[4:7] == ["2", "0.910", "0.900 to 0.920"]
    first = line(text, "128 pixels, rotated and shifted")
    assert first[1:] == ["128", "16", "0.900", "0.800", "0.987", "0.800"]
    assert "15% of each" in text


def test_each_job_names_a_script_that_measures():
    scripts = {anomalies.__name__, classifiers.__name__, heat_maps.__name__, spreading.__name__}
    assert {job.script for job in plan.PLAN} == scripts
    for job in plan.PLAN:
        if job.script == classifiers.__name__:
            assert any(job.name.startswith(start) for start in classifiers.WAYS), job.name
