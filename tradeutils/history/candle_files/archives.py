"""
Zip archives of one candle file, as Binance's public data comes in.

The file is unpacked in memory and the names in the archive are never used as paths, so one that says ``../../x``
leads nowhere.
"""

from __future__ import annotations

import lzma
import pathlib
import zipfile
import zlib
from typing import IO, Final

from tradeutils.errors import CandleFileError
from tradeutils.history.candle_files.cells import too_large

__all__ = ["ZIP", "read_zip"]

ZIP: Final = b"PK\x03\x04"
_CHUNK: Final = 1 << 20
_ENCRYPTED: Final = 0x1
# zipfile reads the list of all files before it tells how many there are; a candle file stands alone in it.
_LONGEST_LIST: Final = 1 << 16
_LIST_OF: Final = b"PK\x05\x06"


def read_zip(path: pathlib.Path, file: IO[bytes], max_bytes: int) -> tuple[str, bytes]:
    """
    Return the lower-case name and the bytes of the only file in an archive.

    Raises
    ------
    CandleFileError : damaged, encrypted, packed in a way that is not known, without a file or with several, or more
        than ``max_bytes`` once unpacked.
    """
    try:
        _refuse_long_list(path, file)
        with zipfile.ZipFile(file) as archive:
            held = [info for info in archive.infolist() if not info.is_dir() and not _is_clutter(info.filename)]
            if len(held) != 1:
                what = f"{len(held)} files" if held else "no file"
                raise CandleFileError(str(path), f"holds {what} where one is expected; unpack it into a folder")
            if held[0].flag_bits & _ENCRYPTED:
                raise CandleFileError(str(path), "is encrypted; unpack it first")
            return pathlib.PurePosixPath(held[0].filename).name.lower(), _unpack(path, archive, held[0], max_bytes)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise CandleFileError(str(path), f"the zip data is damaged ({error}); fetch it again") from error
    except NotImplementedError as error:
        raise CandleFileError(str(path), f"is packed in a way that is not known ({error}); unpack it first") from error


def _refuse_long_list(path: pathlib.Path, file: IO[bytes]) -> None:
    """Refuse an archive that lists thousands of files before the list is read."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _LONGEST_LIST - 22))  # 22: the end of an archive; a comment may follow it
    end = file.read()
    at = end.rfind(_LIST_OF)
    file.seek(0)
    if at >= 0 and int.from_bytes(end[at + 12 : at + 16], "little") > _LONGEST_LIST:
        raise CandleFileError(str(path), "holds many files where one is expected; unpack it into a folder")


def _unpack(path: pathlib.Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    chunks, size = [], 0
    with archive.open(info) as packed:  # its CRC is checked at the end
        while chunk := packed.read(_CHUNK):  # what the archive says of its size may be a lie
            size += len(chunk)
            if size > max_bytes:
                raise CandleFileError(str(path), too_large(max_bytes))
            chunks.append(chunk)
    return b"".join(chunks)


def _is_clutter(name: str) -> bool:
    """Tell whether a file is what macOS adds to archives, or hidden."""
    return name.startswith("__MACOSX/") or pathlib.PurePosixPath(name).name.startswith(".")
