"""How often the entries of a vocabulary occur: in memory as far as there is room, and beyond it on disk.

A state that has outgrown its room is written as a run: a file of entries, sorted, and their counts. At the end the runs
are merged, and what comes of it is gone through pair by pair, so that memory holds a vocabulary of any size. What is
counted, in which order and to which bit, does not depend on the room.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import operator
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

BATCH = 1024
"""Rows of a run that are in memory at once, when it is read."""

PIECE = 1 << 18
"""Entries that go from one process to another at once."""

_PAIR_BYTES = 160
"""Of a pair as Python holds it, beside the text: about as much as a tuple, a number and an empty bytes take."""

Pair = tuple[Any, Any]
"""(count, entry)"""


@dataclass(frozen=True)
class Room:
    """What a vocabulary may take of memory, in bytes, and the folder for what is more."""

    bytes: int
    folder: str

    @classmethod
    def shared(cls, memory: int, vocabularies: int, folder: str) -> Room:
        """Of `memory`, for each of so many.

        Each may be there four times: as it was counted in a block and in all, summed and put in order. While Arrow sums
        one of them it takes six to nine times as much (measured).
        """
        # A run is made of one Arrow array, whose texts are less than 2 GiB.
        return cls(min(memory // (4 * vocabularies + 9), 1 << 30), folder)


@dataclass(frozen=True)
class Tally:
    """The state of a vocabulary that is counted: a value that pickles, and is one as long as its runs lie there.

    parts: in memory, in the order of the data: `entry`, binary or int64, and `count`, int64 or float64. runs: the files
      of what comes before them, sorted by entry. An entry may stand in several of both, and in one of floats more than
      once.
    """

    parts: tuple[pa.RecordBatch, ...]
    runs: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Of the parts."""
        return sum(part.nbytes for part in self.parts)

    @property
    def summable(self) -> bool:
        """Whether the parts may be added up by themselves: the sum of floats depends on what is added to what.

        In memory an entry's weights are added up within a chunk, and the chunks' sums in the order of the data. So once
        there is a run, the sums of later chunks are kept apart, and added in that order when the runs are merged.
        """
        return not self.runs or all(pa.types.is_integer(part.column("count").type) for part in self.parts)

    def summed(self) -> Tally:
        """As one part."""
        return Tally((_summed(pa.Table.from_batches(self.parts)),), self.runs)

    def spilled(self, room: Room) -> Tally:
        """As runs alone, where there is anything."""
        if not any(part.num_rows for part in self.parts):
            return self
        parts = self.summed().parts if self.summable else self.parts
        in_order = pa.Table.from_batches(parts).sort_by("entry")  # stable: the chunks of an entry stay in order
        return Tally((), (*self.runs, _write(room, in_order.to_batches(BATCH))[0]))


@dataclass(frozen=True)
class Counted:
    """How often each entry of a vocabulary occurs, or the sum of its weights, the second tensor."""

    keys: tuple[str, ...]
    room: Room

    def state(self, values: Mapping[str, np.ndarray]) -> Tally:
        """Of a chunk."""
        entries, *weights = (values[key] for key in self.keys)
        entry = pa.array(entries, pa.binary() if entries.dtype == object else None)
        if weights:
            return Tally((_summed(pa.table({"entry": entry, "count": weights[0].astype(np.float64)})),))
        return Tally((pa.RecordBatch.from_arrays(entry.value_counts().flatten(), ["entry", "count"]),))

    def merged(self, state: Tally, later: Tally) -> Tally:
        """Of both; what outgrows its room is written to disk."""
        if later.runs:
            state = state.spilled(self.room)  # it comes first in the data
        both = Tally(state.parts + later.parts, state.runs + later.runs)
        rows = [part.num_rows for part in both.parts]
        # Seldom enough that a row is summed a few times, not once a chunk.
        if len(rows) > 1 and sum(rows[1:]) >= rows[0] and both.summable:
            both = both.summed()
        return both.spilled(self.room) if both.nbytes > self.room.bytes else both

    def closed(self, state: Tally) -> Tally:
        """As it is merged with others of its kind: floats are added to its sums, not to what these are made of."""
        if not state.runs:
            return state.summed()
        weighted = len(self.keys) > 1
        return Tally((), (_run(state, self.room)[0],)) if weighted else state


@dataclass(frozen=True)
class Pairs:
    """Pairs of a vocabulary, which are gone through as often as one likes without all of them being in memory."""

    length: int
    again: Callable[[], Iterator[Pair]]

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Pair]:
        return self.again()


