"""Work of several threads."""

import time

import pytest

from tfloom.pipeline.in_order import in_order


def test_in_order_whoever_is_first():
    def work(item):
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item

    assert list(in_order(work, range(20), 4)) == list(range(20))


def test_an_error_of_a_thread_is_raised():
    def work(item):
        if item == 3:
            raise ValueError("item 3")
        return item

    with pytest.raises(ValueError, match="item 3"):
        list(in_order(work, range(1000), 2))
