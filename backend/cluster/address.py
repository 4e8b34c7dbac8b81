"""The addresses of schedulers, such as tls://192.168.1.5:8790."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError


class Address(NamedTuple):
    """A name or number of a machine, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tls://{host}:{self.port}"


def parse(text: str) -> Address:
    """Parse tls://HOST:PORT.

    Raises:
        AtelierError: it is no such address.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or text.lower() != str(Address(host, port)):
        raise AtelierError(_NO_ADDRESS, text=text)
    return Address(host, port)


_NO_ADDRESS = N_(
    "{text} is not the address of a cluster. Give it as tls://HOST:PORT, such as tls://192.168.1.5:8790."
)
