"""Phantoms: the same from the same seed, masks that are true, and no shortcut to the disease."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers import datasets, evaluation
from phantoms import archives, chest, fundus, oct

DRAWERS = {
    "chest": (chest.LABELS, chest.draw),
    "oct": (oct.LABELS, oct.draw),
    "fundus": (
        fundus.LABELS,
        lambda label, *key, **options: fundus.draw((label,), *key, **options),
    ),
}


@pytest.mark.parametrize("modality", DRAWERS)
def test_same_seed_same_picture(modality):
    labels, draw = DRAWERS[modality]
    for label in labels:
        one, two = draw(label, 7, 1, seed=3), draw(label, 7, 1, seed=3)
        assert (one.image == two.image).all() and one.image.dtype == np.uint8
        assert one.masks.keys() == two.masks.keys()
        assert all((one.masks[name] == two.masks[name]).all() for name in one.masks)
        for other in (draw(label, 8, 1, seed=3), draw(label, 7, 2, seed=3), draw(label, 7, 1, 4)):
            assert other.image.shape != one.image.shape or (other.image != one.image).any()


@pytest.mark.parametrize("modality", DRAWERS)
def test_masks(modality):
    labels, draw = DRAWERS[modality]
    for label in labels:
        for patient in range(5):
            phantom = draw(label, patient)
            for mask in phantom.masks.values():
                assert mask.dtype == bool and mask.shape == phantom.image.shape[:2]
            assert phantom.masks["lesion"].any() == (label.lower() != "normal"), (label, patient)


def test_several_diseases_in_one_eye():
    both = fundus.draw(("glaucoma", "opacity"), 3)
    assert both.masks["glaucoma"].any() and both.masks["opacity"].any()
    assert not both.masks["macular edema"].any()


def test_marker_can_be_chosen():
    assert not chest.draw("normal", 1, marker="none").masks["marker"].any()
    for letter in "RL":
        phantom = chest.draw("normal", 1, marker=letter)
        assert 0 < phantom.masks["marker"].mean() < 0.05
    shown = [
        chest.draw(label, n).masks["marker"].any() for n in range(40) for label in chest.LABELS
    ]
    assert 0.3 < np.mean(shown) < 1


@pytest.mark.parametrize("modality", DRAWERS)
def test_a_patient_is_recognisable(modality):
    """A second picture of a patient fits better than another patient's, however it is placed."""

    def small(phantom):
        grey = np.asarray(Image.fromarray(phantom.image).convert("L"), np.float32)
        grey = cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA)
        return grey - cv2.GaussianBlur(grey, (0, 0), 4)

    labels, draw = DRAWERS[modality]
    views = [[small(draw(labels[0], patient, view)) for view in (0, 1)] for patient in range(40)]

    def fit(one, two):
        return cv2.matchTemplate(two, one[8:-8, 8:-8], cv2.TM_CCOEFF_NORMED).max()

    fits = np.array([[fit(one, two) for _, two in views] for one, _ in views])
    own = fits.diagonal()[:, None]
    assert (fits < own).mean() > 0.63  # chance: a half


def test_packing_twice_gives_the_same_bytes(tmp_path):
    table = datasets.table("oct2017")
    assert table["path"].str.contains("sample").all()
    plan = archives.PLANS["oct2017"](0)[0]
    assert plan == archives.PLANS["oct2017"](0)[0] != archives.PLANS["oct2017"](1)[0]


def chest_kind(path):
    causes = {"bacteria": "bacterial", "virus": "viral"}
    return next((kind for cause, kind in causes.items() if cause in Path(path).name), "normal")


def pairs():
    """Yield (name, table, sick) for normal against each disease, from the samples themselves."""
    chest_table = datasets.table("chest_xray")
    kinds = chest_table["path"].map(chest_kind)
    for kind in ("bacterial", "viral"):
        yield kind, chest_table[kinds.isin(["normal", kind])], "PNEUMONIA"
    covid = datasets.table("covid_radiography")
    for kind in ("COVID", "Lung_Opacity", "Viral Pneumonia"):
        yield kind, covid[covid["label"].isin(["Normal", kind])], kind
    scans = datasets.table("oct2017")
    for kind in oct.LABELS[1:]:
        yield kind, scans[scans["label"].isin(["NORMAL", kind])], kind
    eyes = datasets.table("vietai_retina").dropna(subset="label")
    for kind in fundus.LABELS[1:]:
        rows = eyes[(eyes["label"] == "normal") | (eyes[kind] == 1)]
        yield kind, rows.assign(label=np.where(rows[kind] == 1, kind, "normal")), kind


def jpeg_bytes(path):
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.save(buffer, "JPEG", quality=90)
    return len(buffer.getvalue())


@pytest.mark.parametrize("name, rows, sick", pairs(), ids=lambda value: str(value)[:20])
def test_no_shortcut(name, rows, sick):
    truth = (rows["label"] == sick).to_numpy()
    pixels = evaluation.thumbnails(rows["path"])
    rival = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.1))
    folds = GroupKFold(5).split(pixels, truth, rows["group"])
    tiny = cross_val_predict(rival, pixels, truth, cv=list(folds), method="predict_proba")[:, 1]
    found = {
        "bytes": roc_auc_score(truth, [jpeg_bytes(path) for path in rows["path"]]),
        "mean intensity": roc_auc_score(truth, pixels.mean(axis=1)),
        "8x8 pixels": roc_auc_score(truth, tiny),
    }
    print({k: round(max(v, 1 - v), 3) for k, v in found.items()})
    for shortcut, bound in {"bytes": 0.65, "mean intensity": 0.75, "8x8 pixels": 0.9}.items():
        auc = max(found[shortcut], 1 - found[shortcut])
        assert auc <= bound, f"{name}: {shortcut} tells normal from sick with AUC {auc:.2f}"
