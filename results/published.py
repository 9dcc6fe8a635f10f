"""What others report on this data set's own test folder: their numbers, typed, with the source."""

MEDMNIST = (
    "Yang and others 2023, [doi:10.1038/s41597-022-01721-8]"
    "(https://doi.org/10.1038/s41597-022-01721-8), PneumoniaMNIST"
)
CHAPTER = "the textbook chapter, as it printed them; random split by image"
EARLIER = "this course, one earlier run on the full set"
ROWS = (  # method, scored on, AUC, accuracy (None where it is not given), source
    ("ResNet-18, 28 pixels", "official test", 0.944, 0.854, MEDMNIST),
    ("ResNet-18, 224 pixels", "official test", 0.956, 0.864, MEDMNIST),
    ("ResNet-50, 224 pixels", "official test", 0.962, 0.884, MEDMNIST),
    ("AutoKeras", "official test", 0.947, 0.878, MEDMNIST),
    ("Google AutoML Vision", "official test", 0.991, 0.946, MEDMNIST),
    ("SmallNet", "its validation", 0.9794, 0.9402, CHAPTER),
    ("SmallNet", "its test", 0.978, 0.93, CHAPTER),
    ("VGG16", "its validation", None, 0.9658, CHAPTER),
    ("VGG16", "its test", 0.988, 0.96, CHAPTER),
    ("SmallNet, Adam 0.001", "official test", 0.889, None, EARLIER),
    ("logistic regression on 8x8 pixels", "official test", 0.886, None, EARLIER),
)
