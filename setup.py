"""Beam workers install the project from this file (`--setup_file ./setup.py`); everything is said in pyproject.toml."""

from setuptools import setup

setup()
