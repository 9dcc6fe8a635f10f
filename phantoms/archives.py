"""Pack drawn phantoms as archives in the very layout and naming of the Kaggle ones.

Junk folders and second copies are packed as well, so that unpacking a sample runs the same lines
as unpacking the real thing.
"""

import io
import zipfile
from typing import NamedTuple

import cv2
import joblib
import numpy as np
from PIL import Image

from phantoms import chest, fundus, oct
from phantoms.drawing import seeded

FUNDUS_COLUMNS = {
    "opacity": "MH",
    "diabetic retinopathy": "DR",
    "glaucoma": "ODC",
    "macular edema": "CME",
    "macular degeneration": "ARMD",
    "retinal vascular occlusion": "BRVO",
}
RFMID_HEADER = (
    "ID,Disease_Risk,DR,ARMD,MH,DN,MYA,BRVO,TSLN,ERM,LS,MS,CSR,ODC,CRVO,TV,AH,ODP,ODE,ST,AION,PT,"
    "RT,RS,CRS,EDN,RPEC,MHL,RP,CWS,CB,ODPM,PRH,MNF,HR,CRAO,TD,CME,PTCR,CF,VH,MCA,VS,BRAO,PLQ,"
    "HPED,CL"
)


class Job(NamedTuple):
    """One image to draw: where it goes, what is on it, whose it is."""

    member: str
    drawer: str
    labels: tuple
    patient: int
    view: int
    size: tuple | None = None


def write(name, folder, seed=0, workers=2):
    """Draw a data set's sample and pack it as two archives: the images and their masks.

    Parameters
    ----------
    name : str
        A data set of the registry, e.g. "chest_xray".
    folder : pathlib.Path
        Where ``<name>-sample.zip`` and ``<name>-sample-masks.zip`` are written.
    seed : int
        Another seed draws other patients.
    workers : int
        Processes that draw.

    Returns
    -------
    tuple of pathlib.Path
        The archive of the images, and of the masks: PNG files at the same places, one bit a mask
        in the order of `mask_names`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs, texts, copy = PLANS[name](seed)
    archives = folder / f"{name}-sample.zip", folder / f"{name}-sample-masks.zip"
    # processes that are not forked, as TensorFlow's threads may be running; and that do not run a
    # script's lines anew, as Python's own do where a lesson was saved as one
    draw = joblib.delayed(_draw)
    drawn = joblib.Parallel(workers, batch_size=16)(draw(job, seed) for job in jobs)
    images = [(job.member, image) for job, (image, _) in zip(jobs, drawn, strict=True)]
    images += [(member, text.encode()) for member, text in texts]
    if name == "covid_radiography":
        # lung masks lie beside the images, as on Kaggle: a careless listing swallows them
        images += [
            (job.member.replace("/images/", "/masks/"), _lungs(mask))
            for job, (_, mask) in zip(jobs, drawn, strict=True)
        ]
    images += [(copy(member), data) for member, data in images if copy(member)]
    _pack(archives[0], images)
    _pack(
        archives[1], [(j.member + ".png", mask) for j, (_, mask) in zip(jobs, drawn, strict=True)]
    )
    return archives


def mask_names(name):
    """Return the names of a data set's masks, in the order of the bits in its mask files."""
    if name in ("chest_xray", "covid_radiography"):
        return ("lesion", "lungs", "marker")
    return ("lesion",) if name == "oct2017" else tuple(FUNDUS_COLUMNS)


def _draw(job, seed):
    if job.drawer == "chest":
        phantom = chest.draw(job.labels[0], job.patient, job.view, seed)
        names = mask_names("chest_xray")
    elif job.drawer == "oct":
        phantom, names = oct.draw(job.labels[0], job.patient, job.view, seed), ("lesion",)
    else:
        phantom = fundus.draw(job.labels, job.patient, job.view, seed, size=job.size)
        names = mask_names("rfmid")
    image = phantom.image
    mask = sum((phantom.masks[n].astype(np.uint8) << bit) for bit, n in enumerate(names))
    if job.drawer == "chest" and job.size:
        image = cv2.resize(image, job.size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, job.size, interpolation=cv2.INTER_NEAREST)
    suffix = "." + job.member.rpartition(".")[2]
    return _encoded(suffix, image), _encoded(".png", mask)


def _lungs(mask):
    bits = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)
    return _encoded(".png", ((bits >> 1) & 1) * np.uint8(255))


def _encoded(suffix, image):
    buffer = io.BytesIO()
    options = {"format": "PNG"} if suffix == ".png" else {"format": "JPEG", "quality": 90}
    Image.fromarray(image).save(buffer, **options)
    return buffer.getvalue()


def _pack(path, members):
    part = path.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for member, data in members:  # a fixed date: the same seed gives the same bytes
            archive.writestr(zipfile.ZipInfo(member, (2018, 1, 1, 0, 0, 0)), data)
    part.replace(path)


def _patients(rng, images):
    """Share out images among patients, 1 to 4 each; yield (patient, view) pairs."""
    patient = done = 0
    while done < images:
        # as skewed as in the real set: a random split leaves 4 in 10 with a sibling in train
        share = int(rng.choice([1, 2, 3, 4], p=[0.75, 0.15, 0.06, 0.04]))
        for view in range(min(share, images - done)):
            yield patient, view
            done += 1
        patient += 1


