"""The connection file: any content gives a valid port, pid and key, or counts as a missing file."""

from __future__ import annotations

import os
import tempfile

from atelier_shared import home, launcher

os.environ["ATELIER_HOME"] = tempfile.mkdtemp(prefix="atelier-fuzz-")
FILE = home.connection_file()
WORDS = [b'{"port": ', b', "pid": ', b', "key": "', b'"}', b"65535", b"ab" * 32, b"1e400", b"-1", b"NaN"]


def one_input(data: bytes) -> None:
    FILE.write_bytes(data)
    FILE.chmod(0o600)
    connection = launcher.read_connection()
    if connection is not None:
        assert 0 < connection.port < 65536 and connection.pid > 0
        assert len(bytes.fromhex(connection.key)) == 32
