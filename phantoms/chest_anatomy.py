"""The parts of a drawn child's chest: soft tissue, lungs, heart, bones, vessels.

Chest coordinates: x is 0 at the midline and 1 at the inner chest wall; y is 0 at the tops of the
lungs and 1 at the dome of the diaphragm. The picture's left is the patient's right.
"""

from types import SimpleNamespace

import numpy as np

from phantoms.drawing import rounded, seeded

SIDES = (-1, 1)


def anatomy(seed, patient):
    """Draw the lots that stay the same in every image of a patient."""
    rng = seeded(seed, patient, 11)
    u = rng.uniform
    young = u()  # 0: five years, 1: one year
    half = u(0.33, 0.405)  # half the chest's width as a share of the picture's
    tall = u(1.22, 1.42) - 0.2 * young
    share = u(0.49, 0.64)  # the lungs' height as a share of the picture's
    width = u(236, 288)
    height = float(np.clip(width * half * tall / share, 180, 260))
    return SimpleNamespace(
        width=width, height=height, half=half, tall=tall,
        share=width * half * tall / height, young=young,
        shoulder=u(0.6, 0.9), fat=u(0.0, 0.16), bell=u(0.42, 0.72),
        sides={-1: u(0.95, 1.04), 1: u(0.95, 1.04)},
        domes={-1: u(0.91, 0.98), 1: u(0.96, 1.05)}, arch=u(0.18, 0.34), dip=u(0.12, 0.24),
        heart=u(0.4, 0.6) + 0.18 * young * u(), heart_right=u(0.18, 0.3) + 0.12 * young * u(),
        thymus={-1: 0.3 * young * u() ** 2, 1: 0.32 * young * u() ** 2}, middle=u(0.47, 0.55),
        upper=u(0.13, 0.2) + 0.06 * young * u(), knob=u(0, 0.05), hila=u(-0.05, 0.2),
        ribs=int(rng.integers(9, 12)), slope=u(0.06, 0.3), bow=u(0.02, 0.1),
        rib_width=u(0.05, 0.075), rib_grey=u(0.8, 1.2), front_grey=u(0.25, 0.6),
        jitter=rng.normal(0, 0.014, (2, 16)),
        spine=u(0.1, 0.125), bend=u(-0.03, 0.03), arm=u(-1.1, 1.0), gas=u(), gas_at=u(-0.1, 0.25),
        tree=int(rng.integers(1 << 30)), vessel_grey=u(0.7, 1.2), collar=u(-0.07, 0.05),
    )  # fmt: skip


def wall(a, side, y):
    """Return the inner chest wall's distance from the midline at heights y."""
    rise = np.sin(np.pi / 2 * np.clip((np.asarray(y) + 0.06) / 1.12, 0, 1))
    return (0.3 + 0.7 * rise**a.bell) * a.sides[side]


def dome(a, side, x):
    """Return the height of the diaphragm at distances x from the midline."""
    reach = (np.asarray(x) - 0.42) / 0.55
    return a.domes[side] + np.where(reach > 0, a.arch, a.dip) * np.abs(reach) ** 2.2


def lung(a, side):
    """Return the outline of one lung."""
    y = np.linspace(0.03, 1.3, 40)
    outer = np.stack([wall(a, side, y) * 0.97, y], 1)
    outer = outer[outer[:, 1] < dome(a, side, outer[:, 0])]
    x = np.linspace(outer[-1, 0], 0.03, 24)
    base = np.stack([x, dome(a, side, x)], 1)
    top = rounded([[0.08, 0.3], [0.1, 0.1], [0.24, -0.05], [0.4, -0.01], outer[1]])
    return np.r_[outer[1:], base, top] * (side, 1)


def belly(a):
    """Return the outline of what lies under the diaphragm."""
    x = np.linspace(0, 1.0, 24)
    # The heart sits on the diaphragm's middle, so the dip between its domes is not seen.
    right, left = ([(s * q, dome(a, s, max(q, 0.15))) for q in x] for s in SIDES)
    return np.array(right[::-1] + left + [(1.05, 2), (-1.05, 2)])


