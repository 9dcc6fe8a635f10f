"""A drawn archive holds what its plan says, and reading it gives back the plan's labels."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import datasets, download
from phantoms import archives

COVID = {"COVID": "covid", "Lung_Opacity": "opacity", "Normal": "normal"}
COVID |= {"Viral Pneumonia": "viral"}


def label_in_table(name, job):
    """Say in the words of a data set's table what a job draws."""
    if name == "chest_xray":
        return "NORMAL" if job.labels == ("normal",) else "PNEUMONIA"
    if name == "covid_radiography":
        return {drawn: label for label, drawn in COVID.items()}[job.labels[0]]
    if name == "oct2017":
        return job.labels[0]
    if name == "rfmid":
        return "abnormal" if job.labels else "normal"
    return "+".join(d for d in archives.FUNDUS_COLUMNS if d in job.labels) or "normal"


@pytest.fixture(scope="module", params=list(archives.PLANS))
def planned(request, tmp_path_factory):
    """A data set's jobs, and the table read from an archive of them, nothing being drawn."""
    jobs, texts, copy = archives.PLANS[request.param](0)
    home = tmp_path_factory.mktemp(request.param)
    members = [(job.member, job.member.encode()) for job in jobs]
    members += [(member, text.encode()) for member, text in texts]
    members += [(copy(member), data) for member, data in members if copy(member)]
    archives._pack(home / "a.zip", members)
    # in such a place drawn images lie, which nobody has to look into
    folder = download.unpack(home / "a.zip", home / request.param / "sample")
    with pytest.MonkeyPatch.context() as settings:
        settings.setenv("COURSE_DATA", str(home))
        table = datasets.table(request.param, folder)
    return request.param, jobs, table, folder


def test_a_table_has_the_labels_of_the_plan(planned):
    name, jobs, table, home = planned
    # "OCT2017 " loses its space on the way, for the sake of Windows
    wanted = {str(home / job.member.replace(" /", "/")): job for job in jobs}
    assert set(table["path"]) == set(wanted) and len(table) == len(jobs)
    known = table[table["split"] != "unlabelled"]
    found = [label_in_table(name, wanted[path]) for path in known["path"]]
    assert found == known["label"].tolist()
    if name == "rfmid":
        for disease, column in archives.FUNDUS_COLUMNS.items():
            has = [disease in wanted[path].labels for path in table["path"]]
            assert table[column].astype(bool).tolist() == has


def test_a_table_has_the_patients_of_the_plan(planned):
    name, jobs, table, home = planned
    patient = {str(home / job.member.replace(" /", "/")): job.patient for job in jobs}
    pairs = set(zip(table["group"], table["path"].map(patient), strict=True))
    assert len(pairs) == table["group"].nunique() == table["path"].map(patient).nunique()
    assert table.groupby("group")["split"].nunique().max() == 1


def test_no_view_is_drawn_twice(planned):
    _, jobs, _, _ = planned
    assert len({(job.drawer, job.patient, job.view) for job in jobs}) == len(jobs)
    assert len({job.member for job in jobs}) == len(jobs)


def test_another_seed_is_another_plan():
    for name, plan in archives.PLANS.items():
        assert plan(0)[0] == plan(0)[0]
        if name != "covid_radiography":  # there only the drawing differs
            assert plan(0)[0] != plan(1)[0]


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("name", list(archives.PLANS))
def test_a_mask_is_as_large_as_its_image_and_shows_what_was_drawn(name):
    jobs, names = archives.PLANS[name](0)[0], archives.mask_names(name)
    sick = next(job for job in jobs if job.labels not in ((), ("normal",), ("NORMAL",)))
    well = next(job for job in jobs if job.labels in ((), ("normal",), ("NORMAL",)))
    for job in (sick, well):
        image, mask = map(opened, archives._draw(job, 0))
        assert mask.shape == image.shape[:2] and mask.max() < 2 ** len(names)
        assert job.size is None or mask.shape == job.size[::-1] or mask.shape == job.size
        there = {n for bit, n in enumerate(names) if (mask >> bit & 1).any()}
        assert there - {"lungs", "marker"} == (
            set(job.labels) if job.drawer == "fundus" else {"lesion"} if job is sick else set()
        )
        assert ("lungs" in there) == (job.drawer == "chest")


def test_lungs_alone():
    mask = np.array([[0, 1, 2], [3, 4, 6]], np.uint8)  # bits: lesion, lungs, marker
    alone = opened(archives._lungs(archives._encoded(".png", mask)))
    assert alone.tolist() == [[0, 0, 255], [255, 0, 255]]


@pytest.mark.parametrize("name", ["chest_xray", "covid_radiography"])
def test_written_archives_are_the_same_each_time(tmp_path, monkeypatch, name):
    jobs, texts, copy = archives.PLANS[name](0)
    monkeypatch.setitem(archives.PLANS, name, lambda seed: (jobs[:2], texts, copy))
    one = archives.write(name, tmp_path / "one", workers=1)
    two = archives.write(name, tmp_path / "two", workers=1)
    assert [path.name for path in one] == [f"{name}-sample.zip", f"{name}-sample-masks.zip"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert not list(tmp_path.rglob("*.part"))
    with zipfile.ZipFile(one[0]) as packed, zipfile.ZipFile(one[1]) as masks:
        names = packed.namelist()
        assert masks.namelist() == [job.member + ".png" for job in jobs[:2]]
        for job in jobs[:2]:
            assert packed.read(job.member) == archives._draw(job, 0)[0]
            assert masks.read(job.member + ".png") == archives._draw(job, 0)[1]
            if name == "covid_radiography":
                lungs = opened(packed.read(job.member.replace("/images/", "/masks/")))
                assert set(np.unique(lungs)) == {0, 255}
            else:
                second = copy(job.member)
                assert packed.read(second) == packed.read(job.member) and second != job.member
    assert len(names) == len(set(names))


SCRIPT = """
import sys
from pathlib import Path
from phantoms import archives
plan = archives.PLANS["oct2017"]
archives.PLANS["oct2017"] = lambda seed: (plan(seed)[0][:40], [], lambda member: None)
print("begun")
archives.write("oct2017", Path(sys.argv[1]))
"""


def test_a_script_without_a_guard_draws(tmp_path):
    """As a lesson saved as a script has none: Python's own pool would run each line again."""
    (tmp_path / "lesson.py").write_text(SCRIPT)
    run = [sys.executable, str(tmp_path / "lesson.py"), str(tmp_path)]
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        run, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout == "begun\n", done.stderr
    with zipfile.ZipFile(tmp_path / "oct2017-sample.zip") as packed:
        assert len(packed.namelist()) == 40
