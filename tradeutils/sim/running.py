"""Run a venue in a thread of its own, or until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from tradeutils.errors import TradeutilsError, UsageError
from tradeutils.sim.server import SimulatedVenue

__all__ = ["run", "serve"]

_START_SECONDS: Final = 60.0


@contextlib.contextmanager
def serve(venue: str = "binance", **options: Any) -> Iterator[SimulatedVenue]:
    """
    Run a venue in a thread of its own: ``with serve(symbols=10) as venue: ... venue.url, venue.clock.step("1m")``.

    Parameters
    ----------
    venue, **options :
        As of `SimulatedVenue`.

    Yields
    ------
    SimulatedVenue : open; ``url``, ``clock``, ``requests``, ``faults``, ``feeds`` and ``feed_faults`` may be used from
        any thread.

    Raises
    ------
    As `SimulatedVenue` does.
    """
    made = SimulatedVenue(venue, **options)
    ready = threading.Event()
    failure: list[BaseException] = []
    stop: list[Callable[[], object]] = []

    async def live() -> None:
        finished = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(finished.set))
        async with made:
            ready.set()
            await finished.wait()

    def work() -> None:
        try:
            asyncio.run(live())
        except TradeutilsError as error:
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name=f"simulated-{venue}", daemon=True)
    thread.start()
    if not ready.wait(_START_SECONDS):
        raise UsageError(f"the simulated venue did not start in {_START_SECONDS:.0f} s")
    if failure:
        raise failure[0]
    try:
        yield made
    finally:
        stop[0]()
        thread.join(_START_SECONDS)


async def run(
    venue: str = "binance", *, on_ready: Callable[[SimulatedVenue], None] | None = None, **options: Any
) -> None:
    """
    Serve until cancelled, or until SIGINT or SIGTERM.

    Parameters
    ----------
    on_ready : callable, optional
        Called once with the open venue, to tell its URL.
    venue, **options :
        As of `SimulatedVenue`; the clock runs (``speed=1``) unless told otherwise.

    Raises
    ------
    As `SimulatedVenue` does.
    """
    loop, finished = asyncio.get_running_loop(), asyncio.Event()
    running = {} if options.get("skew") is not None else {"speed": 1.0}
    async with SimulatedVenue(venue, **{**running, **options}) as made:
        handled = []
        # Only the main thread may handle signals, and only on Unix through the loop.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, finished.set)
                handled.append(number)
        try:
            if on_ready is not None:
                on_ready(made)
            await finished.wait()
        finally:
            for number in handled:
                loop.remove_signal_handler(number)
