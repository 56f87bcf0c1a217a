"""`tfloom report` writes one HTML file about what lies in a folder."""

import re

import pytest


def test_one_file(succeeds, tmp_path):
    out = tmp_path / "report.html"
    (told,) = succeeds("report", ".", "-o", out)
    assert re.fullmatch(rf"written: {out}, \d+\.\d MB", told)
    assert out.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(("folder", "received"), [("nothing", "no such folder"), ("transformed/stats", "no folders")])
def test_where_there_is_nothing(refused, tmp_path, folder, received):
    assert refused("report", folder, "-o", tmp_path / "report.html") == (
        f"{folder}: holds nothing to report on",
        "a transform output, a model or an export, here or one folder down",
        received,
    )


def test_a_place_where_no_file_can_be(refused, tmp_path):
    assert refused("report", ".", "-o", tmp_path)[0] == f"{tmp_path}: cannot be written"
