"""Writers of a history killed 200 times at random moments, readers beside: ``nox -s soak``, about half a minute."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from history_kills import Killed


def test_two_hundred_kills_lose_nothing(tmp_path: pathlib.Path) -> None:
    """0 acknowledged candles lost or doubled, 0 errors of readers, 0 damaged files."""
    killed = Killed(tmp_path)
    killed.run(rounds=200, seed=200)
    print(f"200 kills, {killed.acknowledged} operations acknowledged, {killed.reads} reads beside: {killed.wrong[:3]}")
    assert killed.wrong == []
    assert killed.acknowledged > 200
