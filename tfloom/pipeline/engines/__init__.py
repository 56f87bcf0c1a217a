"""Engines: the same preprocessing_fn, run by different machinery."""
