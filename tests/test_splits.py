"""Splits keep patients and identical files together, whatever the table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import splits


def write_table(folder, groups, contents=None, split="train"):
    rows = []
    for n, group in enumerate(groups):
        path = folder / f"{n}.jpeg"
        path.write_bytes(contents[n] if contents else f"image {n}".encode())
        rows.append((str(path), "sick" if n % 3 else "well", group, split))
    return pd.DataFrame(rows, columns=["path", "label", "group", "split"])


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(st.integers(0, 30), min_size=60, max_size=120).filter(
        lambda g: len(set(g)) > 10
    ),
    share=st.sampled_from([0.1, 0.2, 0.25, 0.5]),
    seed=st.integers(0, 99),
)
def test_no_patient_on_both_sides(tmp_path_factory, groups, share, seed):
    table = write_table(tmp_path_factory.mktemp("files"), groups)
    one, two = splits.by_patient(table, share, seed)
    assert len(one) + len(two) == len(table)
    assert not set(one["group"]) & set(two["group"])
    assert not set(one["path"]) & set(two["path"])
    assert splits.share_leaked(one, two) == 0


def test_identical_files_stay_together_though_patients_differ(tmp_path):
    contents = [f"{n % 50}".rjust(9).encode() for n in range(100)]  # image n and n + 50 are copies
    table = write_table(tmp_path, [f"p{n}" for n in range(100)], contents)
    for seed in range(5):
        one, two = splits.by_patient(table, 0.2, seed)
        splits.check_apart(one, two)
        assert len(two) > 0


def test_merging_is_transitive(tmp_path):
    contents = [b"same", b"same", b"else", b"else", b"alone"]
    table = write_table(tmp_path, ["a", "b", "b", "c", "d"], contents)
    merged = splits.with_copies(table)
    assert merged[:4].nunique() == 1
    assert merged[4] == "d"


def test_shared_patient_or_file_is_refused(tmp_path):
    table = write_table(tmp_path, ["a", "b", "c"], [b"x", b"y", b"x"])
    splits.check_apart(table[:1], table[1:2])
    with pytest.raises(ValueError, match="1 files are in two sets"):
        splits.check_apart(table[:2], table[2:])
    with pytest.raises(ValueError, match="1 patients are in two sets \\(a\\)"):
        splits.check_apart(table[:1], table[1:].assign(group="a"))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("known", [1, "p1"])
def test_images_without_a_patient_stand_alone(tmp_path, missing, known):
    table = write_table(tmp_path, [missing] * 20 + [known] * 3 + [2] * 3)
    merged = splits.with_copies(table)
    assert merged[:20].tolist() == table["path"][:20].tolist() and merged.nunique() == 22
    one, two = splits.by_patient(table)
    splits.check_apart(one, two)
    assert len(one) + len(two) == 26 and splits.share_leaked(one, two) == 0
    assert splits.share_leaked(table[:22], table[22:23]) == 1
    train, validation, test = splits.course_split(table.assign(split=["test"] * 5 + ["train"] * 21))
    assert len(train) + len(validation) == 21


def test_files_with_two_labels_are_said_once(tmp_path, capsys):
    table = write_table(tmp_path, range(40), [b"%02d" % (n % 38) for n in range(40)])
    splits.by_patient(table)  # 0 and 38, 1 and 39 are the same, and differ in their labels
    said = "2 files have two labels, 0.jpeg first: correct that.\n"
    assert capsys.readouterr().out == said
    splits.course_split(table.assign(split=["train"] * 30 + ["test"] * 10))
    assert capsys.readouterr().out.count("labels") == 1


def test_shares_of_the_labels_are_kept(tmp_path):
    rng = np.random.default_rng(0)
    table = write_table(tmp_path, rng.integers(0, 150, 400))
    one, two = splits.by_patient(table)
    assert 0.17 < len(two) / len(table) < 0.23
    assert abs((one["label"] == "sick").mean() - (two["label"] == "sick").mean()) < 0.05


@pytest.mark.parametrize("share", [0, -0.1, 0.7, 1])
def test_impossible_shares(tmp_path, share):
    table = write_table(tmp_path, range(10))
    with pytest.raises(ValueError, match="choose a share"):
        splits.by_patient(table, share)


def test_too_few_patients(tmp_path):
    with pytest.raises(ValueError, match="3 patients are too few"):
        splits.by_patient(write_table(tmp_path, [1, 1, 2, 3, 3]), 0.2)


def test_too_few_images_of_every_label(tmp_path):
    table = write_table(tmp_path, range(12))  # 8 sick and 4 well
    with pytest.raises(ValueError, match="No label has 10 images, too few to set 10% apart"):
        splits.by_patient(table, 0.1)
    assert len(splits.by_patient(table, 0.2)[1]) in (2, 3)


def test_course_split_keeps_the_archives_test_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    test = write_table(tmp_path / "b", [f"t{n}" for n in range(9)], split="test")
    for n, path in enumerate(test["path"]):
        open(path, "a").write(f"test {n}")
    table = pd.concat([write_table(tmp_path / "a", range(50)), test])
    train, validation, tested = splits.course_split(table)
    assert sorted(tested["path"]) == sorted(test["path"])
    assert len(train) + len(validation) == 50


def test_patients_and_files_of_the_test_folder_leave_train(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    test = write_table(tmp_path / "b", ["g1", *(f"t{n}" for n in range(9))], split="test")
    for n, path in enumerate(test["path"]):
        open(path, "a").write(f"test {n}")
    train = write_table(tmp_path / "a", [f"g{n}" for n in range(50)])
    train.loc[2, "path"] = test.loc[5, "path"]  # the same file under another patient
    table = pd.concat([train, test])
    parts = splits.course_split(table)
    assert "2 images of patients who are also in test" in capsys.readouterr().out
    assert len(parts[0]) + len(parts[1]) == 48
    assert sorted(parts[2]["path"]) == sorted(test["path"])


def test_another_seed_is_another_split(tmp_path):
    table = write_table(tmp_path, range(100))
    first, again, other = (set(splits.by_patient(table, seed=s)[1]["path"]) for s in (1, 1, 2))
    assert first == again != other