def mediastinum(a, turn):
    """Return the outline of the heart and what lies above it."""
    sails = a.thymus  # the young child's thymus widens the shadow above the heart
    right = [(-0.12, -0.4), (-a.upper - 0.3 * sails[-1], 0), (-a.upper - 0.02 - sails[-1], 0.3),
             (-a.heart_right - 0.5 * sails[-1], 0.5), (-a.heart_right - 0.05, 0.72),
             (-a.heart_right, 0.9), (-0.15, 1.1)]  # fmt: skip
    left = [(0.3, 1.12), (a.heart, 1.0), (a.heart + 0.05, 0.86), (a.heart - 0.1, 0.64),
            (0.27 + 0.8 * sails[1], 0.42), (a.upper + a.knob + 0.03 + sails[1], 0.27),
            (a.upper + 0.3 * sails[1], 0.1), (0.12, -0.4)]  # fmt: skip
    return np.r_[rounded(right), rounded(left)] + (turn, 0)


def torso(a):
    """Return the outline of trunk and neck."""
    y = np.linspace(0.1, 1.6, 20)
    side = 1.08 + a.fat - 0.1 * np.sin(np.pi * np.clip((y - 0.1) / 1.3, 0, 1))
    top = rounded([(0.4, -0.8), (0.46, -0.3), (0.75, -0.2), (1.15, -0.1), (side[0], 0.15)])
    half = np.r_[top, np.stack([side, y], 1)[2:]]
    return np.r_[half, (half * (-1, 1))[::-1]]


def arms(a, lift):
    """Return the midlines of both upper arms; `lift` turns them from hanging to raised."""
    t = np.linspace(0, 1, 10)
    lines = []
    for side in SIDES:
        angle = a.arm + lift + 0.12 * side * a.bend * 10
        x = 0.86 + 0.16 * t + 1.0 * t * np.cos(angle)
        lines.append(np.stack([side * x, 0.06 - 0.9 * t * np.sin(angle)], 1))
    return np.array(lines)


def blunt(count):
    """Return how a bone's width falls off at its two ends."""
    return np.sqrt(1.05 - np.linspace(-1, 1, count) ** 10)


