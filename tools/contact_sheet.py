"""Draw one phantom of every kind into figures/phantoms.png, for the README."""

import matplotlib.pyplot as plt

from helpers import runtime
from phantoms import chest, fundus, oct

NAME = "phantoms"
ALT = (
    "Drawn images of three kinds with the outlines of their lesions: chest X-rays, OCT scans of "
    "the retina, and fundus photographs."
)


def main(folder=runtime.ROOT / "figures"):
    """Draw four chests, four OCT scans, seven eyes; the outlines of lesions in orange."""
    rows = [[(name, chest.draw(name, 11 + k)) for k, name in enumerate(chest.LABELS)]]
    rows[0] += [("normal", chest.draw("normal", 21)), ("bacterial", chest.draw("bacterial", 24))]
    rows += [[(name, oct.draw(name, 3 + k)) for k, name in enumerate(oct.LABELS)]]
    rows[1] += [(name, oct.draw(name, 13 + k)) for k, name in enumerate(oct.LABELS[1:])]
    rows += [[(name, fundus.draw((name,), 5 + k)) for k, name in enumerate(fundus.LABELS)]]
    figure, axes = plt.subplots(3, 7, figsize=(14, 6.2))
    for axis, (name, phantom) in zip(axes.ravel(), sum(rows, []), strict=True):
        axis.imshow(phantom.image, cmap="gray", vmin=0, vmax=255)
        if phantom.masks["lesion"].any():
            axis.contour(phantom.masks["lesion"], [0.5], colors="#E69F00", linewidths=0.7)
        axis.set_title(name, fontsize=9)
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(folder / f"{NAME}.png", dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()
