"""Exports, checked and served: TensorFlow's C API, TF Serving's REST and gRPC APIs, verify."""