def back_ribs(a, turn):
    """Return the posterior ribs for `Canvas.ribbons`: the cortex bright, the marrow less so."""
    t = np.linspace(0, 1, 18)
    i = np.repeat(np.arange(-1, a.ribs + 2), 2)[:, None]
    side = np.tile(SIDES, len(i) // 2)[:, None]
    end = rib_end(a, i, side)
    start = i * 1.16 / a.ribs - 0.02
    y = start + (end - start) * t**2.2 - a.bow * np.sin(np.pi * t**0.8)
    reach = np.where(side < 0, wall(a, -1, end), wall(a, 1, end)) + 0.025
    x = side * (a.spine * 0.7 + (reach - a.spine * 0.7) * np.sin(t * np.pi / 2) ** 0.9)
    points = np.stack([x - turn * (1 - t), y], -1)
    width = a.rib_width * (0.7 + 0.4 * t) * blunt(18) * np.where(i < 1, 0.8, 1)
    grey = 0.75 - 0.2 * (i[:, 0] < 1)
    return [(points, width, grey), (points, width * 0.55, grey * 0.76)]


def rib_end(a, i, side):
    """Return the height at which rib i reaches the chest wall."""
    return i * 1.16 / a.ribs + a.slope * (0.6 + 0.7 * i / a.ribs) + 0.07 + a.jitter[side // 2, i]


def front_ribs(a, turn):
    """Return the anterior ribs, running down and inward, and their turns at the wall."""
    t = np.linspace(0, 1, 14)
    i = np.repeat(np.arange(0, a.ribs + 1), 2)[:, None]
    side = np.tile(SIDES, len(i) // 2)[:, None]
    start = rib_end(a, i, side)
    edge = np.where(side < 0, wall(a, -1, start), wall(a, 1, start)) + 0.025
    inner = np.maximum(0.22, edge - 0.62)
    x = side * (edge - (edge - inner) * t**1.6) + turn * t
    y = start + (0.14 + a.slope * 0.9) * t**0.75
    points = np.stack([x, y], -1)
    width = a.rib_width * (0.9 + 0.5 * t)
    slab = [(points, width, 0.5), (points, width * 0.5, 0.38)]
    return slab, [(points[:, :4], a.rib_width * np.array([0.9, 1, 0.8, 0.3]), 0.8)]


def shoulder_bones(a, turn, lift):
    """Return clavicles, shoulder blades and upper arm bones for `Canvas.ribbons`."""
    rise = a.collar - 0.08 * lift
    far = [(0.5, rise - 0.03), (0.72, rise - 0.1), (0.95, rise - 0.04)]
    clavicle = rounded([(0.08, 0.11), (0.28, 0.11), *far])
    taper = (0.055 + 0.025 * np.linspace(-1, 1, len(clavicle)) ** 2) * blunt(len(clavicle))
    blade = rounded([(0.97, 0.02), (0.9, 0.2), (0.82, 0.42), (0.9, 0.52), (1.0, 0.3)])
    collars = np.array([clavicle * (s, 1) + (turn, 0) for s in SIDES])
    blades = np.array([blade * (s, 1) for s in SIDES])
    bone = arms(a, lift)[:, 1:]
    shaft = np.array([0.2, 0.17, 0.13, 0.12, 0.12, 0.12, 0.13, 0.15, 0.18]) * blunt(9)
    return [(blades, 0.045, 0.25), (bone, shaft, 0.6), (bone, shaft * 0.5, 0.45),
            (collars, taper, 0.95), (collars, taper * 0.5, 0.7)]  # fmt: skip


def vertebrae(a, turn):
    """Return the spine for `Canvas.ribbons`: its column, and discs and pedicles across it."""
    y = np.linspace(-0.6, 1.6, 40)
    middle = np.stack([a.bend * np.sin(2 * y + 1) - turn, y], 1)
    level = np.arange(-0.5, 1.5, 1.16 / a.ribs)[:, None]
    x = np.interp(level, y, middle[:, 0])
    wide = a.spine * (0.85 + 0.15 * level)
    across = np.array([-1.0, -0.5, 0.5, 1.0])
    discs = np.stack([x + wide * across, level + 0.012 * across**2], -1)
    pedicles = np.concatenate([
        np.stack([x + s * wide * 0.62 * [1, 1, 1], level + [0.03, 0.045, 0.06]], -1)
        for s in SIDES
    ])  # fmt: skip
    return [(middle, a.spine * 2 * (0.85 + 0.15 * y), 0.7), (discs, 0.026, 0.4),
            (discs + (0, 0.03), 0.014, 0.85), (pedicles, 0.032, 1.0)]  # fmt: skip


def vessels(a):
    """Grow the lung vessels from both hila, every branch into two, as tapering lines."""
    rng = seeded(a.tree)
    side = np.repeat(SIDES, 8)
    angle = np.tile(np.linspace(-1.4, 1.4, 8), 2) + rng.normal(0, 0.15, 16)
    start = np.stack([side * 0.2, 0.5 + 0.06 * np.sin(angle)], 1)
    width = 0.034 * rng.uniform(0.4, 1.1, 16)
    t = np.linspace(0, 1, 6)
    groups = []
    for level in range(5):
        length = rng.uniform(0.08, 0.2, len(side)) + 0.03 * (level == 0)
        turned = angle[:, None] + rng.normal(0, 0.3, (len(side), 1)) * t
        steps = np.stack([side[:, None] * np.cos(turned), 0.85 * np.sin(turned)], -1)
        path = start[:, None] + np.cumsum(steps * length[:, None, None] / 6, 1)
        path = np.concatenate([start[:, None], path], 1)
        groups.append((path, width[:, None] * np.linspace(1, 0.7, 7), 0.12 + 18 * width))
        start, side, width = (np.repeat(k, 2, 0) for k in (path[:, -1], side, width * 0.68))
        angle = np.repeat(angle, 2) + np.tile([-0.35, 0.35], len(angle))
        angle = angle + rng.normal(0, 0.2, len(angle))
    return groups
