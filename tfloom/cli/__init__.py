"""The command line: a thin skin over tfloom.api, one file a command."""

from __future__ import annotations

import importlib
import logging
import os
import sys

import typer
from typer.core import TyperCommand

from tfloom.feature_specs import discovery
from tfloom.feature_specs.errors import TfloomError

app = typer.Typer(
    name="tfloom",
    help="One spec of feature columns, from raw data to a served model, proven equal to training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name in discovery.names(__name__):
    _module = importlib.import_module(f"{__name__}.{_name}")
    app.command(_name, cls=getattr(_module, "CLASS", TyperCommand))(_module.command)


def main() -> None:
    """Run the command line and exit.

    0; 1 where `verify` found a mismatch; 2 where the user gave what cannot be; 130 where Ctrl-C ended it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        app()
    except TfloomError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != 130:  # which typer makes of a KeyboardInterrupt
            raise
        print("interrupted", file=sys.stderr)
        sys.exit(130)
