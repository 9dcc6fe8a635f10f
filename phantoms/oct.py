"""Drawn OCT B-scans of the macula, a stand-in for the four classes of the Kermany set."""

import cv2
import numpy as np

from phantoms.drawing import Phantom, noise_field, seeded, soft, spots

LABELS = ("NORMAL", "CNV", "DME", "DRUSEN")

# From the vitreous down: thickness in rows of a 248-row scan, reflectivity (0 black, 1 white) and
# the share of the thickness that the foveal pit takes away. The layers of thickness 0 are the
# places where disease collects: a healthy eye has the names, but nothing in them.
LAYERS = {
    "nfl": (5.5, 0.74, 0.95),
    "gcl": (8.0, 0.50, 1.0),
    "ipl": (7.5, 0.57, 1.0),
    "inl": (7.5, 0.33, 0.9),
    "opl": (5.0, 0.58, 0.7),
    "onl": (14.0, 0.25, -0.25),
    "elm": (1.6, 0.46, 0.0),
    "inner segments": (3.0, 0.32, 0.0),
    "ellipsoid": (3.4, 0.84, -0.1),
    "outer segments": (3.4, 0.46, -0.3),
    "scar": (0.0, 0.70, 0.0),
    "fluid": (0.0, 0.05, 0.0),
    "rpe": (4.6, 0.95, 0.0),
    "deposit": (0.0, 0.50, 0.0),
}
ROW = {name: k for k, name in enumerate(LAYERS)}
TABLE = np.array(list(LAYERS.values()), np.float32)
VITREOUS, CHOROID = 0.07, 0.60


def draw(label, patient, view=0, seed=0, size=(248, 256)):
    """Draw one B-scan.

    Parameters
    ----------
    label : str
        One of `LABELS`.
    patient, view, seed : int
        The retina depends on seed and patient; pose, exposure and noise on the view too.
    size : tuple of int
        Height and width in pixels.

    Returns
    -------
    Phantom
        Grey image, and the mask "lesion": fluid, cysts, exudates, scar and drusen.
    """
    code = LABELS.index(label)
    rng = seeded(seed, patient, view, 1)
    scan = _anatomy(seeded(seed, patient, 0), rng, size)
    disease = {"CNV": _neovascular, "DME": _edema, "DRUSEN": _drusen}.get(label)
    cysts, exudates = disease(seeded(seed, patient, view, 2, code), scan) if disease else ([], [])
    image, edges, rows = _layers(scan, rng, size)
    mask = np.zeros(size, bool)
    for k in (ROW["scar"], ROW["fluid"], ROW["deposit"]):
        mask |= (rows > edges[k]) & (rows < edges[k + 1]) & (edges[k + 1] - edges[k] > 1)
    for places, level in ((cysts, 0.07), (exudates, 0.98)):
        if len(places):
            image, drawn = _ellipses(image, places, edges, level)
            mask |= drawn
    image, filled = _camera(image, rng, scan)
    return Phantom(image, {"lesion": mask & ~filled})


def _anatomy(body, rng, size):
    """Return the healthy scan: thickness of every layer per column, base line, shadows."""
    height, width = size
    x = (np.arange(width, dtype=np.float32) - width / 2) * 256 / width
    side, deep, wide = body.choice((-1, 1)), body.uniform(0.75, 1), body.uniform(18, 30)
    scale = body.uniform(0.85, 1.3) * body.uniform(0.9, 1.1, len(LAYERS))
    away = abs(rng.normal(0, 0.7))  # how far this scan passes from the middle of the pit
    pit = body.uniform(-65, 65) + rng.normal(0, 10)
    hole = deep * np.exp(-(away**2)) * np.exp(-(((x - pit) / wide) ** 2))
    thick = (TABLE[:, 0] * scale)[:, None] * (1 - TABLE[:, 2:] * hole)
    thick[0] *= 1 + side * (x - pit) / 230  # nerve fibres gather towards the disc
    for k in range(6):
        thick[k] *= 1 + 0.05 * noise_field(body, (1, width), width / 6)[0]
    bend = body.uniform(-3, 8) * (x / 128) ** 2 + 0.9 * noise_field(body, (1, width), width / 4)[0]
    base = 160 + body.uniform(-20, 20) + rng.uniform(-6, 6) + rng.normal(0, 0.03) * x - bend
    vessels = [(pit + body.uniform(-150, 150), body.uniform(1.5, 3.5)) for _ in range(5)]
    return {
        "x": x, "pit": pit, "thick": thick, "base": base, "vessels": vessels,
        "level": np.repeat(TABLE[:, 1:2], width, 1), "rows": height / 248, "columns": width / 256,
        "choroid": body.uniform(26, 52),
    }  # fmt: skip


