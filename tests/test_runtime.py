"""The ground floor: light imports, checks that can fail, sources that are understood."""

import json
import subprocess
import sys

import pytest

from helpers import claims, runtime


def test_lessons_1_and_2_start_without_tensorflow():
    code = (
        "import sys, helpers\n"
        "from helpers import datasets, download, evaluation, plots, runtime, splits\n"
        "print(sorted({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_tensorflow_loads_without_a_word():
    code = "from helpers import models; print(models.keras.backend.backend())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("tensorflow", "")


def test_expect_prints_and_records(capsys, tmp_path, monkeypatch):
    file = tmp_path / "metrics.jsonl"
    monkeypatch.setenv("COURSE_METRICS", str(file))
    claims.expect("net.auc", 0.9312, at_least=0.9)
    claims.expect("net.images", 1234, equals=1234)
    claims.expect("net.gap", -0.5, at_least=-1, at_most=0)
    claims.record("net.seconds", 12.5)
    assert capsys.readouterr().out.splitlines() == [
        "net.auc = 0.931 (at least 0.9)",
        "net.images = 1,234 (exactly 1,234)",
        "net.gap = -0.5 (at least -1 and at most 0)",
        "net.seconds = 12.5 (recorded)",
    ]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0] == {"net.auc": 0.9312}
    assert len(lines) == 4


@pytest.mark.parametrize(
    "value, bounds", [(0.89, {"at_least": 0.9}), (2, {"at_most": 1}), (3, {"equals": 4})]
)
def test_expect_stops_a_lesson(value, bounds, capsys):
    with pytest.raises(AssertionError, match="net.figure is .* but the lesson expects"):
        claims.expect("net.figure", value, **bounds)
    with pytest.raises(AssertionError):
        claims.expect("net.figure", float("nan"), **bounds)


def test_expect_needs_a_bound():
    with pytest.raises(TypeError, match="needs at_least"):
        claims.expect("net.auc", 0.9)


def test_expect_asks_for_what_a_student_has_yet_to_compute(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_METRICS", str(tmp_path / "metrics.jsonl"))
    monkeypatch.setattr(claims, "_RECORDED", {})
    claims.expect("exercise.share", ..., at_least=0.15, at_most=0.4)
    claims.expect("exercise.count", ..., equals=0)
    assert capsys.readouterr().out.splitlines() == [
        "exercise.share: your turn (at least 0.15 and at most 0.4)",
        "exercise.count: your turn (exactly 0)",
    ]
    assert claims.recorded() == {} and not (tmp_path / "metrics.jsonl").exists()
    with pytest.raises(TypeError, match="needs at_least"):
        claims.expect("exercise.count", ...)


def test_source(monkeypatch, tmp_path):
    archive = tmp_path / "a.zip"
    archive.touch()
    for wanted in ("auto", "sample", "kaggle", str(archive)):
        monkeypatch.setenv("COURSE_SOURCE", wanted)
        assert runtime.source() == wanted
    for wrong in ("smaple", str(tmp_path / "missing.zip"), str(tmp_path)):
        monkeypatch.setenv("COURSE_SOURCE", wrong)
        with pytest.raises(ValueError, match="use auto, sample, kaggle, or the path"):
            runtime.source()
    monkeypatch.setenv("COURSE_SOURCE", "")
    assert runtime.source() == "auto"


def test_setup_prints_one_line(capsys, monkeypatch):
    monkeypatch.setattr(runtime, "gpu", lambda: None)
    runtime.setup()
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "GPU: none" in out and "images: sample" in out


def test_setup_in_colab_says_what_a_gpu_would_change(capsys, monkeypatch):
    monkeypatch.setattr(runtime, "in_colab", lambda: True)
    for found, lines in ((None, 2), ("NVIDIA", 1)):
        monkeypatch.setattr(runtime, "gpu", lambda found=found: found)
        runtime.setup()
        out = capsys.readouterr().out
        assert out.startswith("Running on Colab") and out.count("\n") == lines
        assert ("T4 GPU" in out) == (found is None)


def test_a_gpu_is_known_by_its_driver(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runtime.gpu() is None
    program = tmp_path / "nvidia-smi"
    program.touch(mode=0o755)
    for says, found in (
        ("echo 'GPU 0: Tesla T4 (UUID: GPU-1)'", "NVIDIA"),
        (
            "echo 'NVIDIA-SMI has failed because it cannot communicate with the driver.'; exit 9",
            None,
        ),
        ("echo 'No devices found.'", None),
    ):
        program.write_text(f"#!/bin/sh\n{says}\n")
        assert runtime.gpu() == found


def test_quiet_lets_nothing_of_a_library_through_but_errors(capfd):
    import os

    with pytest.raises(KeyError), runtime.quiet():
        os.write(2, b"a C++ library's word")
        raise KeyError("kept")
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def test_numbers_of_numpy_are_recorded_as_plain_ones(capsys, monkeypatch):
    import numpy as np

    monkeypatch.setattr(claims, "_RECORDED", {})
    claims.record("a.seconds", np.float32(0.5))
    claims.expect("b.count", np.int64(12_345), at_least=1)
    assert claims.recorded() == {"a.seconds": 0.5, "b.count": 12_345}
    assert claims.recorded("b.") == {"b.count": 12_345}
    assert capsys.readouterr().out == (
        "a.seconds = 0.5 (recorded)\nb.count = 12,345 (at least 1)\n"
    )