def totals(state: Tally, room: Room) -> Pairs:
    """Each entry once."""
    if not state.runs:
        (total,) = state.summed().parts
        return Pairs(total.num_rows, lambda: _pairs(total))
    run, rows = _run(state, room)
    return Pairs(rows, lambda: _read(run))


def pieces(state: Tally, room: Room) -> Iterator[Tally]:
    """The same in memory, each entry once, PIECE of them at a time; at least one piece."""
    if not state.runs:
        (total,) = state.summed().parts
        for start in range(0, max(total.num_rows, 1), PIECE):
            yield Tally((total.slice(start, PIECE),))
        return
    run, _ = _run(state, room)
    for batch in _batches(_read(run), PIECE):
        yield Tally((batch,))


def by_entry(state: Tally, partitions: int) -> Iterator[tuple[int, Tally]]:
    """(partition, tally) of one part: an entry is in the same partition everywhere."""
    (part,) = state.parts
    entries = part.column("entry")
    if pa.types.is_integer(entries.type):
        of = entries.to_numpy() % partitions
    else:
        of = np.fromiter(map(zlib.crc32, entries.to_pylist()), np.uint32, len(entries)) % partitions
    for one in np.unique(of).tolist() or [0]:
        # Copied: a slice would be sent from one process to another with all that it is a slice of.
        yield one, Tally((part.take(pa.array(np.flatnonzero(of == one))),))


def ranked(pairs: Iterable[Pair], room: Room) -> Pairs:
    """The largest first: by count, then by entry."""
    runs: list[str] = []
    waiting: list[Pair] = []
    length = size = 0
    for pair in pairs:
        waiting.append(pair)
        length += 1
        size += _PAIR_BYTES + len(pair[1])
        if size > room.bytes:
            runs.append(_write(room, _batches(sorted(waiting, reverse=True)))[0])
            waiting, size = [], 0
    waiting.sort(reverse=True)
    return Pairs(length, lambda: heapq.merge(*map(_read, runs), waiting, reverse=True))


def _run(state: Tally, room: Room) -> tuple[str, int]:
    """Its runs and its parts as one run, each entry once; how many there are."""
    merged = heapq.merge(*map(_read, state.spilled(room).runs), key=operator.itemgetter(1))
    return _write(room, _batches(_added(merged)))


def _summed(rows: pa.Table) -> pa.RecordBatch:
    """Each entry once, with the sum of its counts, taken in order."""
    encoded = rows.column("entry").combine_chunks().dictionary_encode()
    counts = rows.column("count").to_numpy()
    sums = np.bincount(encoded.indices.to_numpy(), counts, minlength=len(encoded.dictionary))
    return pa.RecordBatch.from_pydict({"entry": encoded.dictionary, "count": sums.astype(counts.dtype)})


def _added(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Pairs sorted by entry -> each entry once."""
    for entry, several in itertools.groupby(pairs, key=operator.itemgetter(1)):
        # One by one, as `_summed` does: `sum` corrects the errors of floats from Python 3.12 on.
        yield functools.reduce(operator.add, (count for count, _ in several)), entry


def _pairs(rows: pa.RecordBatch) -> Iterator[Pair]:
    for start in range(0, rows.num_rows, BATCH):
        part = rows.slice(start, BATCH)
        yield from zip(part.column("count").to_pylist(), part.column("entry").to_pylist(), strict=True)


def _batches(pairs: Iterable[Pair], size: int = 0) -> Iterator[pa.RecordBatch]:
    left = iter(pairs)
    while some := list(itertools.islice(left, size or BATCH)):
        counts, entries = zip(*some, strict=True)
        yield pa.RecordBatch.from_pydict({"entry": pa.array(entries), "count": pa.array(counts)})


def _write(room: Room, batches: Iterable[pa.RecordBatch]) -> tuple[str, int]:
    """(path, rows) of a new run."""
    left = iter(batches)
    first = next(left)
    rows = 0
    handle, path = tempfile.mkstemp(".run", dir=room.folder)
    os.close(handle)
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, first.schema) as writer:
        for batch in itertools.chain([first], left):
            writer.write_batch(batch)
            rows += batch.num_rows
    return path, rows


def _read(run: str) -> Iterator[Pair]:
    """The pairs of a run. The file is open only while a batch is read: there may be more runs than files may be."""
    for number in itertools.count():
        with pa.OSFile(run) as file, pa.ipc.open_file(file) as reader:
            if number == reader.num_record_batches:
                return
            rows = reader.get_batch(number)
        yield from _pairs(rows)
