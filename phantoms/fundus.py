"""Drawn colour fundus photographs, a stand-in for the disease classes of RFMiD."""

import cv2
import numpy as np

from phantoms.drawing import Phantom, noise_field, seeded, soft, spots

LABELS = (
    "normal", "opacity", "diabetic retinopathy", "glaucoma", "macular edema",
    "macular degeneration", "retinal vascular occlusion",
)  # fmt: skip

# Positions are in radii of the photographed field, the fovea at (0, 0), the disc at (DISC, 0).
DISC = 0.62
# How each kind of lesion is laid on: colour, strength, softness of its edge in field radii.
KINDS = {
    "blood": (np.float32([0.46, 0.08, 0.06]), 0.95, 0.007),
    "exudate": (np.float32([0.98, 0.85, 0.45]), 0.85, 0.006),
    "cotton": (np.float32([0.92, 0.76, 0.55]), 0.6, 0.018),
    "drusen": (np.float32([0.92, 0.68, 0.34]), 0.7, 0.009),
    "atrophy": (np.float32([0.90, 0.62, 0.36]), 0.6, 0.008),
    "pigment": (np.float32([0.22, 0.10, 0.06]), 0.7, 0.008),
    "swelling": (np.float32([0.80, 0.50, 0.28]), 0.25, 0.05),
}


def draw(labels, patient, view=0, seed=0, size=(192, 192)):
    """Draw one photograph.

    Parameters
    ----------
    labels : iterable of str
        Diseases, any number of `LABELS`; ("normal",) or () for none.
    patient, view, seed : int
        The eye and its lesions depend on seed and patient; pose and camera on the view too.
    size : tuple of int
        Height and width in pixels; the round field is centred and black lies around it.

    Returns
    -------
    Phantom
        RGB image; one mask per disease (glaucoma: the optic disc) and "lesion", their union.
    """
    sick = {name: seeded(seed, patient, 2, LABELS.index(name)) for name in sorted(labels)}
    rng = seeded(seed, patient, view, 1)
    eye = _anatomy(seeded(seed, patient, 0), sick)
    pose = _pose(rng, eye["side"], size)
    masks = {name: np.zeros(size, bool) for name in LABELS[1:]}
    image, disc = _background(seeded(seed, patient, 3), eye, pose)
    image = _vessels(image, eye["tree"], pose)
    for name in [name for name in PAINTERS if name in sick]:
        for kind, layer in PAINTERS[name](sick[name], pose, eye).items():
            colour, strength, edge = KINDS[kind]
            cover = soft(layer, edge * pose["unit"]) * (strength / 255)
            image += cover[..., None] * (colour - image)
            masks[name] |= layer > 127
    masks["glaucoma"] |= disc & ("glaucoma" in sick)
    if "opacity" in sick:
        image, masks["opacity"] = _haze(image, sick["opacity"], pose)
    image = _camera(image, rng, pose, 0.003 * ("opacity" in sick))  # dim light, more gain
    masks = {name: mask & (pose["field"] > 0.5) for name, mask in masks.items()}
    return Phantom(image, masks | {"lesion": np.any(list(masks.values()), axis=0)})


def _anatomy(body, sick):
    """Return the eye: side, disc, cup, pigment, and vessels as (points, width, is it a vein)."""
    eye = {"side": body.choice((-1, 1)), "occluded": 0, "tree": []}
    low, high = (0.135, 0.20, 0.15, 0.04, 7), (0.17, 0.50, 0.45, 0.12, 13)
    drawn = body.uniform(low, high).tolist()
    eye |= zip(("disc", "cup", "fovea", "texture", "grain"), drawn, strict=True)
    if "glaucoma" in sick:
        eye["cup"] = sick["glaucoma"].uniform(0.75, 0.92)
    if "retinal vascular occlusion" in sick:
        eye["occluded"] = sick["retinal vascular occlusion"].choice((-1, 1))
    for up in (-1, 1):
        for vein in (False, True):
            low, high = body.uniform(0.30, 0.45), body.uniform(0.55, 0.7) + 0.06 * vein
            bend = [[DISC + 0.05, up * 0.45], [0.15, up * (high + 0.1)], [-1.2, up * low * 0.7]]
            stuck = vein and eye["occluded"] == up
            eye["tree"] += _arcade(body, bend, 0.030 if vein else 0.022, vein, 5, stuck)
            bend = [[DISC + 0.1, up * 0.2], [DISC + 0.3, up * high], [1.6, up * (high + 0.1)]]
            eye["tree"] += _arcade(body, bend, 0.021 if vein else 0.017, vein, 4)
    return eye


