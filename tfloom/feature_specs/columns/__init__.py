"""The kinds of feature column, one file a kind."""
