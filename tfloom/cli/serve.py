"""`tfloom serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._console import console, progress_console, tensorflow
from tfloom.feature_specs.directories import ExportDirectory


def command(
    export: Annotated[Path, typer.Argument(help="The export, or one version of it.")],
    name: Annotated[str | None, typer.Option(help="What clients call it; left out, the folder's name.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, help="The port of the REST API; 0 for a free one.")] = 8501,
    grpc_port: Annotated[
        int | None, typer.Option(min=0, help="Serve the gRPC API too, on this port, such as 8500; 0 for a free one.")
    ] = None,
) -> None:
    """Serve an export over TF Serving's APIs, for development; production runs tensorflow_model_server."""
    opened = ExportDirectory.open(export)  # before TensorFlow is there, which takes seconds
    called = name or opened.name
    with progress_console.status("loading the model"):
        with tensorflow():
            from tfloom import api
        server = api.serve({called: opened}, host=host, port=port, grpc_port=grpc_port)
    with server:
        console.print(f"serving: {server.url}/v1/models/{called}")
        if server.grpc_url:
            console.print(f"serving: {server.grpc_url}/{called}")
        server.wait()