def _arcade(body, bend, width, vein, branches, stuck=False):
    """Grow one great vessel out of the disc with its branches; a stuck vein swells and winds."""
    t = np.linspace(0, 1, 30)[:, None]
    bend = np.array(bend) + body.normal(0, 0.035, (3, 2)) + (0.03 if vein else -0.03)
    bezier = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    wave = np.sin(t * body.uniform(20, 30) + body.uniform(0, 6, 2)) * np.minimum(1, 5 * t)
    trunk = bezier @ [[DISC + 0.05, 0], *bend] + wave * (0.03 if stuck else 0.01)
    width *= 1.5 if stuck else 1
    tree = [(trunk, width, vein)]
    way = body.choice((-1, 1))
    for start in np.sort(body.integers(4, 26, branches)):
        way = -way
        branch = _branch(body, trunk[start : start + 2], way, body.uniform(0.35, 0.8))
        twig = _branch(body, branch[len(branch) // 3 :][:2], -way, body.uniform(0.2, 0.4))
        tree += [(branch, width * 0.55, vein), (twig, width * 0.35, vein)]
    return tree


def _branch(body, parent, way, length):
    """Let a branch leave its parent to one side and bend back along it, short of the fovea."""
    along = np.arctan2(*(parent[1] - parent[0])[::-1])
    leave, back, phase = body.uniform([0.5, 0.1, 0], [1.1, 0.9, 6])
    t = np.arange(14) / 14
    angle = along + way * (leave - back * t) + 0.3 * np.sin(9 * t + phase)
    steps = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (length / 14)
    path = np.vstack([parent[:1], parent[0] + steps.cumsum(axis=0)])
    near = np.hypot(*path.T) < 0.14
    return path[: max(2, near.argmax())] if near.any() else path


def _pose(rng, side, size):
    """Place the eye in the picture: an affine map from field radii to pixels, and its grids."""
    height, width = size
    radius = 0.5 * min(size) * rng.uniform(0.95, 1.05)
    zoom, turn = radius * rng.uniform(0.9, 1.1), rng.normal(0, 0.06)
    across, down = zoom * np.cos(turn), zoom * np.sin(turn)
    linear = np.array([[side * across, -down], [side * down, across]])
    aim = [rng.uniform(-0.1, 0.65), rng.normal(0, 0.12)]  # from the macula to the disc
    offset = np.array([width / 2, height / 2]) - linear @ aim
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    out = np.hypot(columns - width / 2, rows - height / 2) / radius
    field = np.clip((0.97 - out) * radius + 0.5, 0, 1)
    if rng.random() < 0.4:  # many cameras cut the round field off above and below
        cut = int(height * rng.uniform(0.02, 0.08))
        field[:cut] = field[height - cut :] = 0
    columns, rows = columns - np.float32(offset[0]), rows - np.float32(offset[1])
    x, y = (a * columns + b * rows for a, b in np.linalg.inv(linear).astype(np.float32))
    return dict(x=x, y=y, out=out, field=field, linear=linear, offset=offset, unit=zoom)


def _background(body, eye, pose):
    """Paint choroidal texture, the dark fovea and the disc, which occlusion swells and blurs."""
    noise = eye["texture"] * (0.8 - np.abs(noise_field(body, (200, 200), eye["grain"])))
    noise += 0.05 * noise_field(body, (200, 200), 50)
    corner = pose["offset"] - pose["linear"] @ [1.7, 2.0]
    to_pixels = np.hstack([pose["linear"] / 50, corner[:, None]])
    noise = cv2.warpAffine(noise, to_pixels, pose["out"].shape[::-1], borderMode=cv2.BORDER_REFLECT)
    far = pose["x"] ** 2 + pose["y"] ** 2
    shade = 1 + noise - eye["fovea"] * np.exp(far / -0.02) - 0.12 * np.exp(far / -0.12)
    # Melanin takes green and blue before red.
    image = np.dstack([0.70 * (0.3 + 0.7 * shade), 0.36 * shade, 0.17 * shade])
    away = np.hypot((pose["x"] - DISC) * 1.1, pose["y"]) / eye["disc"]
    rim = np.clip((1 - away) / (0.45 if eye["occluded"] else 0.15) + 0.5, 0, 1)[..., None]
    cup = np.clip((eye["cup"] - away) / 0.2 + 0.5, 0, 1)[..., None]
    image = image + 0.85 * rim * (np.float32([0.94, 0.62, 0.32]) - image)
    return image + 0.9 * cup * (np.float32([0.98, 0.84, 0.54]) - image), away < 1


def _vessels(image, tree, pose):
    """Draw the tree at double size, so that thin vessels stay thin, and let it swallow light."""
    layer = np.zeros((2 * image.shape[0], 2 * image.shape[1]), np.uint8)
    for path, thick, vein in sorted(tree, key=lambda vessel: vessel[2]):
        points = ((path @ pose["linear"].T + pose["offset"]) * 32).round().astype(np.int32)
        for k in range(3):  # a vessel tapers in three steps
            piece = points[k * len(points) // 3 : (k + 1) * len(points) // 3 + 1]
            wide = max(1, round(thick * (1 - 0.25 * k) * 2 * pose["unit"]))
            cv2.polylines(layer, [piece], False, 180 if vein else 115, wide, cv2.LINE_AA, 4)
    layer = cv2.resize(layer, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return image * (1 - layer[..., None] * (np.float32([0.35, 0.78, 0.65]) / 255))


def _spots(rng, pose, places, radii, ratios=(1, 1.4), lean=None):
    """Draw spots with radii and side ratios between two given, leaning at random if not told."""
    many = len(places)
    short = rng.uniform(*radii, many) * pose["unit"]
    axes = np.stack([short * rng.uniform(*ratios, many), short], axis=1)
    lean = rng.uniform(0, np.pi, many) if lean is None else lean
    angles = np.degrees(lean) * np.sign(pose["linear"][0, 0])
    centres = places @ pose["linear"].T + pose["offset"]
    return spots(pose["out"].shape, centres, axes, angles, rng.integers(150, 256, many))


def _retinopathy(rng, pose, eye):
    """Microaneurysms, blot haemorrhages, clustered exudates and cotton-wool spots."""
    places = [rng.normal((0.2, 0), 0.4, (n, 2)) for n in rng.integers((22, 2, 1), (50, 6, 5))]
    blood = _spots(rng, pose, places[0], (0.010, 0.030), (1, 1.8))
    fat = _spots(rng, pose, rng.normal(np.repeat(places[1], 9, axis=0), 0.05), (0.009, 0.02))
    wool = _spots(rng, pose, places[2], (0.03, 0.055))
    return {"cotton": wool, "blood": blood, "exudate": fat}


def _edema(rng, pose, eye):
    """Pale swelling of the macula inside a ring of exudates, with a little blood."""
    heart, radius, many = rng.normal(0, 0.08, 2), rng.uniform(0.13, 0.24), rng.integers(25, 50)
    angle = rng.uniform(0, 6.3) + rng.uniform(0, rng.uniform(3, 6.3), many)
    heading = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places = heart + radius * rng.normal(1, 0.15, (many, 1)) * heading
    fat = _spots(rng, pose, places, (0.009, 0.02), (1, 2))
    blood = _spots(rng, pose, rng.normal(heart, radius * 0.6, (many // 3, 2)), (0.014, 0.028))
    swollen = _spots(rng, pose, heart[None], (radius, radius))
    return {"swelling": swollen, "blood": blood, "exudate": fat}


def _degeneration(rng, pose, eye):
    """Drusen around the fovea with clumps of pigment, at times a sharp patch of atrophy."""
    many = rng.integers((30, 5, 4), (70, 14, 8)) * (1, 1, rng.random() < 0.4)
    places = [rng.normal(0, far, (n, 2)) for n, far in zip(many, (0.16, 0.1, 0.05), strict=True)]
    drusen = _spots(rng, pose, places[0], (0.01, 0.025))
    clumps = _spots(rng, pose, places[1], (0.014, 0.032), (1, 2))
    patch = _spots(rng, pose, places[2], (0.04, 0.09))
    return {"atrophy": patch, "drusen": drusen, "pigment": clumps}


def _occlusion(rng, pose, eye):
    """Flame haemorrhages along the nerve fibres of the half that the stuck vein drains."""
    many = rng.integers(50, 110)
    angle = np.pi + eye["occluded"] * rng.normal(rng.uniform(-1.1, -0.6), 0.3, many)
    heading = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places = [DISC, 0] + rng.uniform(0.2, 0.95, (many, 1)) * heading
    flames = _spots(rng, pose, places, (0.011, 0.023), (2, 4.5), rng.normal(angle, 0.15))
    wool = _spots(rng, pose, places[:: rng.integers(8, 20)], (0.03, 0.05))
    pale = _spots(rng, pose, places[::8], (0.07, 0.11))
    return {"swelling": pale, "cotton": wool, "blood": flames}


PAINTERS = {
    "diabetic retinopathy": _retinopathy,
    "macular edema": _edema,
    "macular degeneration": _degeneration,
    "retinal vascular occlusion": _occlusion,
}


def _haze(image, rng, pose):
    """Opacity: milky media scatter light over a part of the field, thickest in its middle."""
    away = np.hypot(pose["x"] - rng.uniform(-0.3, 0.8), pose["y"] - rng.normal(0, 0.35))
    veil = rng.uniform(0.75, 0.95) * np.exp(-((away / rng.uniform(0.6, 1.1)) ** 4))
    milk = image.mean(axis=(0, 1)) * np.float32([1.0, 1.12, 1.3])
    blurred = cv2.GaussianBlur(image, (0, 0), 0.03 * pose["unit"])
    return image + veil[..., None] * (0.4 * blurred + 0.6 * milk - image), veil > 0.3


def _camera(image, rng, pose, grain):
    """Give focus, light fall-off, tint, exposure, noise and the black surround."""
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.9))
    tilt = rng.normal(0, 0.2, 2)
    light = 1 - rng.uniform(0, 0.45) * pose["out"] ** 2 + tilt[0] * pose["x"] + tilt[1] * pose["y"]
    image *= np.maximum(light, 0.25)[..., None]
    # White balance and exposure: what disease does to the mean colour is gone afterwards.
    wanted = rng.uniform(0.50, 0.78) * np.array([1, *rng.uniform((0.40, 0.12), (0.62, 0.36))])
    mean = cv2.mean(image, (pose["field"] > 0.5).astype(np.uint8))[:3]
    image *= np.float32(wanted / mean)
    noise = rng.standard_normal((*image.shape[:2], 1), np.float32)
    noise *= grain + rng.uniform(0.003, 0.023)
    return (255 * pose["field"][..., None] * np.clip(image + noise, 0, 1)).astype(np.uint8)
