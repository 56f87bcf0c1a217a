"""What the tests of the formats share: a file as a source, and its rows."""

from tfloom.pipeline.sources import chunks, find


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def source(path):
    (one,) = find({None: path}, path.parent / "staging")
    return one


def rows(one, **options):
    return [row for chunk in chunks(one, **options) for row in chunk.rows.to_pylist()]


def csv_rows(folder, content, **options):
    return rows(source(written(folder / "a.csv", content)), **options)
