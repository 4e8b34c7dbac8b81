"""TCP options, so that a lost machine is noticed, and a slow one is not taken for lost.

A machine that was switched off is noticed by keep-alive, although no bytes are due from it.
No probes are sent while bytes are unacknowledged, so unacknowledged bytes have their own time limit.

Source: tcp(7)
"""

from __future__ import annotations

import asyncio
import socket

IDLE_S, INTERVAL_S, COUNT = 10, 5, 3
"""A silent machine is asked after IDLE_S, and counts as lost after COUNT questions without an answer."""

UNSENT_BYTES = 1 << 16
"""Most unsent bytes in the system's buffer. By default it takes megabytes at once, and no more until a slow
connection has sent them, so that the connection seems silent."""


def use(writer: asyncio.StreamWriter) -> None:
    """Set the options of a connection."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {
        "TCP_NOTSENT_LOWAT": UNSENT_BYTES,
        "TCP_KEEPIDLE": IDLE_S,
        "TCP_KEEPINTVL": INTERVAL_S,
        "TCP_KEEPCNT": COUNT,
        "TCP_USER_TIMEOUT": 1000 * (IDLE_S + COUNT * INTERVAL_S),  # ms, while bytes are unacknowledged
    }
    for name, value in options.items():
        if option := getattr(socket, name, None):  # macOS and old Windows have other names
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
