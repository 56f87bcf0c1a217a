"""`python -m tfloom.trainers.convert_pth IN.pth OUT.safetensors`: a state dict of PyTorch's as safetensors.

Once, offline, where PyTorch is installed: nothing else here needs it. Only tensors are read (weights_only), so that a
file of unknown origin runs no code.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tfloom.feature_specs.errors import DataError, TfloomError

WITHIN = ("state_dict", "model_state_dict", "model_state", "model")
"""What a checkpoint calls the state dict in it."""


def convert(source: Path, target: Path) -> int:
    """Write the state dict that a .pth file is, or holds, as safetensors in float32; how many tensors it has.

    Raises DataError where PyTorch is not installed, the file cannot be read by it as tensors alone, or holds none.
    """
    try:
        import torch
    except ImportError:
        raise DataError(
            f"{source}: PyTorch is not installed, which alone reads it",
            expected="pip install torch safetensors, here or where the file can be brought",
            received="no package torch",
        ) from None
    from safetensors.numpy import save_file

    try:
        read = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # of a dozen kinds: PyTorch documents none
        raise DataError(
            f"{source}: cannot be read",
            expected="a state dict that torch.save wrote, or a checkpoint with one",
            received=str(error).strip().split("\n")[0],
        ) from None
    tensors = _state_dict(read, source)
    save_file({name: one.detach().float().contiguous().numpy() for name, one in tensors.items()}, target)
    return len(tensors)


def _state_dict(read: Any, source: Path) -> dict[str, Any]:
    for name in WITHIN:
        if isinstance(read, Mapping) and isinstance(read.get(name), Mapping):
            read = read[name]
    tensors = {k: v for k, v in read.items() if hasattr(v, "detach")} if isinstance(read, Mapping) else {}
    if not tensors:
        raise DataError(
            f"{source}: holds no state dict",
            expected=f"tensors by name, or in one of: {', '.join(WITHIN)}",
            received=", ".join(map(str, list(read)[:8])) if isinstance(read, Mapping) else type(read).__name__,
        )
    return tensors


def main(
    source: Annotated[Path, typer.Argument(help="What torch.save wrote.")],
    target: Annotated[Path, typer.Argument(help="The file of safetensors to write.")],
) -> None:
    """Write a state dict of PyTorch's as safetensors, for the field `weights` of a backbone."""
    try:
        typer.echo(f"{target}: {convert(source, target)} tensors")
    except TfloomError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    typer.run(main)
