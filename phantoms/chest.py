"""Draws look-alikes of children's chest X-rays, healthy or with one of four diseases."""

from types import SimpleNamespace

import cv2
import numpy as np

from phantoms import chest_anatomy as parts
from phantoms.drawing import Canvas, Phantom, ellipse, noise_field, rounded, seeded, soft

LABELS = ("normal", "bacterial", "viral", "covid", "opacity")


def draw(label, patient, view=0, seed=0, height=None, marker=None):
    """Draw one chest X-ray.

    Parameters
    ----------
    label : str
        One of `LABELS`.
    patient : int
        Whose chest: its anatomy and the picture's proportions depend on (seed, patient) alone.
    view : int
        Which picture of that patient: exposure, pose, noise, tubes and disease.
    seed : int
        Another seed is another set of patients.
    height : int, optional
        Rows of the picture; by default about 180 to 260, by patient.
    marker : str, optional
        By default a side letter or none, by chance; "none" for no letter, "R" for an R always.

    Returns
    -------
    Phantom
        uint8 [H, W] and the masks "lesion", "lungs" and "marker".
    """
    code = LABELS.index(label)
    a = parts.anatomy(seed, patient)
    rng = seeded(seed, patient, view, 12)  # the same for every label: no label has its own pose
    rows = height or round(a.height)
    shape = (rows, round(a.width * rows / a.height))
    v = take(rng)
    canvas = Canvas(shape, placed(a, v, shape))
    lungs = canvas.fill([parts.lung(a, side) for side in parts.SIDES], 0.012)
    haze = disease(code, seeded(seed, patient, view, 13, code), canvas, a) * lungs
    thickness, air = compose(canvas, a, v, lungs, haze)
    image = develop(thickness, v, rng, haze)
    image = wires(image, v, canvas, seeded(seed, patient, view, 15))
    image, box = label_side(image, seeded(seed, patient, view, 14), marker)
    masks = {"lesion": haze * air > 0.12, "lungs": lungs > 0.5, "marker": box}
    return Phantom(image, masks)


def take(rng):
    """Draw the lots of one exposure."""
    u = rng.uniform
    return SimpleNamespace(
        turn=rng.normal(0, 0.055), tilt=np.radians(rng.normal(0, 2.6)), lift=u(-0.25, 0.25),
        zoom=u(0.93, 1.1), x=rng.normal(0, 0.02), y=rng.normal(0, 0.03),
        air=u(0.42, 0.78), sides=rng.normal(0, 0.08), rise=rng.normal(0, 0.11), hila=u(-0.1, 0.2),
        body=u(0.52, 0.68), belly=u(0.02, 0.16), middle=u(0.03, 0.16), lumps=u(0.005, 0.035),
        bone=u(0.8, 1.3), spine=u(0.05, 0.15), ribs=u(0.7, 1.3), vessels=u(0.5, 1.2),
        head=u(), wires=int(rng.choice([0, 0, 0, 1, 2])), tube=u() < 0.15,
        curve=u(0.5, 1.3), gain=u(0.8, 1.0), black=u(0, 0.1) * (u() < 0.5),
        blur=u(0.2, 1.0), sharpen=u(0, 1.4), noise=u(0.003, 0.016), grain=u(0.0, 0.012),
        # How far disease hides ribs, vessels and fine detail differs from image to image: a
        # missing rib must not be more telling than a pale lung.
        hide_ribs=u(0.6, 1.0), hide_vessels=u(0.75, 1.0), smear=u(0.4, 0.9),
    )  # fmt: skip


def placed(a, v, shape):
    """Return the matrix from chest coordinates to pixels."""
    rows, columns = shape
    half = a.half * columns * v.zoom
    scale = np.array([[half, 0], [0, half * a.tall]])
    c, s = np.cos(v.tilt), np.sin(v.tilt)
    turned = np.array([[c, -s], [s, c]]) @ scale
    # The picture's middle shows the chest a little above the middle of the lungs' height.
    middle = np.array([columns * (0.5 + v.x), rows * (a.middle + v.y)])
    return np.c_[turned, middle - turned @ [0, 0.55]].astype(np.float32)


