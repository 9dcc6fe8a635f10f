"""Write both pages of results and their figures anew from records.json: nobody types a number."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter
os.environ.setdefault("MPLBACKEND", "Agg")  # figures go to files

from experiments.accuracy import report as accuracy
from experiments.speed import report as speed

if __name__ == "__main__":
    speed.write()
    accuracy.write()
