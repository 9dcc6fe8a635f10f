"""Label spreading when few training patients have a label, beside ways that need no graph.

Patients are drawn, by label; all images of the others lose theirs. The network that describes the
images learns from the labelled ones only. Every training has the same number of steps. The test
folder is never in the graph. The threshold comes from the course's validation part, whose labels
nobody counts here: with 5% of the labels one would not have so many.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

import math

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from experiments.accuracy.setting import clock, judged
from helpers import label_spreading, models, pipelines, training
from helpers.backend import keras

SIZE, STEPS = 64, 300  # pixels; batches of 32 in a training, however many images there are


def hide(train, share, seed):
    """Return the images of a share of each label's patients, and those of all the others."""
    rng, kept = np.random.default_rng(seed), set()
    for _, part in train.groupby("label"):
        patients = np.sort(part["group"].unique())
        kept |= set(rng.permutation(patients)[: math.ceil(share * len(patients))])
    here = train["group"].isin(kept)
    return train[here].reset_index(drop=True), train[~here].reset_index(drop=True)


class Learner:
    """One small network that takes weights, learns for some steps, and gives weights back."""

    def __init__(self, setting, seed):
        self.classes, self.size, self.seed = setting.classes, setting.size or SIZE, seed
        self.steps = setting.epochs or STEPS
        self.model = models.compactnet(self.size, 1, widths=(16, 32, 64))
        training.compiled(self.model, keras.optimizers.schedules.CosineDecay(2e-3, self.steps))
        self.model.optimizer.build(self.model.trainable_variables)
        # what the last layer is given, less its dropout
        self.inside = keras.Model(self.model.input, self.model.layers[-3].output)

    def batches(self, rows, learn=False):
        """Return batches of a table whose labels may be missing."""
        rows = rows if learn else rows.assign(label=self.classes[0])  # nobody looks at them
        options = {"training": learn, "seed": self.seed}
        return pipelines.batches(rows, self.classes, self.size, **options)

    def learn(self, rows):
        """Learn on from the present weights; Adam forgets what was before."""
        for state in self.model.optimizer.variables:
            state.assign(keras.ops.zeros_like(state))
        weights = training.class_weights(pipelines.encode(rows["label"], self.classes).ravel())
        stream = self.batches(rows, learn=True).repeat()
        options = {"steps_per_epoch": self.steps, "class_weight": weights}
        training.fit(self.model, stream, None, 1, **options)
        return self.model.get_weights()

    def scores(self, streams):
        """Return the network's probabilities of each stream."""
        return [self.model.predict(stream, verbose=0).ravel() for stream in streams]

    def features(self, streams):
        """Return the unit-length description of each stream's images."""
        found = [self.inside.predict(stream, verbose=0) for stream in streams]
        return [label_spreading.unit_length(each) for each in found]


def runs(share, seed, setting):
    """Yield method, validation scores, test scores and what else there is to say of each."""
    (train, *others), sick = setting.parts, setting.classes[1]
    few, hidden = hide(train, share, seed)
    everything, truth = pd.concat([few, hidden], ignore_index=True), hidden["label"].to_numpy()
    learner, passed = Learner(setting, seed), clock()
    streams = [learner.batches(part) for part in others]
    inside = learner.batches(everything)

    first = learner.learn(few)
    own = learner.scores([inside])[0][len(few) :] >= 0.5
    found = {"hidden_accuracy": ((truth == sick) == own).mean(), "seconds": passed()}
    found |= {"parameters": learner.model.count_params()}
    yield "few_labels", *learner.scores(streams), found

    cloud, *new = learner.features([inside, *streams])
    passed, plain = clock(), LogisticRegression(C=100, max_iter=2000)  # as lesson 8's
    plain.fit(cloud[: len(few)], few["label"] == sick)
    right = plain.predict(cloud[len(few) :]) == (truth == sick)
    own = found | {"hidden_accuracy": right.mean(), "seconds": found["seconds"] + passed()}
    yield "logistic_regression", *(plain.predict_proba(x)[:, 1] for x in new), own

    passed = clock()
    spread = label_spreading.spread(cloud, [*few["label"], *[None] * len(hidden)])["label"]
    said, rows = spread[len(few) :], everything.assign(label=spread)[spread.notna()]
    learner.learn(rows.reset_index(drop=True))
    own = {"hidden_accuracy": (said.to_numpy() == truth).mean(), "not_reached": said.isna().mean()}
    own = found | own | {"seconds": found["seconds"] + passed()}
    yield "spread_labels", *learner.scores(streams), own

    passed = clock()
    learner.model.set_weights(first)
    learner.learn(few)
    own = {"parameters": found["parameters"], "seconds": found["seconds"] + passed()}
    yield "trained_longer", *learner.scores(streams), own


def measure(name, seed, setting):
    """Return the records of all methods at one share of the labels."""
    keras.utils.set_random_seed(seed)
    percent = int(name.removeprefix("spreading_"))
    few, hidden = hide(setting.parts[0], percent / 100, seed)
    known = {"percent": percent, "labelled_images": len(few), "hidden_images": len(hidden)}
    known |= {"majority": hidden["label"].value_counts(normalize=True).max()}
    records = []
    for method, validation, test, found in runs(percent / 100, seed, setting):
        key, extras = f"spreading_{method}_{percent:02}", known | {"method": method} | found
        parts = (few, *setting.parts[1:])
        records.append(judged(key, seed, parts, setting.classes, validation, test, **extras))
    return records
