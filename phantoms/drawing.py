"""What every phantom is drawn with: seeds, noise fields, soft shapes."""

from typing import NamedTuple

import cv2
import numpy as np


class Phantom(NamedTuple):
    """A drawn image and where things are in it.

    Attributes
    ----------
    image : ndarray of uint8
        [H, W] grey or [H, W, 3] RGB.
    masks : dict of str to ndarray of bool
        Each [H, W]. Every lesion's mask is there, empty (all False) where the image has none.
    """

    image: np.ndarray
    masks: dict


def seeded(*key):
    """Return a generator that depends on nothing but the integers given."""
    return np.random.default_rng(key)


def noise_field(rng, shape, scale):
    """Draw smooth noise of mean 0 and deviation about 1, its grain `scale` pixels wide."""
    height, width = (max(4, round(n / scale) + 3) for n in shape)
    coarse = rng.standard_normal((height, width)).astype(np.float32)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def soft(mask, sigma):
    """Blur a mask into float32 0..1, `sigma` in pixels."""
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)


class Canvas:
    """Draws shapes given in coordinates of their own; `matrix` [2, 3] takes these to pixels."""

    def __init__(self, shape, matrix):
        self.shape, self.matrix = shape, matrix
        self.unit = float(np.hypot(matrix[0, 0], matrix[1, 0]))  # pixels in one unit of x

    def pixels(self, points):
        """Return those coordinates as pixel coordinates."""
        return np.asarray(points, np.float32) @ self.matrix[:, :2].T + self.matrix[:, 2]

    def grid(self, step):
        """Return the coordinates x, y of every `step`-th pixel."""
        rows, columns = (np.arange(step / 2, n + step, step) for n in self.shape)
        at = np.stack(np.meshgrid(columns, rows), -1) - self.matrix[:, 2]
        return np.moveaxis(at @ np.linalg.inv(self.matrix[:, :2]).T, -1, 0).astype(np.float32)

    def blur(self, layer, sigma):
        """Return an 8-bit layer as float32 0..1, blurred by `sigma` x units."""
        layer = layer.astype(np.float32) / 255
        sigma *= self.unit
        if sigma < 4:
            return cv2.GaussianBlur(layer, (0, 0), sigma) if sigma > 0.3 else layer
        small = cv2.resize(layer, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma / 4, borderType=cv2.BORDER_REPLICATE)
        return cv2.resize(small, layer.shape[::-1], interpolation=cv2.INTER_CUBIC)

    def fill(self, polygons, sigma=0.0):
        """Fill polygons; `sigma` softens their edges, in x units."""
        layer = np.zeros(self.shape, np.uint8)
        for points in polygons:
            self.paint(layer, self.pixels(points), 1)
        return self.blur(layer, sigma)

    def paint(self, layer, pixels, value):
        """Fill one polygon of pixel coordinates with a grey of 0..1."""
        fixed = np.round(pixels * 16).astype(np.int32)  # sixteenths of a pixel: edges stay smooth
        cv2.fillPoly(layer, [fixed], int(255 * value), cv2.LINE_AA, 4)

    def ribbons(self, groups, sigma=0.0):
        """Draw groups of lines, each line over those before it.

        A group is (points [n, p, 2] or [p, 2], their widths in x units, grey of each line).
        """
        layer = np.zeros(self.shape, np.uint8)
        for points, width, grey in groups:
            path = self.pixels(points)
            path = path[None] if path.ndim == 2 else path
            along = np.gradient(path, axis=1)
            across = np.stack([-along[..., 1], along[..., 0]], -1)
            across /= np.linalg.norm(across, axis=-1, keepdims=True) + 1e-6
            across *= np.broadcast_to(width, path.shape[:2])[..., None] * self.unit / 2
            outlines = np.concatenate([path + across, (path - across)[:, ::-1]], 1)
            for outline, value in zip(outlines, np.broadcast_to(grey, len(path)), strict=True):
                self.paint(layer, outline, value)
        return self.blur(layer, sigma)


def rounded(points, rounds=3):
    """Cut the corners of an open line until it is smooth (Chaikin 1974)."""
    points = np.asarray(points, np.float32)
    for _ in range(rounds):
        a, b = points[:-1], points[1:]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], 1).reshape(-1, 2)
        points = np.r_[points[:1], cut, points[-1:]]
    return points


def ellipse(x, y, wide, high):
    """Return the outline of an ellipse."""
    t = np.linspace(0, 2 * np.pi, 40)
    return np.stack([x + wide * np.cos(t), y + high * np.sin(t)], 1)


def spots(shape, centres, axes, angles, values):
    """Fill ellipses, given in pixels and degrees, with greys 0..255 in an 8-bit layer."""
    layer = np.zeros(shape, np.uint8)
    for (x, y), (a, b), angle, value in zip(centres, axes, angles, values, strict=True):
        centre, half = (int(16 * x), int(16 * y)), (int(16 * a), int(16 * b))
        cv2.ellipse(layer, centre, half, angle, 0, 360, int(value), -1, cv2.LINE_AA, 4)
    return layer
