"""The heads, one file each."""