def _chest_xray(seed):
    rng, jobs = seeded(seed, 1), []
    sizes = {"train": (390, 640, 470), "val": (8, 4, 4), "test": (90, 150, 110)}
    first = {"train": 1000, "val": 2000, "test": 0}  # no patient is in two folders
    for split, counts in sizes.items():
        for kind, count in zip(("normal", "bacterial", "viral"), counts, strict=True):
            for n, (p, view) in enumerate(_patients(rng, count)):
                number = first[split] + p + 1
                file = _chest_name(kind, number, n, view)
                folder = "NORMAL" if kind == "normal" else "PNEUMONIA"
                whose = number + 10_000 * ("normal", "bacterial", "viral").index(kind)
                member = f"chest_xray/{split}/{folder}/{file}.jpeg"
                jobs.append(Job(member, "chest", (kind,), whose, view))
    junk = [("chest_xray/__MACOSX/._train", "junk"), ("chest_xray/train/.DS_Store", "junk")]

    def copy(member):  # Kaggle's archive holds everything twice
        return member.replace("chest_xray/", "chest_xray/chest_xray/", 1)

    return jobs, junk, copy


def _chest_name(kind, number, n, view):
    if kind == "normal":
        prefix = "NORMAL2-IM" if number % 2 else "IM"
        tail = f"{view + 1:04d}" if view < 2 else f"0001-{view - 1:04d}"
        return f"{prefix}-{number:04d}-{tail}"
    return f"person{number}_{'bacteria' if kind == 'bacterial' else 'virus'}_{n + 1}"


def _covid_radiography(seed):
    kinds = {"COVID": "covid", "Lung_Opacity": "opacity", "Normal": "normal"}
    kinds["Viral Pneumonia"] = "viral"
    jobs = []
    for k, (folder, label) in enumerate(kinds.items()):
        for n in range(160 if label != "normal" else 300):
            member = f"COVID-19_Radiography_Dataset/{folder}/images/{folder}-{n + 1}.png"
            jobs.append(Job(member, "chest", (label,), 50_000 + 5_000 * k + n, 0, (299, 299)))
    return jobs, [], lambda member: None


def _oct2017(seed):
    rng, jobs = seeded(seed, 2), []
    for s, (split, count) in enumerate({"train": 140, "val": 8, "test": 50}.items()):
        for k, label in enumerate(oct.LABELS):
            for n, (p, view) in enumerate(_patients(rng, count)):
                whose = 100_000 * (s + 1) + 10_000 * k + p
                member = f"OCT2017 /{split}/{label}/{label}-{whose}-{n + 1}.jpeg"
                jobs.append(Job(member, "oct", (label,), whose, view))

    def copy(member):
        return "oct2017/" + member if member.startswith("OCT2017 /") else None

    return jobs, [("OCT2017 /.DS_Store", "junk"), ("__MACOSX/._OCT2017 ", "junk")], copy


def _diseases(rng, healthy):
    """Draw what one eye has: nothing, or one disease, or now and then two."""
    if rng.random() < healthy:
        return ()
    count = 1 if rng.random() < 0.75 else 2
    return tuple(str(d) for d in rng.choice(list(FUNDUS_COLUMNS), count, replace=False))


def _rfmid(seed):
    rng, jobs, texts = seeded(seed, 3), [], []
    names = {"Training": "Training", "Evaluation": "Validation", "Test": "Testing"}
    for s, (split, csv) in enumerate(names.items()):
        folder, rows = f"{split}_Set/{split}_Set", [RFMID_HEADER]
        for n in range({"Training": 400, "Evaluation": 100, "Test": 200}[split]):
            has = _diseases(rng, healthy=0.21)  # 401 of RFMiD's 1,920 are normal
            images = "Validation" if split == "Evaluation" else split
            member = f"{folder}/{images}/{n + 1}.png"
            jobs.append(Job(member, "fundus", has, 1_000 * s + n, 0, (214, 322)))
            columns = {FUNDUS_COLUMNS[d] for d in has}
            flags = [str(int(c in columns)) for c in RFMID_HEADER.split(",")[2:]]
            rows.append(",".join([str(n + 1), str(int(bool(has))), *flags]))
        # the real file begins with a byte-order mark, and so does this one
        texts.append((f"{folder}/RFMiD_{csv}_Labels.csv", "\ufeff" + "\n".join(rows) + "\n"))
    return jobs, texts, lambda member: None


def _vietai_retina(seed):
    rng, jobs = seeded(seed, 4), []
    rows = [",".join(["filename", *FUNDUS_COLUMNS, "normal"])]
    for n in range(840):
        has = _diseases(rng, healthy=0.25)
        folder, name = ("train/train", f"{n:04d}.jpg") if n < 720 else ("test/test", f"t{n}.jpg")
        jobs.append(Job(f"{folder}/{name}", "fundus", has, 20_000 + n, 0, (192, 192)))
        if n < 720:
            flags = [int(d in has) for d in FUNDUS_COLUMNS] + [int(not has)]
            rows.append(",".join([name, *map(str, flags)]))
    return jobs, [("train.csv", "\n".join(rows) + "\n")], lambda member: None


PLANS = {
    "chest_xray": _chest_xray,
    "covid_radiography": _covid_radiography,
    "oct2017": _oct2017,
    "rfmid": _rfmid,
    "vietai_retina": _vietai_retina,
}
