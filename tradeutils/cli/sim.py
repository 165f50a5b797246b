"""``tradeutils sim``: a simulated venue on this machine, until it is stopped."""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeutils.cli.arguments import AsJson, Venue, Verbose
from tradeutils.cli.printing import show_json, show_line, utc

if TYPE_CHECKING:
    from tradeutils.sim import SimulatedVenue

__all__ = ["sim"]

_LONGEST_BAN_S: Final = 259_200.0  # three days, as on the venue


def sim(
    *,
    venue: Venue = "binance",
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any that is free.")] = 0,
    candles: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--candles", metavar="FOLDER", help="Replay the candle files of this folder, in place of a made-up market."
        ),
    ] = None,
    symbols: Annotated[int, typer.Option("--symbols", metavar="N", min=1, help="How many markets to make up.")] = 50,
    linear: Annotated[
        int | None,
        typer.Option(
            "--linear",
            metavar="N",
            min=0,
            help="How many linear swaps beside them; 10 unless told otherwise, where the venue has any.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Of the made-up market: the same one, the same prices.")
    ] = 7,
    speed: Annotated[
        float,
        typer.Option(
            "--speed", metavar="X", min=0, help="Seconds of the venue in a second of ours; 0: its clock stands still."
        ),
    ] = 1.0,
    skew: Annotated[
        int | None,
        typer.Option("--skew", metavar="MS", help="Its clock runs with ours, so many ms ahead; in place of --speed."),
    ] = None,
    weight: Annotated[
        int | None,
        typer.Option("--weight", metavar="N", min=1, help="Binance: what an address may ask in a window, by weight."),
    ] = None,
    window: Annotated[
        float | None, typer.Option("--window", metavar="S", help="Seconds of that window; 60 unless told otherwise.")
    ] = None,
    orders: Annotated[
        int | None,
        typer.Option("--orders", metavar="N", min=1, help="Binance, okx: new orders of an account in 10 s, or 2 s."),
    ] = None,
    sliding: Annotated[
        bool,
        typer.Option("--sliding", help="Count the last seconds at every moment, not from the minute on: stricter."),
    ] = False,
    ban: Annotated[
        float | None,
        typer.Option("--ban", metavar="S", help="Seconds of the first ban of an address; each further one doubles."),
    ] = None,
    pulse: Annotated[
        float, typer.Option("--pulse", metavar="S", min=0.001, max=60, help="Seconds between two messages of a feed.")
    ] = 0.1,
    recorded: Annotated[
        list[pathlib.Path] | None,
        typer.Option(
            "--recorded",
            metavar="FILE",
            help="Websocket messages once recorded, in place of its feeds; may be repeated.",
        ),
    ] = None,
    replay_speed: Annotated[
        float,
        typer.Option(
            "--replay-speed", metavar="X", min=0, help="Recorded seconds in a second; 0: as fast as clients read."
        ),
    ] = 1.0,
    hold: Annotated[
        bool, typer.Option("--hold", help="Begin a recorded session only when POST /sim/recorded says so.")
    ] = False,
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="Answer /sim/...: the clock, the log, faults and bans.")
    ] = True,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """
    Serve a simulated venue on this machine: real HTTP and websockets, the venue's own routes, replies and errors.

    Prints one line with its URL and serves until Ctrl-C. Point anything at it that speaks to the venue. Who asks too
    much is refused, and on some venues banned, as there; limits that are not given are the venue's own.

    Examples
    --------
    tradeutils sim --port 8080
    tradeutils sim --candles ./recordings --port 8080
    tradeutils sim --weight 120 --window 6 --ban 2
    tradeutils fetch binance BTC/USDT --url http://127.0.0.1:8080
    """
    from tradeutils.sim import Limits, RecordedFeeds, run

    given: dict[str, Any] = {"weight": weight, "window": window, "orders": orders, "sliding": sliding or None}
    if ban is not None:
        given |= {"ban": ban, "longest_ban": max(ban, _LONGEST_BAN_S)}
    own = {name: value for name, value in given.items() if value is not None}
    limits = dataclasses.replace(Limits.of(venue), **own)
    time: dict[str, Any] = {"speed": speed} if skew is None else {"skew": skew}
    market: dict[str, Any] = {"candles": candles, "symbols": symbols, "linear": linear, "seed": seed}

    feeds: dict[str, Any] = {"pulse": pulse}
    if recorded:
        feeds["recorded"] = RecordedFeeds(recorded, speed=replay_speed, hold=hold)

    def tell_url(venue: SimulatedVenue) -> None:
        show = _show_json if as_json else _show_line
        show(venue, seed, candles)

    asyncio.run(run(venue, port=port, limits=limits, control=control, on_ready=tell_url, **market, **time, **feeds))


def _show_line(venue: SimulatedVenue, seed: int, candles: pathlib.Path | None) -> None:
    market = f"replaying {candles}" if candles else f"made up from seed {seed}"
    now = utc(venue.clock.now() // 1000 * 1000)
    show_line(
        f"listening on {venue.url} ({venue.name}, {len(venue.market.instruments)} markets {market}, {now} UTC there)"
    )


def _show_json(venue: SimulatedVenue, seed: int, candles: pathlib.Path | None) -> None:
    # Keys that open nothing: they are the same in every simulated venue, and tests need them.
    accounts = [
        {"name": one.name, "key": one.key, "secret": one.secret, "passphrase": one.passphrase} for one in venue.accounts
    ]
    show_json(
        {
            "url": venue.url,
            "venue": venue.name,
            "markets": len(venue.market.instruments),
            "seed": None if candles else seed,
            "candles": str(candles) if candles else None,
            "time": venue.clock.now(),
            "accounts": accounts,
        }
    )
