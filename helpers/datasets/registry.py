"""The five data sets: where each comes from, who made it, what it holds."""

from collections.abc import Callable
from dataclasses import dataclass, field

from helpers.datasets import layouts


@dataclass(frozen=True)
class Dataset:
    """One entry of the registry.

    Attributes
    ----------
    slug : str
        The name on Kaggle.
    sign : tuple of str
        How members' names begin in this archive and in no other: it tells them apart.
    counts : dict
        (split, label) to number of images in the whole archive.
    read : callable
        From the unpacked folder to a table with path, label, group and split.
    classes : tuple of str
        The labels, the healthy one first.
    competition : bool
        True where Kaggle asks for an account and accepted rules.
    """

    title: str
    slug: str
    sign: tuple
    licence: str
    citation: str
    classes: tuple
    read: Callable
    counts: dict = field(default_factory=dict)
    competition: bool = False
    multilabel: bool = False


def _all(splits, labels, numbers):
    keys = [(split, label) for split in splits for label in labels]
    return dict(zip(keys, numbers, strict=True))


_KERMANY = (
    "Kermany, Zhang, Goldbaum: Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images "
    "for Classification. Mendeley Data, doi:10.17632/rscbjbr9sj; Cell 172:1122 (2018)."
)
_PARTS = ("train", "val", "test")
REGISTRY = {
    "chest_xray": Dataset(
        "Chest X-rays: pneumonia in children",
        "paultimothymooney/chest-xray-pneumonia",
        ("chest_xray/",),
        "CC BY 4.0",
        _KERMANY,
        ("NORMAL", "PNEUMONIA"),
        layouts.read_chest_xray,
        _all(_PARTS, ("NORMAL", "PNEUMONIA"), (1341, 3875, 8, 8, 234, 390)),
    ),
    "covid_radiography": Dataset(
        "Chest X-rays: COVID-19 and others",
        "tawsifurrahman/covid19-radiography-database",
        ("COVID-19_Radiography_Dataset/", "COVID-19 Radiography Database/"),
        "see the data set's page: its images come from several sources",
        "Chowdhury et al.: Can AI Help in Screening Viral and COVID-19 Pneumonia? IEEE Access "
        "(2020), doi:10.1109/ACCESS.2020.3010287.",
        ("Normal", "COVID", "Lung_Opacity", "Viral Pneumonia"),
        layouts.read_covid,
        _all(
            ("train",),
            ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"),
            (3616, 6012, 10192, 1345),
        ),
    ),
    "oct2017": Dataset(
        "OCT: three diseases of the retina",
        "paultimothymooney/kermany2018",
        ("OCT2017", "oct2017/"),
        "CC BY 4.0",
        _KERMANY,
        ("NORMAL", "CNV", "DME", "DRUSEN"),
        layouts.read_oct,
        _all(
            _PARTS,
            ("CNV", "DME", "DRUSEN", "NORMAL"),
            (37205, 11348, 8616, 26315, 8, 8, 8, 8, 242, 242, 242, 242),
        ),
    ),
    "rfmid": Dataset(
        "Fundus photographs: 45 diseases (RFMiD)",
        "andrewmvd/retinal-disease-classification",
        ("Training_Set/",),
        "CC BY 4.0",
        "Pachade et al.: Retinal Fundus Multi-Disease Image Dataset. Data 6(2):14 (2021), "
        "doi:10.3390/data6020014.",
        ("normal", "abnormal"),
        layouts.read_rfmid,
        _all(("train",), ("normal", "abnormal"), (401, 1519)),
    ),
    "vietai_retina": Dataset(
        "Fundus photographs: several labels an image",
        "vietai-advance-course-retinal-disease-detection",
        ("train.csv",),
        "the competition's rules",
        "VietAI advance course: retinal disease detection. Kaggle competition.",
        layouts.RETINA_LABELS,
        layouts.read_vietai,
        {("train", "all"): 3435, ("unlabelled", "all"): 350},
        competition=True,
        multilabel=True,
    ),
}
