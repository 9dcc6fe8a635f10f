"""Load TensorFlow and Keras once, without the log lines that TensorFlow writes while loading.

Those come from C++ before any logging setting is read, differ in every run, and would stand in
every notebook as an error-coloured block.
"""

from helpers import runtime

with runtime.quiet():
    import keras
    import tensorflow as tf

tf.get_logger().setLevel("ERROR")  # not a warning whenever a lesson predicts with a new network
__all__ = ["keras", "tf"]
