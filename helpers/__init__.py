"""What the lessons share. Importing it loads nothing heavy."""

import os

# TensorFlow's C++ side logs lines with times to stderr, which differ in every run; it reads these
# when it is first imported, so they are set before any room of this house can do that.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