def _neovascular(rng, scan):
    """CNV: an uneven lesion lifts the RPE, leaks fluid beside it and thickens the retina."""
    x, thick, level = scan["x"], scan["thick"], scan["level"]
    centre, wide = scan["pit"] * 0.3 + rng.uniform(-85, 85), rng.uniform(18, 38)
    lump = np.exp(-(np.abs((x - centre) / wide) ** 3))
    rough = 1 + 0.35 * noise_field(rng, (1, len(x)), len(x) / 24)[0].clip(-2, 2)
    thick[ROW["deposit"]] += rng.uniform(6, 18) * lump * rough
    thick[ROW["scar"]] += rng.uniform(4, 12) * lump * rough[::-1]
    beside = centre + rng.choice((-1, 1)) * wide * rng.uniform(0.7, 1.3)
    pool = np.exp(-(((x - beside) / rng.uniform(20, 34)) ** 2))
    thick[ROW["fluid"]] += rng.uniform(7, 15) * pool
    outer = slice(ROW["elm"], ROW["scar"])  # the photoreceptors lose their bands
    level[outer] += (0.4 - level[outer]) * lump
    level[ROW["rpe"]] *= 1 - 0.3 * lump * (rough - 0.4).clip(0, 1)
    thick[2:6] *= 1 + rng.uniform(0, 0.35) * np.maximum(lump, pool)
    many = rng.integers(0, 4)
    low, high = (-wide, 3.0, 3, 2), (wide, 5.6, 7, 4.5)
    return rng.uniform(low, high, (many, 4)) + (centre, 0, 0, 0), []


def _edema(rng, scan):
    """DME: the inner retina swells, the pit fills, cysts open, exudates cast shadows."""
    x, thick = scan["x"], scan["thick"]
    centre, wide = scan["pit"] + rng.uniform(-45, 45), rng.uniform(32, 60)
    swell = np.exp(-(((x - centre) / wide) ** 2))
    thick[:6] += (TABLE[:6, :1] - thick[:6]).clip(0) * rng.uniform(0.4, 0.8) * swell
    thick[3:6] *= 1 + rng.uniform(0.35, 1.0) * swell
    many, dots = rng.integers((4, 3), (11, 10))
    away = rng.normal(0, 0.55, many)
    tall = rng.uniform(4, 11, many) * (0.4 + 0.6 * np.exp(-(away**2)))
    layer = rng.choice((3.5, 5.3, 5.5), many)
    cysts = np.stack([centre + away * wide, layer, tall * rng.uniform(0.6, 1.3, many), tall], 1)
    where, radius = rng.normal(centre, wide, dots), rng.uniform(1.2, 2.6, dots)
    exudates = np.stack([where, rng.uniform(3.2, 5.3, dots), radius * 1.3, radius], 1)
    if rng.random() < 0.3:
        thick[ROW["fluid"]] += rng.uniform(5, 12) * np.exp(-(((x - centre) / 24) ** 2))
    return cysts, exudates


def _drusen(rng, scan):
    """DRUSEN: several mounds lift the RPE and thin the layer of the photoreceptors above."""
    x, thick = scan["x"], scan["thick"]
    mounds = np.zeros_like(x)
    for _ in range(rng.integers(6, 12)):
        away = np.abs(x - scan["pit"] * 0.6 - rng.normal(0, 50)) / rng.uniform(7, 15)
        mounds = np.maximum(mounds, rng.uniform(8, 17) * np.exp(-(away**2.5)))
    thick[ROW["deposit"]] += mounds
    thick[ROW["onl"]] -= np.minimum(0.7 * mounds, 0.75 * thick[ROW["onl"]])
    scan["level"][ROW["ellipsoid"]] *= 1 - 0.035 * mounds
    return [], []


