"""`python -m tfloom`."""

from tfloom.cli import main

main()
