"""What must hold for any table, any scores: splits, thresholds, label tables, counts."""

import csv
import io
import math
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from helpers import anomaly, download, evaluation, splits
from helpers.datasets import own

# The same examples in every run, and no time limit for one: the machine may be busy.
few = settings(max_examples=40, derandomize=True, deadline=None, database=None)
many = settings(max_examples=200, derandomize=True, deadline=None, database=None)


def on_disk(folder, groups, contents=None):
    """Write a table's files; image n holds contents[n], or what no other image holds."""
    rows = []
    for n, group in enumerate(groups):
        path = Path(folder) / f"{n}.jpeg"
        path.write_bytes(b"%d" % contents[n] if contents else b"image %d" % n)
        rows.append((str(path), "sick" if n % 3 else "well", f"p{group}"))
    return pd.DataFrame(rows, columns=["path", "label", "group"])


# --- splits


@few
@given(
    st.lists(st.integers(1, 4), min_size=15, max_size=60),
    st.sampled_from([0.1, 0.2, 0.25, 1 / 3, 0.5]),
    st.integers(0, 2**32 - 1),
)
def test_a_split_by_patient_loses_doubles_and_leaks_nothing(images, share, seed):
    groups = np.repeat(np.arange(len(images)), images)
    with tempfile.TemporaryDirectory() as folder:
        table = on_disk(folder, groups)
        one, two = splits.by_patient(table, share, seed)
        again = splits.by_patient(table, share, seed)
    assert one.equals(again[0]) and two.equals(again[1])
    whole = pd.concat([one, two]).sort_values("path", ignore_index=True)
    assert whole.equals(table.sort_values("path", ignore_index=True))
    assert splits.share_leaked(one, two) == splits.share_leaked(two, one) == 0
    assert one.index.tolist() == list(range(len(one)))
    # patients are small here, so the share is met to within two of the largest
    assert abs(len(two) - share * len(table)) <= 2 * max(images)


@few
@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 40)), min_size=2, max_size=50),
    st.randoms(use_true_random=False),
)
def test_patients_are_merged_exactly_when_files_tie_them(rows, rng):
    groups, contents = zip(*rows, strict=True)
    with tempfile.TemporaryDirectory() as folder:
        table = on_disk(folder, groups, contents)
        merged = splits.with_copies(table)
        order = rng.sample(range(len(table)), len(table))
        shuffled = splits.with_copies(table.iloc[order])
    # slowly, and otherwise: images are tied by patient or by content; follow the ties
    tied = {n: {n} for n in range(len(rows))}
    for a in range(len(rows)):
        for b in range(a):
            if (groups[a] == groups[b] or contents[a] == contents[b]) and tied[a] is not tied[b]:
                tied[a] |= tied[b]
                for n in tied[a]:
                    tied[n] = tied[a]
    for one in (merged, shuffled.loc[table.index]):
        assert [[one[a] == one[b] for b in tied] for a in tied] == [
            [b in tied[a] for b in tied] for a in tied
        ]
    assert set(merged) <= set(table["group"])


@few
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), min_size=40, max_size=80))
def test_no_file_is_on_two_sides_either(rows):
    groups, contents = zip(*rows, strict=True)
    with tempfile.TemporaryDirectory() as folder:
        table = on_disk(folder, groups, contents)
        assume(splits.with_copies(table).nunique() >= 5)
        one, two = splits.by_patient(table)
        splits.check_apart(one, two)
    assert len(one) + len(two) == len(table)


# --- thresholds

