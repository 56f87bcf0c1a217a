"""`tfloom serve`: exports under TF Serving's REST API, and under its gRPC API too where that has a port."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tfloom.serving import rest
from tfloom.serving.loaded_model import LoadedModel


class Server:
    """Answers in the background until it is stopped; a context manager.

    url: where REST is answered, such as ``http://127.0.0.1:8501``.
    grpc_url: where gRPC is, such as ``grpc://127.0.0.1:8500``; None where it is not.
    """

    def __init__(self, models: Mapping[str, LoadedModel], host: str, port: int, grpc_port: int | None) -> None:
        self._rest, self._rpc = rest.Server(models, host, port), None
        if grpc_port is not None:
            from tfloom.serving import rpc

            try:
                self._rpc = rpc.Server(models, host, grpc_port)
            except BaseException:
                self._rest.stop()
                raise
        self.url = self._rest.url
        self.grpc_url = self._rpc.url if self._rpc else None

    def stop(self) -> None:
        """Stop listening, and free the ports."""
        self._rest.stop()
        if self._rpc:
            self._rpc.stop()

    def wait(self) -> None:
        """Return when it was stopped, or on Ctrl-C, which stops it."""
        try:
            self._rest.wait()
        except KeyboardInterrupt:
            self.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    models: Mapping[str, Path], host: str = "127.0.0.1", port: int = 8501, grpc_port: int | None = None
) -> Server:
    """Load the newest version of each model and serve them.

    Args:
      models: by name the folder of the exports, or of one version.
      port: of the REST API; 0 takes any that is free.
      grpc_port: of the gRPC API, likewise; None: it is not served.

    Raises:
      ArtefactError: a folder holds no export, or a port is taken.
    """
    loaded = {name: LoadedModel(name, Path(path)) for name, path in models.items()}
    return Server(loaded, host, port, grpc_port)
