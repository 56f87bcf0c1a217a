"""Exports, checked and served: TensorFlow's C API, TF Serving's REST API, verify."""
