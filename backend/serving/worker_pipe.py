"""A pipe of whole messages between the server's process and its worker's.

Two processes of ours at the ends of one socket pair, so nothing is signed; the packing is the
wire's. Knows nothing of jobs, ZeroMQ or torch.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import threading

from atelier_shared.codec import MAX_FRAMES, pack, unpack
from atelier_shared.messages import Message

BUFFER_BYTES = 4 * 1024 * 1024
TURN_S = 1.0
_SIZES = struct.Struct(f">{MAX_FRAMES}Q")


class WorkerPipe:
    """One end of a socket pair.

    Either one thread does everything, or several send without time-outs while one receives so.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._sending = threading.Lock()
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, buffer, BUFFER_BYTES)

    def send(self, message: Message, *, timeout_s: float | None = None) -> None:
        """Send one message.

        Raises:
            TimeoutError: the other process did not take it; the channel is of no further use.
            OSError: the other process is gone.
        """
        frames = pack(message)
        absent = [0] * (MAX_FRAMES - len(frames))
        with self._sending:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(_SIZES.pack(*map(len, frames), *absent))
            for frame in frames:
                self._socket.sendall(frame)

    def receive(self, *, timeout_s: float | None = None) -> Message:
        """The next message.

        Raises:
            TimeoutError: nothing came for that long; the channel is of no further use.
            OSError: the other process is gone.
        """
        self._socket.settimeout(timeout_s and min(TURN_S, timeout_s))
        turns = math.ceil((timeout_s or TURN_S) / TURN_S)
        sizes = _SIZES.unpack(self._read(_SIZES.size, turns))
        return unpack([self._read(size, turns) for size in sizes if size])

    def waiting(self, *, within_s: float = 0) -> bool:
        """Whether a message begins to arrive, or the other process is gone, within some time."""
        return bool(select.select([self._socket], [], [], within_s)[0])

    def close(self) -> None:
        """Close this end; the other one's next call raises OSError."""
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

    def _read_once(self, room: memoryview, turns: int) -> int:
        """Wait for so many turns; where the whole machine stood still for long, that was one."""
        for _ in range(turns):
            try:
                return self._socket.recv_into(room)
            except TimeoutError:
                continue
        raise TimeoutError("the other process says nothing")
