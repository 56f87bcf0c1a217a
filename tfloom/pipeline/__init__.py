"""From raw data and a spec to a transform output."""
