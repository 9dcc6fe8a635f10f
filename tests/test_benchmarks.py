"""The report of the benchmarks says what results.json holds, and no more."""

import json
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

HOME = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.append(str(HOME))  # its scripts are no package; last, so that they hide nothing

import aims  # noqa: E402
import charts  # noqa: E402
import report  # noqa: E402
import results  # noqa: E402
import run_all  # noqa: E402

ENTRY = {"unit": "images/s", "n": 10000, "cores": 2}
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
    "machine": {"processor": "Abacus 2", "cores": 2, "system": "Linux", "python": "3.12.1"},
}


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
    assert "2 cores of Abacus 2 (Linux), with Python 3.12.1." in page
    missing = re.search(r"Missing, .*: (.*)\.", page)[1].split(", ")
    assert set(missing) == {row.name for row in aims.ROWS} - set(MADE_UP)
    assert "another machine" not in page
    elsewhere = MADE_UP | {"new.thing": MADE_UP["new.thing"] | {"cores": 16}}
    assert "On another machine, with 16 cores: new.thing." in report.text(elsewhere)


def test_a_page_of_nothing():
    page = report.text({})
    assert "an unknown number of cores" in page and "![" not in page
    assert page.count("| missing |") >= len(aims.ROWS)


def test_timings_replace_old_ones():
    page = f"Before.\n\n{report.MARK}\n\nAfter.\n"
    entries = {"course.sample": {"02_b": 3.6, "01_a": 17.2, "ours": 20.8, "cores": 4}}
    once = report.with_timings(page, entries)
    assert "| [01](../notebooks/01_a.ipynb) | 17 |\n| [02]" in once and "| all | 21 |" in once
    assert once.startswith("Before.") and once.endswith("|\n\nAfter.\n") and "4 cores" in once
    assert report.with_timings(once, entries) == once
    faster = {"course.sample": {"01_a": 9.0, "ours": 9.0, "cores": 4}}
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
    bars = {bar.name: bar for bar in charts.speeds(MADE_UP)}
    assert bars["tables.chest_xray"][1:] == (0.25, None, 1 / 3, False)
    assert bars["training_speed.vgg16_head"].ends == (20, 50)
    assert charts.growths(MADE_UP) == [
        ("anomaly_scores.lean_autoencoder, ours, 1,000 to 10,000", True, 58.9, 64.2)
    ]
    charts.draw_speeds(list(bars.values()), tmp_path / "ratios.png")
    charts.draw_growths(charts.growths(MADE_UP), tmp_path / "memory.png")
    plt.close("all")
    assert all(path.stat().st_size < 150_000 for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 2


def test_nobody_typed_a_number():
    page = (HOME / "README.md").read_text("utf-8")
    said = "benchmarks/README.md is not what results.json says: run python benchmarks/report.py."
    assert page == report.text(json.loads((HOME / "results.json").read_text("utf-8"))), said
    lessons = (HOME.parent / "docs/instructors.md").read_text("utf-8")
    assert lessons == report.with_timings(lessons, results.load()) and "| all |" in lessons
    for alt, name in re.findall(r"!\[(.*)\]\((.*)\)", page):
        assert len(alt) > 40 and (HOME / name).stat().st_size < 150_000


def test_keep(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FILE", tmp_path / "results.json")
    assert results.keep("a.b", 3.0, 2.0, "s", 7)["ratio"] == 1.5
    assert results.keep("a.alone", 3.14159, None, "s", 7, runs=2)["ratio"] is None
    results.keep_machine()
    kept = results.load()
    assert set(kept) == {"a.b", "a.alone", "machine"} and kept["a.alone"]["ours"] == 3.142
    assert kept["a.b"]["cores"] == kept["machine"]["cores"] and kept["machine"]["keras"]


def test_one_failure_stops_no_other(tmp_path, capfd):
    for name, code in {"a": "print('A')", "b": "exit(3)", "report": "print('R')"}.items():
        (tmp_path / f"{name}.py").write_text(code)
    plan = [("b", []), ("gone", []), ("a", [])]
    assert run_all.run(plan, tmp_path) == ["b", "gone"]
    said = capfd.readouterr().out.splitlines()
    assert said.index("A") < said.index("R") and any(s.startswith("== b FAILED") for s in said)


def test_what_is_run(capsys):
    assert [name for name, _ in run_all.chosen("auto", "")] == list(run_all.NAMES)
    plan = run_all.chosen("real.zip", "")
    assert plan[-1][0] == run_all.REAL[-1] and plan[-1][1] == [str(Path("real.zip").resolve())]
    assert run_all.chosen("", "imports tables") == [("tables", []), ("imports", [])]
    assert run_all.main(["--only", "tabels"]) == run_all.main(["--only", "real_chest"]) == 2
    assert "choose among tables" in capsys.readouterr().err
