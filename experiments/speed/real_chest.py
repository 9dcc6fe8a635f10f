"""On real chest X-rays: the course's CompactNet beside SmallNet as the textbook chapter trains it.

    python -m experiments.speed.real_chest ARCHIVE.zip [--epochs 15]

ARCHIVE.zip holds the pneumonia set in Kaggle's layout. Both learn from the same training patients,
are watched on the same validation patients, and are tested once on the archive's test folder.
CompactNet: as in lesson 4, 64x64 grey, disturbed, 16 epochs (`recipes.compactnet`). SmallNet: the
chapter's ImageDataGenerator with its augmentation, 224x224 RGB, Adam with 0.001 (as its text says;
with the 0.01 of its code it gets stuck more often than not), 15 epochs. Seconds are from the table
of files to the trained network, decoding included. Each runs once, in a fresh process. Linux or
macOS.
"""

import os
import tempfile
import time

from experiments.speed.harness import arguments, fresh, keep, peak, unscaled


def parts_of(archive):
    """Return the tables of train, validation and test, and the classes."""
    os.environ["COURSE_SOURCE"] = archive
    from helpers import datasets, splits

    table = datasets.table("chest_xray")
    return splits.course_split(table), datasets.REGISTRY["chest_xray"].classes


def compactnet(parts, classes):
    """Train as lesson 4 does; return the network, its test batches and the seconds."""
    from helpers import pipelines, recipes, runtime, training

    start, (train, validation, test) = time.perf_counter(), parts
    size, epochs = (of("compactnet", sample=False) for of in (runtime.size, runtime.epochs))
    model, _ = recipes.compactnet(
        train,
        validation,
        classes,
        size,
        epochs,
        augmentation=pipelines.disturb,
        callbacks=[training.lines()],
    )
    seconds = time.perf_counter() - start
    return model, pipelines.batches(test, classes, size), seconds


def smallnet(parts, classes, epochs):
    """Train as the chapter does; return the network, its test batches and the seconds."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    from helpers import models, training

    moving = {"rotation_range": 5, "width_shift_range": 0.1, "height_shift_range": 0.1}
    flow = {"x_col": "path", "y_col": "label", "classes": list(classes), "class_mode": "binary"}
    flow |= {"target_size": (224, 224), "batch_size": 32, "verbose": 0}
    start, (train, validation, test) = time.perf_counter(), parts
    still = ImageDataGenerator(rescale=1 / 255)
    stream = ImageDataGenerator(rescale=1 / 255, **moving).flow_from_dataframe(train, **flow)
    check = still.flow_from_dataframe(validation, shuffle=False, **flow)
    model = training.compiled(unscaled(models.smallnet(224)), 1e-3)  # the generator scales
    lines = [training.lines()]
    model.fit(stream, validation_data=check, epochs=epochs, callbacks=lines, verbose=0)
    seconds = time.perf_counter() - start
    return model, still.flow_from_dataframe(test, shuffle=False, **flow), seconds


def measure(way, archive, epochs):
    """Train and test one network; return its AUC, interval, seconds and parameters."""
    from helpers import evaluation
    from helpers.backend import keras

    with tempfile.TemporaryDirectory() as home:
        os.environ["COURSE_DATA"] = home
        parts, classes = parts_of(archive)
        keras.utils.set_random_seed(42)
        if way == "ours":
            model, batches, seconds = compactnet(parts, classes)
        else:
            model, batches, seconds = smallnet(parts, classes, epochs)
        scores = model.predict(batches, verbose=0).ravel()
        truth = (parts[2]["label"] == classes[1]).to_numpy()
        auc, low, high = evaluation.auc_interval(truth, scores, parts[2]["group"])
    return {
        "auc": float(auc),
        "low": float(low),
        "high": float(high),
        "seconds": seconds,
        "parameters": model.count_params(),
        "peak_mb": peak(),
        "images": len(parts[0]),
    }


def main():
    args = arguments(__doc__, "archive", epochs=15)
    runs, extra = {}, {"other_epochs": args.epochs}
    for way in ("ours", "other"):
        runs[way] = fresh(measure, way, str(args.archive.resolve()), args.epochs)
        told = "  ".join(f"{key} {value:,.4g}" for key, value in runs[way].items())
        print(f"{way}: {told}", flush=True)
        extra |= {f"{way}_{key}": value for key, value in runs[way].items() if key != "auc"}
    aucs = [runs[way]["auc"] for way in ("ours", "other")]
    name = "real_chest.compactnet_against_smallnet"
    keep(name, *aucs, "AUC", runs["ours"]["images"], **extra)


if __name__ == "__main__":
    main()
