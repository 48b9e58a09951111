"""Requests that a well-behaved client never sends: bodies without an end, heads that never come whole."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import quote, urlsplit

__all__ = ["BODIES", "FRAMINGS", "Flood", "answer_to"]

_PIECE: Final = 64 * 1024
BODIES: Final = {
    "application/json": (b'{"sequences": [', b"1, " * 1024),
    "application/x-www-form-urlencoded": (b"csrf=", b"a=b&" * 1024),
    "multipart/form-data; boundary=x": (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n',
        b"\n" * 4096,
    ),
}
"""How a body of each content type begins, and how it goes on."""
FRAMINGS: Final = ("length", "chunked")


def _head(url: str, content_type: str, framing: str, size: int) -> bytes:
    address = urlsplit(url)
    length = f"Content-Length: {size}" if framing == "length" else "Transfer-Encoding: chunked"
    where = f"POST {quote(address.path)} HTTP/1.1\r\nHost: {address.netloc}"
    return f"{where}\r\nContent-Type: {content_type}\r\n{length}\r\n\r\n".encode()


def _pieces(content_type: str, framing: str, size: int) -> Iterator[bytes]:
    begin, more = BODIES[content_type]
    piece = more * (_PIECE // len(more))
    left = size
    while left > 0:
        now = (begin + piece)[:left] if left == size else piece[:left]
        left -= len(now)
        yield now if framing == "length" else b"%x\r\n%b\r\n" % (len(now), now)
    if framing == "chunked":
        yield b"0\r\n\r\n"


class Flood:
    """Bodies of ``size`` bytes to one address, from several connections that all have begun before any goes on."""

    def __init__(self, url: str, size: int, at_once: int) -> None:
        self.url, self.size, self.at_once = url, size, at_once

    async def pour(self, content_type: str, framing: str) -> list[int | None]:
        """The status that each connection got; None if it was closed without an answer."""
        begun = threading.Barrier(self.at_once, timeout=120)
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(self.at_once) as threads:  # the loop's own has fewer than that
            pouring = [
                loop.run_in_executor(threads, self._pour, content_type, framing, begun) for _ in range(self.at_once)
            ]
            return list(await asyncio.gather(*pouring))

    def _pour(self, content_type: str, framing: str, begun: threading.Barrier) -> int | None:
        address = urlsplit(self.url)
        with socket.create_connection((address.hostname, address.port), timeout=120) as connection:
            begun.wait()
            with contextlib.suppress(ConnectionError):
                connection.sendall(_head(self.url, content_type, framing, self.size))
                for piece in _pieces(content_type, framing, self.size):
                    connection.sendall(piece)
            return _status(connection)


def _status(connection: socket.socket) -> int | None:
    heard = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            heard += more
            if b"\r\n\r\n" in heard:
                break
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", heard)
    return None if found is None else int(found[1])


def answer_to(url: str, sent: bytes) -> bytes:
    """All bytes that come back until the other side closes the connection."""
    address = urlsplit(url)
    heard = b""
    with socket.create_connection((address.hostname, address.port), timeout=120) as connection:
        connection.sendall(sent)
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65536):
                heard += more
    return heard