scored = st.lists(st.tuples(st.booleans(), st.integers(-50, 50)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def gain(labels, scores, cut):
    found = evaluation.at_threshold(labels, scores, cut)
    return found["sensitivity"] + found["specificity"]


def both(rows):
    truth, scores = zip(*rows, strict=True)
    return np.array(truth, int), np.array(scores, float)


@many
@given(scored)
def test_no_cut_between_two_scores_is_better(rows):
    truth, scores = both(rows)
    assume(np.ptp(scores) > 0)
    here = gain(truth, scores, evaluation.choose_threshold(truth, scores))
    distinct = np.unique(scores)
    rest = [gain(truth, scores, (a + b) / 2) for a, b in zip(distinct, distinct[1:], strict=False)]
    assert here == pytest.approx(max(rest))
    calls = [gain(truth, scores, cut) for cut in (-np.inf, np.inf)]
    assert calls == [1, 1]  # one class for all: never worth more than 1


@many
@given(scored, st.sampled_from([1, 2, 0.25, 1024]), st.integers(-100, 100))
def test_the_cut_moves_with_the_scale(rows, scale, shift):
    truth, scores = both(rows)
    cut = evaluation.choose_threshold(truth, scores)
    assert evaluation.choose_threshold(truth, scale * scores + shift) == scale * cut + shift


@many
@given(scored)
def test_a_curved_scale_calls_the_same_images_sick(rows):
    truth, scores = both(rows)
    assume(np.ptp(scores) > 0)
    called = scores >= evaluation.choose_threshold(truth, scores)
    curved = np.arcsinh(scores) ** 3 + scores  # rises everywhere
    assert ((curved >= evaluation.choose_threshold(truth, curved)) == called).all()


@many
@given(scored, st.integers(2, 5), st.booleans(), st.randoms(use_true_random=False))
def test_the_cut_does_not_move_with_a_class_share_or_the_order(rows, times, which, rng):
    truth, scores = both(rows)
    more = [row for row in rows for _ in range(times if row[0] == which else 1)]
    rng.shuffle(more)
    cut, moved = (
        evaluation.choose_threshold(truth, scores),
        evaluation.choose_threshold(*both(more)),
    )
    assert gain(truth, scores, moved) == pytest.approx(gain(truth, scores, cut))


@many
@given(scored, st.integers(-60, 60))
def test_figures_at_a_threshold_add_up(rows, cut):
    truth, scores = both(rows)
    found = evaluation.at_threshold(truth, scores, cut)
    sick = truth.sum()
    right = found["sensitivity"] * sick + found["specificity"] * (len(truth) - sick)
    assert right == pytest.approx(found["accuracy"] * len(truth))
    turned = evaluation.at_threshold(1 - truth, -scores, 0.5 - cut)  # the scores are whole
    assert turned["sensitivity"] == found["specificity"]
    assert turned["specificity"] == found["sensitivity"]
    higher = evaluation.at_threshold(truth, scores, cut + 1)
    assert higher["sensitivity"] <= found["sensitivity"]
    assert higher["specificity"] >= found["specificity"]


# --- alarms


@many
@given(
    st.lists(st.integers(-30, 30), min_size=2, max_size=41),
    st.sampled_from([0.05, 0.1, 0.2, 1 / 3, 0.5, 0.9]),
)
@example(list(range(20)), 0.05)
@example([0] * 20, 0.05)
def test_the_false_alarm_rate_is_kept(scores, rate):
    """Of M + 1 exchangeable scores each is as likely to be the new one: take each in turn."""
    alarms = 0
    for new in range(len(scores)):
        held_out = scores[:new] + scores[new + 1 :]
        if math.ceil(len(scores) * (1 - rate) - 1e-9) > len(held_out):
            with pytest.raises(ValueError, match="too few for a false-alarm rate"):
                anomaly.threshold(held_out, rate)
        else:
            alarms += scores[new] > anomaly.threshold(held_out, rate)
    assert alarms <= rate * len(scores) + 1e-9


@many
@given(st.sets(st.integers(-1000, 1000), min_size=40, max_size=80))
def test_the_alarm_is_not_needlessly_deaf(scores):
    """Without ties the rate is missed by less than one image, the best any threshold can do."""
    scores = list(scores)
    held = [scores[:new] + scores[new + 1 :] for new in range(len(scores))]
    rings = sum(new > anomaly.threshold(rest, 0.1) for new, rest in zip(scores, held, strict=True))
    assert 0.1 * len(scores) - 1 < rings <= 0.1 * len(scores)


# --- label tables

NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="\\/:\"'<"),
    min_size=1,
    max_size=8,
).filter(lambda name: name.strip(".") and not name.startswith("PK"))
TABLES = st.lists(
    st.tuples(NAMES, st.integers(0, 1), st.integers(0, 1)),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row[0],
)
FORMS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t"),
        "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    }
)


WRITTEN = ["0", "1", "0.0", "1.0", "2", "-1", "00", "10", "0.5", "1e0", "True", "yes", "nan", " 1 "]


def read(rows, form, bom=False):
    """Write a table as some program would, and read it again."""
    text = io.StringIO(newline="")
    csv.writer(text, **form).writerows([("ID", "risk", "DR"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "t.csv"
        file.write_bytes(text.getvalue().encode("utf-8-sig" if bom else "utf-8"))
        found = own.read_labels(file, "ID", ("risk", "DR"))
    return list(found[["ID", "risk", "DR"]].itertuples(index=False, name=None))


@many
@given(TABLES, FORMS, st.booleans())
def test_a_table_written_and_read_is_the_same(rows, form, bom):
    assert read(rows, form, bom) == rows


@many
@given(
    TABLES,
    FORMS,
    st.data(),
    st.one_of(st.text(max_size=4), st.sampled_from(WRITTEN)),
    st.booleans(),
)
def test_a_corrupted_label_is_never_another_class(rows, form, data, cell, bom):
    """What stands for neither 0 nor 1 is refused; what does is read as just that."""
    assume("\0" not in cell)
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(1, 2))
    corrupted = [list(row) for row in rows]
    corrupted[place][column] = cell
    meant = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}.get(cell.strip())
    if meant is None:
        with pytest.raises(ValueError, match="^t.csv"):
            read(corrupted, form, bom)
    else:
        corrupted[place][column] = meant
        assert read(corrupted, form, bom) == [tuple(row) for row in corrupted]


@many
@given(TABLES, FORMS, st.data())
def test_a_lost_or_doubled_cell_is_never_another_class(rows, form, data):
    """A row that slipped by a cell is refused, or all its labels are still as written."""
    place, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, 2))
    slipped = [list(row) for row in rows]
    if data.draw(st.booleans()):
        del slipped[place][column]
    else:
        slipped[place].insert(column, slipped[place][column])
    try:
        found = read(slipped, form)
    except ValueError as told:
        assert str(told).startswith("t.csv")
    else:
        right = dict((name, tuple(flags)) for name, *flags in rows)
        assert all(right[name] == tuple(flags) for name, *flags in found if name in right)


# --- counts

COUNTS = st.dictionaries(
    st.tuples(st.sampled_from(["train", "test"]), st.sampled_from("ab")), st.integers(0, 9)
)


@many
@given(COUNTS, COUNTS)
def test_counts_are_either_equal_or_said(counts, expected):
    empty = [key for key, want in expected.items() if want and not counts.get(key)]
    if empty:
        with pytest.raises(download.DownloadError, match="holds no images"):
            download.check_counts(counts, expected, "x")
        return
    notes = download.check_counts(counts, expected, "x")
    keys = {*counts, *expected}
    wrong = {key for key in keys if counts.get(key, 0) != expected.get(key, 0)}
    assert len(notes) == len(wrong)
    for key in wrong:
        more = counts.get(key, 0) > expected.get(key, 0)
        (note,) = [note for note in notes if f" {'/'.join(key)} holds" in note]
        assert note.endswith("more than published" if more else "a smaller copy")
