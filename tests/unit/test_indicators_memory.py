"""The arena: memory of results is used again when nobody holds them, bounded, from any thread."""

import gc
import threading

import numpy as np

from tradeutils import indicators
from tradeutils.indicators.memory import Arena, arena

FLOAT = np.dtype(np.float64)
BIG = (200, 500)


def address(array):
    """Return where an array lies."""
    return array.ctypes.data


def test_memory_is_used_again_once_it_is_free():
    """An array of the same size takes the place of one that is gone, aligned to a cache line, and only then."""
    pool = Arena(1 << 24)
    first = pool.empty(BIG, FLOAT)
    place = address(first)
    assert place % 64 == 0
    assert address(pool.empty(BIG, FLOAT)) != place
    first[:] = 7.0
    del first
    again = pool.empty(BIG, FLOAT)
    assert address(again) == place
    assert again.shape == BIG
    assert again.flags.writeable


def test_memory_that_a_view_needs_stays():
    """While a slice, or a Series over a result, is held, its memory goes to nobody else."""
    pool = Arena(1 << 24)
    view = pool.empty(BIG, FLOAT)[100:, ::2]
    view[:] = 3.0
    others = [pool.empty(BIG, FLOAT) for _ in range(5)]
    for other in others:
        other[:] = 0.0
    assert (view == 3.0).all()


def test_small_results_are_ordinary_arrays():
    """Results below 256 KiB own their memory."""
    assert Arena(1 << 24).empty((100,), FLOAT).flags.owndata
    assert Arena(1 << 24).empty((0, 10), FLOAT).size == 0


def test_what_is_kept_is_bounded_and_given_up_on_demand():
    """The oldest go beyond the limit, and clear() lets go of all."""
    pool = Arena(2 * (200 * 500 * 8 + 64))
    held = [pool.empty(BIG, FLOAT) for _ in range(4)]
    places = [address(array) for array in held]
    while held:
        held.pop(0)
    assert 0 < pool.kept <= pool.limit
    assert {address(pool.empty(BIG, FLOAT)), address(pool.empty(BIG, FLOAT))} <= set(places[2:])
    pool.clear()
    assert pool.kept == 0


def test_results_come_from_the_arena():
    """A large result is put where the last one of its size lay, and release_memory gives all up."""
    close = np.random.default_rng(1).random((500, 200))
    indicators.release_memory()
    place = address(indicators.sma(close, 5))
    assert arena.kept > 0
    assert address(indicators.ema(close, 5)) == place
    indicators.release_memory()
    assert arena.kept == 0


def test_results_held_by_many_threads_are_their_own():
    """Threads that compute, hold and drop results at once never see each other's numbers."""
    pool = Arena(1 << 23)
    wrong = []

    def work(number):
        for _ in range(60):
            mine = [pool.empty(BIG, FLOAT) for _ in range(2)]
            for array in mine:
                array[:] = number
            gc.collect(0)
            wrong.extend(array[0, 0] for array in mine if not (array == number).all())

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert pool.kept <= pool.limit


def test_a_buffer_returned_while_the_lock_is_held_is_kept_later():
    """The collector of garbage may return a buffer in the middle of anything: it waits for nobody."""
    pool = Arena(1 << 24)
    array = pool.empty(BIG, FLOAT)
    place = address(array)
    with pool._lock:
        del array
        assert not pool._kept
    assert address(pool.empty((3, 3), FLOAT)) != place
    pool.take_back(np.empty(10, np.uint8))
    assert pool.kept > 10