def compose(canvas, a, v, lungs, haze):
    """Add up what the rays pass through; return that and the air in the lungs before disease."""
    heart = canvas.fill([parts.mediastinum(a, v.turn)], 0.022)
    profile = canvas.fill([parts.lung(a, s) for s in parts.SIDES], 0.09)
    below = canvas.fill([parts.belly(a)], 0.015)
    total = tissue(canvas, a, v, below)
    air = lungs * (0.5 + 0.5 * profile) * (1 - 0.9 * heart) * filling(canvas, a, v)
    total *= 1 - v.air * air * (1 - 0.95 * haze)  # a share of the path, so never black
    veil = (1 - v.hide_ribs * haze) * (1 - 0.35 * heart) * (1 - 0.35 * below)
    total += bones(canvas, a, v) * veil
    tree = v.vessels * 0.13 * canvas.ribbons(parts.vessels(a), 0.007)
    tree += v.grain * noise_field(seeded(a.tree, 1), lungs.shape, 0.03 * canvas.unit)
    total += a.vessel_grey * tree * lungs * (1 - 0.8 * heart) * (1 - v.hide_vessels * haze)
    windpipe = rounded([(v.turn, -0.7), (v.turn * 0.5, 0.0), (0.02 + v.turn, 0.3)])
    total -= 0.09 * canvas.ribbons([(windpipe, 0.12, 1.0)], 0.02)
    if a.gas < 0.5:
        bubble = ellipse(0.35 + a.gas_at, 1.22 + 0.3 * a.gas_at, 0.16 + 0.2 * a.gas, 0.07)
        total -= 0.2 * canvas.fill([bubble], 0.03)
    return total, air


def filling(canvas, a, v):
    """Return how far the lungs are filled with air: unevenly, in health too."""
    x, y = canvas.grid(4)
    level = 1 + v.sides * np.tanh(x * 4) + v.rise * (y - 0.5)
    for side in parts.SIDES:
        level -= spot(x, y, (side * 0.25, 0.5), 0.2, 0.25, a.hila + v.hila)
    return cv2.resize(level, canvas.shape[::-1], interpolation=cv2.INTER_LINEAR)


def tissue(canvas, a, v, below):
    """Add up everything soft: trunk, arms, what lies in the middle, belly, chin."""
    trunk = canvas.fill([parts.torso(a)], 0.03)
    deep = canvas.fill([parts.torso(a)], 0.2)
    arm = canvas.ribbons([(parts.arms(a, v.lift), np.linspace(0.5, 0.3, 10) + a.fat, 1.0)], 0.06)
    middle = canvas.fill([parts.mediastinum(a, v.turn)], 0.2)
    total = trunk * (0.04 + v.body * 0.74 * deep**2.5) + a.shoulder * 0.3 * arm * (1 - 0.5 * deep)
    total += v.middle * middle * trunk + (0.05 + v.belly) * below
    if v.head < 0.7:  # the chin is in the picture
        chin = ellipse(v.turn * 3, -0.45 - 0.35 * v.head, 0.5, 0.27)
        total += 0.22 * canvas.fill([chin], 0.03)
    return total


def bones(canvas, a, v):
    """Add up ribs, spine and shoulder bones."""
    front, curls = parts.front_ribs(a, v.turn)
    total = 0.15 * a.rib_grey * v.ribs * canvas.ribbons(parts.back_ribs(a, v.turn), 0.006)
    total += 0.2 * a.front_grey * v.ribs * canvas.ribbons(front, 0.008)
    total += 0.12 * a.rib_grey * canvas.ribbons(curls, 0.014)
    total += v.spine * canvas.ribbons(parts.vertebrae(a, v.turn), 0.008)
    total += 0.17 * canvas.ribbons(parts.shoulder_bones(a, v.turn, v.lift), 0.008)
    return total * v.bone


def disease(code, rng, canvas, a):
    """Return how much of the lungs' air is gone, 0..1, before the lungs' outline is applied."""
    if code == 0:
        return np.zeros(canvas.shape, np.float32)
    x, y = canvas.grid(4)  # every fourth pixel will do: haze has no fine detail
    x, y = (k + 0.09 * noise_field(rng, x.shape, 9) for k in (x, y))  # ragged edges
    recipe = code if code < 4 else int(rng.integers(1, 4))
    clear = 1 - (lobar, perihilar, peripheral)[recipe - 1](rng, a, x, y)
    texture = 1 + 0.18 * noise_field(rng, x.shape, 3)
    haze = np.clip((1 - clear) * texture, 0, 0.97).astype(np.float32)
    return cv2.resize(haze, canvas.shape[::-1], interpolation=cv2.INTER_LINEAR)


def spot(x, y, at, wide, high, depth, flat=1.0):
    """Return a soft patch: a bell, or with flat > 1 a plateau."""
    distance = ((x - at[0]) / wide) ** 2 + ((y - at[1]) / high) ** 2
    return depth * np.exp(-(distance**flat))


def lobar(rng, a, x, y):
    """Fill one to three segments, most of them in one lung, and thinly cloud both hila."""
    clear = 1 - 0.35 * perihilar(rng, a, x, y)
    worse = rng.choice(parts.SIDES)
    for _ in range(int(rng.integers(1, 4))):
        side = worse if rng.uniform() < 0.75 else -worse
        at = side * rng.uniform(0.25, 0.75), rng.uniform(0.15, 0.95)
        size, depth = rng.uniform(0.24, 0.48), rng.uniform(0.65, 1.0)
        patch = spot(x, y, at, size, size * rng.uniform(0.6, 1.1), depth, rng.uniform(1, 2))
        clear = clear * (1 - patch * (x * side > 0))
    return 1 - clear


