"""The sections that tell what CompactNet's recipe is worth."""


def leave_outs(records):
    """Return the section on tests that leave something out; records named leave_out_*."""
    return ""


def ablation(records):
    """Return the section on what each part of the recipe is worth; records named ablation_*."""
    return ""
