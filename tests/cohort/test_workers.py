import os
import threading

import pytest

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.workers import share_out


def behave(item):
    """Stand-in for a decoder: squares numbers, and has two bad habits."""
    if item == "crash":
        os._exit(7)
    if item == "hang":
        threading.Event().wait()
    return item * item


CHUNKS = [[1, 2, 3], [4], [], [5, 6], [7, 8, 9, 10]]
SQUARES = [number * number for number in range(1, 11)]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_order_for_any_number_of_processes(workers):
    assert list(share_out(behave, CHUNKS, workers=workers)) == SQUARES


def test_a_process_that_dies_or_hangs_costs_one_item():
    results = list(share_out(behave, [[1, "crash", 2], ["hang", 3], [4]], workers=2, patience_s=2))
    assert [result for result in results if not isinstance(result, NotUsable)] == [1, 4, 9, 16]
    assert [type(result) for result in results[1:4]] == [NotUsable, int, NotUsable]
    assert {results[1].reason, results[3].reason} == {Reason.DECODER_CRASHED}
    assert "code 7" in results[1].detail
    assert "no answer within 2 s" in results[3].detail


def test_an_error_of_the_function_ends_the_work():
    with pytest.raises(TypeError):
        list(share_out(behave, [[1], [None], [2]], workers=2))


def test_nothing_to_do_gives_nothing():
    assert list(share_out(behave, [], workers=2)) == []
