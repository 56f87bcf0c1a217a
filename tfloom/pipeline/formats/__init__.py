"""The formats of raw data, one file each.

A format says `is_one(path)`, whether a file is of it; `schema(path)`, the columns of a file; and `batches(path,
columns, size, malformed)`, its rows in order: some of the columns or all, at most `size` rows at once and about
CHUNK_BYTES, in RecordBatches of that schema. A record that is no row goes to `malformed`: its number and its text.
"""

CHUNK_BYTES = 64 << 20
