"""A pipe of whole messages between the server's process and the worker process.

Both ends of the socket pair belong to the backend, so messages are packed as on the wire but not signed.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import threading

from atelier_shared.codec import MAX_FRAMES, pack, unpack
from atelier_shared.messages import Frame, Message

BUFFER_BYTES = 4 * 1024 * 1024
TURN_S = 1.0
SIZES = struct.Struct(f">{MAX_FRAMES}Q")
"""Before each message: the lengths of its frames, 0 for those that it has not."""


class WorkerPipe:
    """One end of a socket pair.

    Time-outs are a property of the socket: use them in both directions from one thread, or send
    without them from several threads while one thread receives without them.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._sending = threading.Lock()
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, buffer, BUFFER_BYTES)

    def send(self, message: Message, *, timeout_s: float | None = None) -> None:
        """Send one message.

        Raises:
            TimeoutError: the other process did not read it; the pipe cannot be used any more.
            OSError: the other process is gone.
        """
        frames = with_sizes(message)
        with self._sending:
            self._socket.settimeout(timeout_s)
            for frame in frames:
                self._socket.sendall(frame)

    def receive(self, *, timeout_s: float | None = None) -> Message:
        """Wait for the next message and return it.

        Raises:
            TimeoutError: nothing arrived in time; the pipe cannot be used any more.
            OSError: the other process is gone.
        """
        self._socket.settimeout(timeout_s and min(TURN_S, timeout_s))
        turns = math.ceil((timeout_s or TURN_S) / TURN_S)
        sizes = SIZES.unpack(self._read(SIZES.size, turns))
        return unpack([self._read(size, turns) for size in sizes if size])

    def has_message(self, *, within_s: float = 0) -> bool:
        """Return whether a message begins to arrive, or the other end is closed, within this time."""
        return bool(select.select([self._socket], [], [], within_s)[0])

    def close(self) -> None:
        """Close this end. The next call at the other end raises OSError."""
        self._socket.close()

    def _read(self, size: int, turns: int) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            count = self._read_once(rest, turns)
            if not count:
                raise ConnectionError("the other process closed its end")
            rest = rest[count:]
        return data

    def _read_once(self, buffer: memoryview, turns: int) -> int:
        """Read at least one byte within `turns` time-outs.

        Turns are counted instead of elapsed time: a suspended computer costs only one of them.
        """
        for _ in range(turns):
            try:
                return self._socket.recv_into(buffer)
            except TimeoutError:
                continue
        raise TimeoutError("the other process sent nothing in time")


def with_sizes(message: Message) -> list[Frame]:
    """Return the frames of a message after their lengths."""
    frames = pack(message)
    absent = [0] * (MAX_FRAMES - len(frames))
    return [SIZES.pack(*map(len, frames), *absent), *frames]
