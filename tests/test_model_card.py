"""The model card holds what was measured, and says what nobody has answered."""

import pandas as pd
import pytest

from helpers import claims, model_card

ROWS = pd.DataFrame({"label": ["sick", "sick", "normal"], "group": ["a", "a", "b"]})
FIGURES = {"own.test_auc": 0.98765, "own.images": 1234}


def test_card_holds_answers_counts_and_figures(tmp_path):
    answers = dict.fromkeys(model_card.QUESTIONS, "Known.")
    file = tmp_path / "deep" / "card.md"
    assert model_card.write(file, "Net, a | b", answers, {"train": ROWS}, FIGURES) == ()
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# Model card: Net, a \\| b\n\nNot for clinical use.\n")
    assert "| train | normal | 1 | 1 |\n| train | sick | 2 | 1 |" in text
    assert "| own.test_auc | 0.988 |\n| own.images | 1,234 |" in text
    assert text.count("Known.") == len(model_card.QUESTIONS) and "OPEN" not in text
    assert "Made with Python 3." in text and "keras 3." in text


def test_open_questions_are_marked_and_returned(tmp_path):
    first, *others = model_card.QUESTIONS
    answers = {first: "Drawn.", others[0]: "  "}  # blanks are no answer
    left = model_card.write(tmp_path / "card.md", "Net", answers, {"test": ROWS}, FIGURES)
    assert left == tuple(others)
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert f"**{first}** Drawn." in text
    assert text.count("OPEN: not answered.") == len(others)


def test_an_answer_to_no_question(tmp_path):
    with pytest.raises(ValueError, match="'Who\\?' is no question of model_card.QUESTIONS"):
        model_card.write(tmp_path / "card.md", "Net", {"Who?": "I"}, {"test": ROWS}, FIGURES)
    assert not (tmp_path / "card.md").exists()


def test_nothing_measured(tmp_path):
    with pytest.raises(ValueError, match="run the cells that train and test before the card"):
        model_card.write(tmp_path / "card.md", "Net", {}, {"test": ROWS}, {})


def test_recorded_keeps_what_passed_and_only_that(monkeypatch, capsys):
    monkeypatch.setattr(claims, "_RECORDED", {})
    claims.record("own.seconds", 3.5)
    claims.expect("own.auc", 0.9, at_least=0.5)
    claims.record("other.auc", 0.1)
    claims.record("own.seconds", 4.5)  # the cell was run again
    with pytest.raises(AssertionError):
        claims.expect("own.wrong", 0.1, at_least=0.5)
    assert claims.recorded("own.") == {"own.seconds": 4.5, "own.auc": 0.9}
    assert list(claims.recorded()) == ["own.seconds", "own.auc", "other.auc"]
    claims.forget("own.")
    assert list(claims.recorded()) == ["other.auc"]
