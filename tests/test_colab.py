"""The course in Colab: the lessons' own cells, in real kernels, in a folder like /content.

`fake_colab` stands in for Colab's package, which is loaded before a kernel's first cell, as there;
a repository of what git tracks here for GitHub; `kaggle_server` for Kaggle, for the real client.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from archives_made import make_zip, picture
from contract import code, read, repository
from kaggle_server import KaggleServer, environment
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SETUP = code(LESSONS[0])[0].source
NOWHERE = "%env GIT_CONFIG_KEY_0=url.http://127.0.0.1:9/.insteadOf"  # nobody listens there
TOKEN, KEY = "KGAT_fedcba9876543210", "0123456789abcdef0123456789abcdef"
# Runs in every kernel before its first cell; the course comes from the clone, not from here.
STARTUP = """
import sys
import google.colab
sys.meta_path[:] = [finder for finder in sys.meta_path if "Editable" not in str(finder)]
"""


def git(*arguments, **options):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, **options).stdout


@pytest.fixture(scope="session")
def github(tmp_path_factory):
    """A repository of one commit: what git tracks here, as it is now; less pictures, for speed."""
    folder = tmp_path_factory.mktemp("github") / "course"
    listed = git("ls-files", "-z", ".", ":!figures", ":!experiments", ":!notebooks", cwd=ROOT)
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    git("init", "--quiet", cwd=folder)
    git("add", "--all", cwd=folder)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=no"]
    git(*who, "commit", "--quiet", "--message", "one", cwd=folder)
    return folder


class Colab:
    """A runtime: its disk, and kernels that start there one after the other."""

    def __init__(self, folder, github):
        self.content, self.home, self.programs = (folder / n for n in ("content", "home", "bin"))
        for new in (
            self.home / ".ipython/profile_default/startup",
            self.programs,
            folder / "drive",
        ):
            new.mkdir(parents=True)
        (self.home / ".ipython/profile_default/startup/colab.py").write_text(STARTUP)
        self.fresh()
        inherited = {
            k: v for k, v in os.environ.items() if not re.match("COURSE|KAGGLE|GIT|COV", k)
        }
        self.env = inherited | {
            "HOME": str(self.home),
            "IPYTHONDIR": str(self.home / ".ipython"),
            "PYTHONPATH": str(ROOT / "tests" / "fake_colab"),
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "FAKE_DRIVE": str(folder / "drive"),
            "NO_PROXY": "*",
            "no_proxy": "*",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{github}.insteadOf",
            "GIT_CONFIG_VALUE_0": repository(),
        }

    def fresh(self):
        """Lose the runtime's disk: another one has the notebook alone."""
        shutil.rmtree(self.content, ignore_errors=True)
        self.content.mkdir()
        shutil.copy(LESSONS[0], self.content)

    def program(self, name, script):
        """Put a program in front of all others."""
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def run(self, *cells, **more):
        """Run cells in a new kernel; return what each said, errors by their last line."""
        notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            allow_errors=True,
            timeout=300,
            extra_arguments=["--IPKernelApp.log_level=40"],
            resources={"metadata": {"path": str(self.content)}},
        )
        client.execute(env=self.env | more)
        return ["".join(map(said, cell.outputs)) for cell in notebook.cells]


def said(out):
    if out.output_type == "error":
        return f"{out.ename}: {out.evalue}\n"
    return out.get("text") or out["data"]["text/plain"] + "\n"


@pytest.fixture
def colab(tmp_path, github):
    return Colab(tmp_path, github)


def told(kind="auto", gpu="none"):
    """What the set-up cell prints in Colab."""
    line = rf"Running on Colab · GPU: {gpu} · Keras [\d.]+ · images: {kind}\n"
    line += "" if gpu != "none" else r"No GPU here: .*T4 GPU.*\n"
    return line + (r"auto: Kaggle's images.*\n%env COURSE_SOURCE=sample .*\n" * (kind == "auto"))


# --- The set-up cell


def test_the_set_up_cell_brings_the_course_once(colab):
    look = "!find course -name '*.py' -printf '%p %T@ %i\\n' | sort"
    cells = [SETUP, "print(runtime.ROOT)", look, NOWHERE, SETUP, look]
    first, place, before, _, again, after, _, sample = colab.run(
        *cells, "%env COURSE_SOURCE=sample", SETUP
    )
    assert re.fullmatch(told(), first)
    assert place.strip() == str(colab.content / "course")
    assert again == first and after == before and "runtime.py" in before
    assert re.fullmatch(told("sample"), sample)
    assert sorted(path.name for path in colab.content.iterdir()) == [LESSONS[0].name, "course"]


def test_without_a_network_one_sentence_says_what_to_do(colab):
    back = f"%env GIT_CONFIG_KEY_0={colab.env['GIT_CONFIG_KEY_0']}"
    _, failed, _, again = colab.run(NOWHERE, SETUP, back, SETUP)
    gits, sentence = failed.splitlines()
    assert gits.startswith("fatal: unable to access")
    assert sentence == (
        "AssertionError: The course did not come from GitHub: run this cell again in a minute."
    )
    assert re.fullmatch(told(), again)


# --- Secrets, Kaggle

ASK = """
os.environ["FAKE_SECRETS"] = {!r}
print(download.credentials(), [os.environ.pop(n, None) is not None for n in NAMES])
"""
NAMES = """
import os
from helpers import download
NAMES = ["KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"]
"""


