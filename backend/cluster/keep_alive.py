"""TCP keep-alive: a machine that was switched off is noticed although no bytes are due from it.

Source: tcp(7)
"""

from __future__ import annotations

import asyncio
import socket

IDLE_S, INTERVAL_S, COUNT = 10, 5, 3
"""A silent machine is asked after IDLE_S, and counts as lost after COUNT questions without an answer."""


def use(writer: asyncio.StreamWriter) -> None:
    """Switch keep-alive on for a connection."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {"TCP_KEEPIDLE": IDLE_S, "TCP_KEEPINTVL": INTERVAL_S, "TCP_KEEPCNT": COUNT}.items():
        if option := getattr(socket, name, None):  # macOS and old Windows have other names
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
