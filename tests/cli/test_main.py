"""What every command has in common: help, usage errors, and quiet where the reader has left."""

import subprocess
import sys
from unittest import mock

import pytest
import typer

from tfloom.cli import app

COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_a_command_does(succeeds, command):
    told = " ".join(succeeds(command, "--help"))
    assert told.startswith(f"Usage: tfloom {command} [OPTIONS] ")
    assert " ".join(COMMANDS[command].help.split()) in " ".join(told.split())


def test_help_names_every_command(succeeds):
    told = " ".join(succeeds("--help"))
    assert all(f" {command} " in told for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["chek"], "No such command 'chek'"),
        (["check"], "Missing argument"),
        (["check", "spec.yaml", "--tran", "people.csv"], "No such option: --tran"),
        (["predict", "export", "people.csv", "--rows", "0"], "Invalid value for '--rows'"),
    ],
)
def test_what_cannot_be_typed_exits_with_2(tfloom, arguments, error):
    said = tfloom(*arguments)
    assert (said.code, said.out) == (2, "")
    assert error in " ".join(said.err.split())


@pytest.mark.parametrize("where", ["tfloom.cli.app", "tfloom.feature_specs.discovery.places"])
def test_ctrl_c(tfloom, monkeypatch, where):
    """Before typer has begun, and in a command."""
    monkeypatch.setattr(where, mock.Mock(side_effect=KeyboardInterrupt))
    said = tfloom("list", "heads")
    assert (said.code, said.out, said.err) == (130, "", "interrupted\n")


def test_a_reader_that_has_seen_enough():
    """As in `tfloom list columns | head -1`."""
    program = "import sys, tfloom.cli; sys.argv = ['tfloom', 'list', 'columns']; tfloom.cli.main()"
    command = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    command.stdout.close()
    assert (command.stderr.read(), command.wait()) == (b"", 0)
    command.stderr.close()
