"""What a wrong call says, for tests that want one plain sentence."""

import pytest


def sentence(call):
    """Return the message of the ValueError that a call raises; it must be one sentence."""
    with pytest.raises(ValueError) as told:
        call()
    said = str(told.value)
    assert said.endswith(".") and "\n" not in said and ". " not in said
    return said
