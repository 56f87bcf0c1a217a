"""What a Flex Template starts: `tfloom preprocess` with the template's parameters, which come as --name=value.

Several files of one parameter stand with spaces between them. What else comes, the launcher's own options among it, is
Beam's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tfloom.cli import main

FILES = ("train", "eval", "test")
OURS = ("output", "max_rejected", "examples")


def arguments(given: Sequence[str]) -> list[str]:
    """--spec=S --data="A B" --max_rejected=.1 --project=p -> preprocess S A B --max-rejected=.1 --project=p"""
    positional: dict[str, list[str]] = {"spec": [], "data": []}
    options = []
    for one in given:
        name, _, value = one.removeprefix("--").partition("=")
        if name in positional:
            positional[name] = value.split()
        elif name in FILES:
            options += [f"--{name}={file}" for file in value.split()]
        elif name == "overwrite":
            options += ["--overwrite"] if value.lower() in ("true", "1", "yes") else []
        elif name in OURS:
            options.append(f"--{name.replace('_', '-')}={value}")
        else:
            options.append(one)
    return ["preprocess", *positional["spec"], *positional["data"], *options]


if __name__ == "__main__":
    sys.argv = ["tfloom", *arguments(sys.argv[1:])]
    main()
