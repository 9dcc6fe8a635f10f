"""Runs survive kills at any moment and a full disk, and two runs give the same digits."""

import json
import random
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from training_run import PATHS, model, state, stream

from helpers import checkpoints, training
from helpers.backend import keras

RUN = [sys.executable, str(Path(__file__).with_name("training_run.py"))]
KILLS, EPOCHS, BATCHES = 20, 45, 6


def start(*words):
    command = [*RUN, *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=PATHS)


def finish(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(out.splitlines()[-1]), out


def strike(process, moment, wait):
    """Kill a process at a moment, and return the last line that it printed."""
    epochs, last = 0, ""
    for line in process.stdout:
        last = line.split()[0]
        epochs += last == "epoch"
        if epochs > 1 and last == moment[0] and line.split()[1:] == moment[1:]:
            break
    with pytest.raises(subprocess.TimeoutExpired):  # still alive
        process.wait(wait)
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().splitlines()
    process.stderr.close()
    assert process.wait() == -signal.SIGKILL
    return rest[-1].split()[0] if rest else last


@pytest.mark.slow
def test_killed_twenty_times_and_more(tmp_path):
    """In an epoch, while a checkpoint is written, and between epochs; one run all along."""
    rng, file, drive = random.Random(7), tmp_path / "run.keras", tmp_path / "drive"
    drive.mkdir()
    hits, done = dict.fromkeys(("in an epoch", "in a checkpoint", "between epochs"), 0), 0
    while sum(hits.values()) < KILLS or min(hits.values()) < 5:
        wanted = min(hits, key=hits.get)
        moment, wait = {
            "in an epoch": (["batch", str(rng.randrange(BATCHES - 1))], rng.uniform(0, 0.01)),
            "in a checkpoint": (["save"], rng.uniform(0, 0.05)),
            "between epochs": (["written"], rng.uniform(0, 0.03)),
        }[wanted]
        process = start(tmp_path, EPOCHS, "--file", file, "--mirror", drive)
        last = strike(process, moment, wait)
        left = [*tmp_path.glob(f"*-{process.pid}-*.part")]
        if last == "save" and left:
            hits["in a checkpoint"] += 1
        elif last == "batch":
            hits["in an epoch"] += 1
        else:
            hits["between epochs"] += 1
        assert len(list(tmp_path.glob("*.part"))) <= 1  # earlier ones were swept
        before, (done, steps) = done, state(file)
        assert done >= before + 1  # one epoch was finished before the blow, and never lost
        assert steps == done * BATCHES
        if (drive / "run.keras").exists():
            assert done - 2 <= state(drive / "run.keras")[0] <= done
        assert done < EPOCHS, hits
    print(hits)
    resumed, out = finish(start(tmp_path, EPOCHS, "--file", file, "--mirror", drive))
    assert f"run.keras: {done} epochs were done before" in out
    assert state(file) == (EPOCHS, EPOCHS * BATCHES)
    assert (drive / "run.keras").read_bytes() == file.read_bytes()
    assert [*tmp_path.rglob("*.part")] == []
    whole, _ = finish(start(tmp_path, EPOCHS))
    assert resumed == whole  # to the last digit: shuffles, augmentation, dropout and Adam


@pytest.mark.slow
def test_two_processes_give_the_same_digits(tmp_path):
    words = (tmp_path, 2, "compactnet", "--pixels", 64, "--seed")
    first, second, other = (finish(start(*words, seed))[0] for seed in (1, 1, 2))
    assert first == second
    assert first["log"]["loss"] != other["log"]["loss"]  # so it is not that nothing is at random


def test_a_full_disk_is_said_and_loses_nothing(tmp_path, capsys):
    """The system refuses to write more than 1,000 bytes: that works everywhere, for everybody."""
    file = tmp_path / "run.keras"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(epoch, logs):
        if epoch == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    full = keras.callbacks.LambdaCallback(on_epoch_begin=fill)
    try:
        with pytest.raises(OSError) as caught:
            training.fit(model(), stream(), None, 6, file, callbacks=[full])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == (
        "There is no room for run.keras: free some on its disk and run this again; the state after "
        "epoch 3 is kept."
    )
    assert state(file) == (3, 12) and [*tmp_path.iterdir()] == [file]
    log = training.fit(model(), stream(), None, 6, file)
    assert log == training.fit(model(), stream(), None, 6)


FULL = """
    import sys
    from pathlib import Path
    from training_run import keras, model, state, stream, training
    disk, where, home = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    file = (disk if where == "disk" else home) / "run.keras"

    def fill(epoch, logs):
        if epoch == 3:
            with open(disk / "filler", "wb", buffering=0) as filler:
                try:
                    while filler.write(bytes(4096)):
                        pass
                except OSError:
                    pass

    full = keras.callbacks.LambdaCallback(on_epoch_begin=fill)
    words = model(), stream(), None, 5, file
    try:
        training.fit(*words, mirror=None if where == "disk" else disk, callbacks=[full])
    except OSError as error:
        print(error)
    kept = disk / "run.keras"
    print(state(kept)[0], *sorted(path.name for path in disk.iterdir()))
    (disk / "filler").unlink()
    training.fit(model(), *words[1:], mirror=None if where == "disk" else disk)
    print(state(kept)[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["disk", "mirror"])
def test_a_really_full_disk(tmp_path, where):
    """A disk of 1 MB in memory, which only this process sees."""
    disk, home = tmp_path / "disk", tmp_path / "home"
    disk.mkdir(), home.mkdir()
    mount = f"mount -t tmpfs -o size=1m tmpfs {disk}"
    alone = ["unshare", "-rm", "sh", "-c"]
    try:
        subprocess.run([*alone, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no small disk can be mounted here; the test above fills one otherwise")
    program = tmp_path / "program.py"
    program.write_text("\n".join(line[4:] for line in FULL.splitlines()))
    words = f"{mount} && {sys.executable} {program} {disk} {where} {home}"
    done = subprocess.run([*alone, words], capture_output=True, text=True, env=PATHS)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    going = "run.keras: 3 epochs were done before, going on with epoch 4 of 5"
    if where == "disk":
        room = "There is no room for run.keras: free some on its disk and run this again"
        assert said == [
            f"{room}; the state after epoch 3 is kept.",
            "3 filler run.keras",
            going,
            "5",
        ]
    else:
        full = f"run.keras cannot be copied to {disk} (no room): training goes on"
        # the copy is made meanwhile, so on a busy machine it may lack the last epoch, or two
        assert said[0].startswith(full) and re.fullmatch("[123] filler run.keras", said[1])
        assert said[2:] == ["run.keras: 5 epochs were done before, all are done", "5"]


def test_other_faults_keep_their_words(tmp_path):
    file = tmp_path / "gone" / "run.keras"
    with pytest.raises(OSError, match=r"run.keras cannot be written \(No such file or directory\)"):
        checkpoints.save(model(), file)
    with pytest.raises(ValueError, match="keras"):  # no fault of the disk
        checkpoints.save(model(), tmp_path / "run.txt")


def test_what_others_write_is_left(tmp_path):
    """Only what this run's killed processes left is removed."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    file = tmp_path / "run.keras"
    alive = f"run-{checkpoints.os.getppid()}-x.part"
    kept = {alive, f"run-2-{ended.pid}-x.part", "run-mine.part", "run-mine-x.part"}
    for name in [*kept, f"run-{ended.pid}-x.part"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.keras").write_text("half")
    training.fit(model(), stream(), None, 1, file)
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "run.keras"}