def _layers(scan, rng, size):
    """Paint the layers; return the image, the upper edge of each layer and the row numbers."""
    thick = np.maximum(scan["thick"], 0)
    below = np.cumsum(thick[::-1], axis=0)[::-1]
    edges = np.vstack([scan["base"] - below, scan["base"][None]]) * scan["rows"]
    edges = edges.astype(np.float32)
    for k in range(7):  # the retina is stiff: its inner layers smooth over what lies below
        edges[k] = cv2.GaussianBlur(edges[k][None], (0, 0), (8 - k) * 1.3 * scan["columns"])[0]
    edges = np.minimum.accumulate(edges[::-1], axis=0)[::-1]
    rows = np.arange(size[0], dtype=np.float32)[:, None]
    image = np.full(size, VITREOUS, np.float32)
    levels = np.pad(scan["level"], ((1, 1), (0, 0)))
    levels[0], levels[-1] = VITREOUS, CHOROID
    for edge, step in zip(edges, np.diff(levels, axis=0), strict=True):
        image += step * np.clip((rows - edge) / 2 + 0.5, 0, 1)
    depth = (rows - edges[-1]) / scan["rows"]
    lumens = noise_field(rng, (size[0], size[1] // 2), 6 * scan["rows"])
    lumens = cv2.resize(lumens, size[::-1])  # choroidal vessels lie flat
    fade = np.exp(-(np.clip(depth / scan["choroid"], 0, 8) ** 1.6))
    inside = np.clip(depth / 6, 0, 1)
    image *= 1 + inside * (fade * (1 + 0.22 * lumens) - 1)
    image += 0.06 * inside
    below_inl = np.clip((rows - edges[3]) / 8, 0, 1)
    shade = np.ones(size[1], np.float32)
    for where, radius in scan["vessels"]:
        shade *= 1 - 0.4 * np.exp(-(((scan["x"] - where) / radius) ** 2))
    return image * (1 - below_inl * (1 - shade)), edges, rows


def _ellipses(image, places, edges, level):
    """Fill ellipses (x, layer, half width, half height) with a grey; bright ones cast shadows."""
    height, width = image.shape
    columns = ((places[:, 0] + 128) * width / 256).clip(0, width - 1)
    at, order = columns.astype(int), range(len(edges))
    rows = [np.interp(k, order, edges[:, c]) for c, k in zip(at, places[:, 1], strict=True)]
    axes = places[:, 2:] * (width / 256, height / 248)
    many = len(places)
    drawn = spots(image.shape, np.stack([columns, rows], 1), axes, [0] * many, [255] * many) > 127
    if level > 0.5:
        shade = 0.45 * soft(drawn.any(axis=0)[None], 1.0)
        below = np.clip((np.arange(height, dtype=np.float32)[:, None] - edges[5]) / 10, 0, 1)
        image = image * (1 - below * shade)
    return image + (level - image) * soft(drawn, 0.9), drawn


def _camera(image, rng, scan):
    """Give focus, speckle, exposure and the white fill of a registered scan."""
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.3))
    grain = rng.standard_normal(image.shape, np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.4, 0.8))
    # The beam is rarely equally strong everywhere.
    image = image * (1 + 0.18 * noise_field(rng, image.shape, image.shape[1] / 1.5)).clip(0.3)
    image = image + rng.uniform(0.08, 0.2) * grain * (0.35 + image)
    image = np.maximum(image, 0) ** rng.uniform(0.85, 1.2)
    # Disease changes the mean; the operator's exposure does not know of it.
    image *= rng.uniform(40, 75) / image.mean()
    filled = np.zeros(image.shape, bool)
    if rng.random() < 0.15:
        slope, start = rng.normal(0, 0.06), rng.uniform(0, 12)
        line = (start + slope * scan["x"]) * scan["rows"]
        filled = np.arange(image.shape[0])[:, None] < line
        filled = filled[::-1] if rng.random() < 0.6 else filled
        image[filled] = 255
    return np.clip(image, 0, 255).astype(np.uint8), filled