def test_secrets_are_found_and_never_printed(colab):
    pair = {"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": KEY}
    refused = {"KAGGLE_API_TOKEN": None}
    cases = [{"KAGGLE_API_TOKEN": TOKEN}, pair, refused | pair, refused, {"KAGGLE_KEY": KEY}, {}]
    answers = colab.run(SETUP, NAMES, *(ASK.format(json.dumps(case)) for case in cases))[2:]
    assert answers == [
        "Colab secrets [True, False, False]\n",
        "Colab secrets [False, True, True]\n",
        "Colab secrets [False, True, True]\n",
        "None [False, False, False]\n",
        "None [False, False, False]\n",
        "None [False, False, False]\n",
    ]


def chest_xrays():
    """A whole archive in the layout of Kaggle's, of one image a class."""
    names = ("NORMAL/IM-0001-0001", "PNEUMONIA/person1_virus_1")
    files = [
        f"chest_xray/{part}/{name}.jpeg" for part in ("train", "val", "test") for name in names
    ]
    return make_zip([(file, picture()) for file in files])


FETCH = """
from helpers import datasets, download
download.WAITS = (0, 0, 0)
print(datasets.fetch("{0}").relative_to(runtime.data_root()))
"""


@pytest.mark.slow
def test_auto_downloads_once_and_falls_back_to_the_sample(colab):
    secrets = {"FAKE_SECRETS": json.dumps({"KAGGLE_API_TOKEN": TOKEN})}
    with KaggleServer(chest_xrays()) as server:
        sent = environment(colab.home, server.server_port)
        sent["PYTHONPATH"] += os.pathsep + colab.env["PYTHONPATH"]
        setup, fetched = colab.run(SETUP, FETCH.format("chest_xray"), **sent, **secrets)
        assert re.fullmatch(told(), setup) and fetched.endswith("\nchest_xray/kaggle\n")
        assert server.seen[-2][1]["Authorization"] == f"Bearer {TOKEN}"
        asked = server.steps()
        assert asked.count("storage") == 1
    _, again, other = colab.run(
        SETUP, FETCH.format("chest_xray"), FETCH.format("vietai_retina"), **sent, **secrets
    )
    assert server.steps() == asked and again == "chest_xray/kaggle\n"
    assert re.search(
        r": Kaggle cannot be reached; .*\.\nGoing on with the drawn sample\.\n"
        r"vietai_retina: drawing the sample, once \.\.\.\n(.*…\n)*vietai_retina/sample\n$",
        other,
    )
    assert TOKEN not in fetched + again + other


# --- What lessons do in Colab alone


def test_cells_for_colab_alone(colab):
    """TensorBoard reads the course's folder, a file goes to the browser, pydicom is installed."""
    colab.program("nvidia-smi", "echo 'GPU 0: Tesla T4 (UUID: GPU-1)'")
    colab.program("pip", 'echo "pip $*"')
    cells = [cell.source for path in LESSONS for cell in code(path)[1:]]
    board, download, install = [source for source in cells if "in_colab()" in source]
    assert not [s for s in cells if re.search(r"^\s*[!%]", s, re.M) and "in_colab()" not in s]
    file = "file = runtime.ROOT / 'build/models/net.keras'"
    file += "\nfile.parent.mkdir(parents=True)\nfile.touch()"
    setup, _, downloaded, installed = colab.run(SETUP, file, download, install)
    assert re.fullmatch(told(gpu="NVIDIA"), setup)
    assert downloaded == "the browser saves net.keras\n"
    assert installed.split() == ["pip", "install", "--quiet", "pydicom"]
    assert (colab.content / board.split()[-1] / "net.keras").is_file()


TRAIN = """
import numpy as np
import pandas as pd
from helpers import checkpoints, training
from helpers.backend import keras, tf

keras.utils.set_random_seed(1)
images = np.random.default_rng(0).random((16, 4), "float32")
stream = tf.data.Dataset.from_tensor_slices((images, images[:, :1] > 0.5)).batch(8)
model = training.compiled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")]))
rows = pd.DataFrame({{"path": [], "label": []}})
file = checkpoints.folder("tiny", rows) / "run.keras"
log = training.fit(model, stream, None, {epochs}, file, {mirror})
print(len(log["loss"]))
"""


@pytest.mark.slow
def test_a_run_outlives_its_runtime_on_the_drive(colab):
    """As section 5.6 says it: mount the Drive, make a folder there, and name it as the mirror."""
    (prose,) = [cell.source for cell in read(LESSONS[4]).cells if "`drive.mount" in cell.source]
    words = re.findall(r"`(from google.colab import drive|drive\.mount.*?|mirror=.*?)`", prose)
    load, mount, mirror = [word.replace("/content", str(colab.content)) for word in words]
    folder = mirror.removeprefix("mirror=").strip('"')
    mount, two, four = f"{load}\n{mount}", *(TRAIN.format(epochs=n, mirror=mirror) for n in (2, 4))
    cells = [SETUP, two, mount, mount, f"!mkdir {folder}", two]
    _, unmounted, mounted, again, _, first = colab.run(*cells)
    assert unmounted == (
        f"OSError: {folder} is no folder that can be read: mount or make it, or train without a "
        "mirror.\n"
    )
    assert mounted == f"Mounted at {colab.content}/drive\n" and "already mounted" in again
    assert first == "2\n"
    colab.fresh()
    _, _, second = colab.run(SETUP, mount, four)
    assert second == (
        f"run.keras: fetched from {folder}\n"
        "run.keras: 2 epochs were done before, going on with epoch 3 of 4\n4\n"
    )
    assert len(list(colab.content.glob("course/build/models/tiny/*/run.keras"))) == 1
