"""Work done side by side whose results come in the order of the data."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

One = TypeVar("One")
Other = TypeVar("Other")


def in_order(work: Callable[[One], Other], items: Iterable[One], threads: int) -> Iterator[Other]:
    """`work` of each item, in the order of the items; `threads` of them at once, and few more in memory."""
    if threads == 1:
        yield from map(work, items)
        return
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        waiting: collections.deque[concurrent.futures.Future[Other]] = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
