"""The report of the benchmarks says what records.json holds, and no more."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from experiments import records
from experiments.speed import __main__ as command
from experiments.speed import aims, harness, report

HOME = Path(report.__file__).resolve().parent
AROUND = {
    "seed": None,
    "repeats": 3,
    "commit": None,
    "date": None,
    "machine": {"processor": "Abacus 2", "cores": 2, "system": "Linux"},
    "versions": {"python": "3.12.1"},
}
ENTRY = {"unit": "images/s", "n": 10000} | AROUND
MADE_UP = {
    "batches.later_epochs": ENTRY
    | {"ours": 1234.5, "other": 100.0, "ratio": 12.345, "ratio_low": 11.1, "ratio_high": 13.3},
    "anomaly_scores.lean_autoencoder": ENTRY
    | {"ours": 200.0, "other": 100.0, "ratio": 2.0, "ours_peak_mb": 805.4, "other_peak_mb": 4156}
    | {"ours_growth_mb": 64.2, "ours_growth_mb_at_1000": 58.9, "other_growth_mb": 3415.0},
    "training_speed.vgg16_head": ENTRY
    | {"unit": "s", "ours": 2.0, "other": 50.0, "ratio": 0.04, "ratio_low": 0.02}
    | {"ratio_high": 0.05},
    "tables.chest_xray": ENTRY | {"unit": "s", "ours": 0.4, "other": 0.1, "ratio": 4.0},
    "phantoms.all": ENTRY | {"unit": "s", "ours": 61.0, "other": None, "ratio": None},
    "imports.helpers": ENTRY | {"unit": "s", "ours": 0.1, "other": 3.0, "ratio": 1 / 30},
    "new.thing": ENTRY | {"ours": 77.0, "other": 7.0, "ratio": 11.0},
}
MADE_UP = {name: record | {"name": name} for name, record in MADE_UP.items()}


def line(page, name):
    """Return the cells of a row: what, beside, n, ours, other, ratio, form, aim, met, peaks."""
    (found,) = [row for row in page.splitlines() if row.startswith(f"| [{name}]")]
    return [cell.strip() for cell in found.strip("|").split(" | ")]


@pytest.mark.parametrize(
    "name, words",
    [
        ("batches.later_epochs", ("1,234 images/s", "100 images/s", "12.3 (11.1 to 13.3)", "yes")),
        ("anomaly_scores.lean_autoencoder", ("200 images/s", "100 images/s", "2", "**no**")),
        ("training_speed.vgg16_head", ("2 s", "50 s", "25 (20 to 50)", "yes")),
        ("tables.chest_xray", ("0.4 s", "0.1 s", "4", "**no**")),
        ("phantoms.all", ("61 s", "-", "-", "**no**")),
        ("imports.helpers", ("0.1 s", "3 s", "30", "yes")),
        ("course.sample", ("missing", "-", "-", "missing")),
        ("grad_cam.vgg16_one_by_one", ("missing", "missing", "-", "missing")),
    ],
)
def test_rows(name, words):
    found = line(report.text(MADE_UP), name)
    assert (found[3], found[4], found[5], found[8]) == words


def test_page():
    page = report.text(MADE_UP)
    assert line(page, "anomaly_scores.lean_autoencoder")[9] == "805 / 4,156"
    assert line(page, "new.thing")[3] == "77 images/s"
    assert "2 cores of Abacus 2 (Linux), with Python 3.12.1; date and commit were not kept." in page
    missing = re.search(r"Missing, .*: (.*)\.", page)[1].split(", ")
    assert set(missing) == {row.name for row in aims.ROWS} - set(MADE_UP)
    assert page.count("cores of") == 1
    there = AROUND["machine"] | {"cores": 16}
    new = MADE_UP["new.thing"] | {"machine": there, "date": "2026-01-02", "commit": "abc"}
    page = report.text(MADE_UP | {"new.thing": new})
    said = "On 16 cores of Abacus 2 (Linux), with Python 3.12.1; 2026-01-02, commit abc: new.thing."
    assert said in page


def test_a_single_run_has_no_range():
    once = {name: record | {"repeats": 1} for name, record in MADE_UP.items()}
    assert line(report.text(once), "batches.later_epochs")[5] == "12.3"
    assert all(bar.ends is None for bar in report.speeds(once))


def test_a_page_of_nothing():
    page = report.text({})
    assert "Measured on" not in page and "![" not in page
    assert page.count("| missing |") >= len(aims.ROWS)


def test_timings_replace_old_ones():
    mark = "<!-- timings: written here -->"
    page = f"Before.\n\n{mark}\n\nAfter.\n"
    there = AROUND | {"machine": {"cores": 4}}
    entries = {"course.sample": there | {"02_b": 3.6, "01_a": 17.2, "ours": 20.8}}
    once = report.with_timings(page, entries)
    assert "| [01](../notebooks/01_a.ipynb) | 17 |\n| [02]" in once and "| all | 21 |" in once
    assert once.startswith("Before.") and once.endswith("|\n\nAfter.\n") and "4 cores" in once
    assert report.with_timings(once, entries) == once
    faster = {"course.sample": there | {"01_a": 9.0, "ours": 9.0}}
    assert "| [02]" not in report.with_timings(once, faster)


def test_aims_of_several_parts():
    row = {row.name: row for row in aims.ROWS}["real_chest.compactnet_against_smallnet"]
    better = {"ours": 0.9, "other": 0.8, "ratio": 1.125, "ours_seconds": 9, "other_seconds": 20}
    assert aims.met(row, better) is None
    assert aims.met(row, better | {"ours_parameters": 90_000}) is True
    assert aims.met(row, better | {"ours_parameters": 900_000}) is False
    row = {row.name: row for row in aims.ROWS}["label_spreading.knn_against_rbf"]
    entry = {"ratio": 0.1, "rbf_at_100000": "not run", "rbf_seconds_at_1000": 1}
    assert aims.met(row, entry) is False
    assert aims.met(row, entry | {"knn_seconds_at_100000": 4}) is True
    assert aims.met(row, {"ratio": 0.1}) is None


def test_figures(tmp_path):
    bars = {bar.name: bar for bar in report.speeds(MADE_UP)}
    assert bars["tables.chest_xray"][1:] == (0.25, None, 1 / 3, False)
    assert bars["training_speed.vgg16_head"].ends == (20, 50)
    assert report.growths(MADE_UP) == [
        ("anomaly_scores.lean_autoencoder, ours, 1,000 to 10,000", True, 58.9, 64.2)
    ]
    report.draw_speeds(list(bars.values()), tmp_path / "ratios.png")
    report.draw_growths(report.growths(MADE_UP), tmp_path / "memory.png")
    plt.close("all")
    assert all(path.stat().st_size < 150_000 for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 2


def test_nobody_typed_a_number():
    page, kept = (HOME / "README.md").read_text("utf-8"), records.load()["speed"]
    said = "experiments/speed/README.md is not what records.json says: run python -m experiments."
    assert page == report.text(kept), said
    lessons = report.INSTRUCTORS.read_text("utf-8")
    assert lessons == report.with_timings(lessons, kept) and "| all |" in lessons
    for alt, name in re.findall(r"!\[(.*)\]\((.*)\)", page):
        assert len(alt) > 40 and (HOME / name).stat().st_size < 150_000


def test_keep(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "FILE", tmp_path / "records.json")
    monkeypatch.setattr(records, "commit", lambda: "abc+")
    assert harness.keep("a.b", 3.0, 2.0, "s", 7)["ratio"] == 1.5
    assert harness.keep("a.alone", 3.14159, None, "s", 7, repeats=2)["ratio"] is None
    runs = {"ours": [{"s": 2.0, "mb": 1}], "other": [{"s": 8.0, "mb": 3}]}
    harness.compare("a.once", runs, "s", "s", 7, more=("mb",))
    harness.compare("a.twice", {way: 2 * done for way, done in runs.items()}, "s", "s", 7)
    kept = records.load()["speed"]
    assert set(kept) == {"a.b", "a.alone", "a.once", "a.twice"} and kept["a.alone"]["ours"] == 3.142
    assert kept["a.b"]["machine"]["cores"] and kept["a.b"]["versions"]["keras"]
    assert kept["a.b"]["commit"] == "abc+" and re.fullmatch(r"\d{4}-\d\d-\d\d", kept["a.b"]["date"])
    assert kept["a.once"]["other_mb"] == 3 and "ratio_low" not in kept["a.once"]
    assert (kept["a.twice"]["ratio_low"], kept["a.twice"]["repeats"]) == (0.25, 2)


def test_a_record_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "records.json"
    records.keep("speed", [{"name": "a.b", "ours": 1}], file)
    before = file.read_bytes()
    with pytest.raises(TypeError):
        records.keep("speed", [{"name": "a.c", "ours": object()}], file)
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == [file.name]


def test_one_kind_of_record():
    kept = records.load()
    # names of jobs and records stay, so that nothing that was measured counts as missing
    assert len(kept["speed"]) >= 29 and set(kept["speed"]) <= {row.name for row in aims.ROWS}
    assert len(kept["accuracy"]) >= 55
    for part in ("speed", "accuracy"):
        for key, record in kept[part].items():
            assert key == records.key_of(record) and record["repeats"] >= 1
            assert {"commit", "date"} <= set(record)
            assert {"processor", "cores", "system"} <= set(record["machine"])
            assert {"python", "keras"} <= set(record["versions"])


def test_one_failure_stops_no_other(tmp_path, monkeypatch, capfd):
    (tmp_path / "made_up").mkdir()
    for name, code in {"a": "print('A')", "b": "exit(3)", "report": "print('R')"}.items():
        (tmp_path / "made_up" / f"{name}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    plan = [("b", []), ("gone", []), ("a", [])]
    assert command.run(plan, "made_up") == ["b", "gone"]
    said = capfd.readouterr().out.splitlines()
    assert said.index("A") < said.index("R") and any(s.startswith("== b FAILED") for s in said)


def test_what_is_run(capsys):
    assert [name for name, _ in command.chosen("auto", "")] == list(command.NAMES)
    plan = command.chosen("real.zip", "")
    assert plan[-1][0] == command.REAL[-1] and plan[-1][1] == [str(Path("real.zip").resolve())]
    assert command.chosen("", "imports tables") == [("tables", []), ("imports", [])]
    assert command.main(["--only", "tabels"]) == command.main(["--only", "real_chest"]) == 2
    assert "choose among tables" in capsys.readouterr().err
    for name in (*command.NAMES, *command.REAL):
        assert (HOME / f"{name}.py").is_file(), name
