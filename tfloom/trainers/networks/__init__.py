"""Networks over pictures that video backbones are built on, one file each."""