def perihilar(rng, a, x, y):
    """Cloud the lungs from both hila outward, in patches along the airways."""
    depth, size = rng.uniform(0.15, 0.42), rng.uniform(0.28, 0.5)
    clear = np.ones_like(x)
    for side in parts.SIDES:
        at = side * 0.26, 0.52 + rng.normal(0, 0.06)
        clear = clear * (1 - spot(x, y, at, size, size * 1.1, depth))
        for _ in range(int(rng.integers(2, 6))):
            way, far = rng.uniform(-1.5, 1.5), rng.uniform(0.05, 0.45)
            at = side * (0.25 + far * np.cos(way)), 0.52 + far * np.sin(way)
            wide = rng.uniform(0.09, 0.2)
            clear = clear * (1 - spot(x, y, at, wide, wide, rng.uniform(0.3, 0.7)))
    return 1 - clear


def peripheral(rng, a, x, y):
    """Lay ground glass along both lungs' outer and lower parts."""
    clear = np.ones_like(x)
    for side in parts.SIDES:
        for _ in range(int(rng.integers(2, 5))):
            low = rng.uniform(0.4, 1.0)
            at = side * (parts.wall(a, side, low) - rng.uniform(0.08, 0.25)), low
            patch = spot(x, y, at, rng.uniform(0.14, 0.26), rng.uniform(0.14, 0.28), 0.7)
            clear = clear * (1 - patch * rng.uniform(0.5, 1.0))
    return 1 - clear


def develop(total, v, rng, haze):
    """Turn thickness into grey: film curve, scatter, blur and noise."""
    lumps = v.lumps * noise_field(rng, total.shape, total.shape[0] / 7)
    total = np.maximum(total + lumps * np.minimum(total * 4, 1), 0)  # none in the air around
    grey = (1 - np.exp(-1.15 * v.curve * total)) / (1 - np.exp(-v.curve))
    smooth = cv2.GaussianBlur(grey, (0, 0), 2)
    grey = cv2.GaussianBlur(grey, (0, 0), v.blur)
    grey += v.sharpen * (grey - smooth)
    grey += v.smear * haze * (smooth - grey)
    grey += v.noise * soft(rng.standard_normal(grey.shape, np.float32), 0.7)
    grey = v.black + (v.gain - v.black) * grey
    return np.clip(255 * grey, 0, 255).astype(np.uint8)


def label_side(image, rng, marker):
    """Write the side letter; return the image and a mask of the letter's box."""
    box = np.zeros(image.shape, bool)
    letter = str(rng.choice(["R", "R", "R", "R", "A-P", "L", "none", "none"]))
    rows, columns = image.shape
    at = rng.uniform(0.01, 0.14), rng.uniform(0.06, 0.3)
    size, grey = rng.uniform(0.35, 0.75) * rows / 220, rng.uniform(190, 255)
    letter = marker or letter
    if letter == "none":
        return image, box
    (wide, high), _ = cv2.getTextSize(letter, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    x, y = int(at[0] * columns), max(high + 2, int(at[1] * rows))
    if letter == "L":
        x = columns - wide - x - 2
    ink = np.zeros_like(image)
    cv2.putText(ink, letter, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1, cv2.LINE_AA)
    lit = image + soft(ink, 0.6) / 255 * (grey - image)
    image = np.maximum(image, lit.astype(np.uint8))
    box[max(0, y - high - 2) : y + 3, max(0, x - 2) : x + wide + 2] = True
    return image, box


def wires(image, v, canvas, rng):
    """Lay electrodes with their wires, and now and then a tube, over the chest."""
    lines, discs = [], []
    for _ in range(v.wires):
        end = np.array([rng.choice([-0.75, 0.8]), rng.uniform(0.0, 0.9)]) + rng.normal(0, 0.1, 2)
        far = end + (np.sign(end[0]) * 1.2, rng.uniform(-0.5, 1))
        path = rounded([end, (end + far) / 2 + rng.normal(0, 0.3, 2), far])
        lines.append((path, 0.022, rng.uniform(0.2, 0.7)))
        discs.append(ellipse(*end, 0.055, 0.045))
    if v.tube:
        deep = rng.uniform(0.2, 1.3)
        path = [(0.02, -0.8), (v.turn, 0), (0.05, deep * 0.7), (0.1 * (deep > 0.9), deep)]
        lines.append((rounded(path), 0.03, 0.3))
    if not lines:
        return image
    ink = np.maximum(canvas.ribbons(lines, 0.005), 0.7 * canvas.fill(discs, 0.006))
    return (image + ink * (245.0 - image)).astype(np.uint8)
