"""The certificates of a cluster, and TLS with them: both sides prove that they belong to it.

One file is for the scheduler and one for all workers. Each holds a private key, its certificate, and the
certificate of the authority for both. The authority's own key is not kept, so nobody can make further
certificates. A worker's certificate cannot be used as a scheduler's.

Sources:
    RFC 5280, 4.1.2.5 (validity) and 4.2.1.12 (extended key usage); RFC 7301 (ALPN); RFC 8446 (TLS 1.3)
"""

from __future__ import annotations

import datetime as calendar  # no clock is read
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from atelier_shared.deferred_translation import N_
from atelier_shared.errors import AtelierError
from atelier_shared.home import (
    SCHEDULER_CERTIFICATE_FILE,
    WORKER_CERTIFICATE_FILE,
    install_command,
    write_privately,
)
from atelier_shared.messages import PROTOCOL_VERSION

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

BEGINNING = calendar.datetime(2000, 1, 1)
NO_END = calendar.datetime(9999, 12, 31, 23, 59, 59)
"""RFC 5280, 4.1.2.5, for no end. So the clocks of the machines do not matter, and no cluster fails
on some day; new files exclude a lost machine."""
VERSIONS = f"atelier-cluster/{PROTOCOL_VERSION}"
"""Scheduler and workers agree on it by ALPN; if their versions differ, they have no protocol in common."""
BEGIN = "-----BEGIN CERTIFICATE-----"


def make(folder: Path) -> None:
    """Write the certificates of a new cluster into a folder.

    Raises:
        AtelierError: the package cryptography is not installed, or there are certificates already.
        OSError: a file cannot be written.
    """
    try:
        from cryptography.x509.oid import ExtendedKeyUsageOID
    except ImportError as error:
        raise AtelierError(_NO_CRYPTOGRAPHY, install=install_command("--cluster")) from error
    scheduler, worker = folder / SCHEDULER_CERTIFICATE_FILE, folder / WORKER_CERTIFICATE_FILE
    for file in (scheduler, worker):
        if file.exists():
            raise AtelierError(_EXISTS, file=file)
    authority = _Authority()
    write_privately(scheduler, authority.issue("scheduler", ExtendedKeyUsageOID.SERVER_AUTH))
    write_privately(worker, authority.issue("worker", ExtendedKeyUsageOID.CLIENT_AUTH))


class _Authority:
    """A certificate authority that exists only in memory."""

    def __init__(self) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        self._key = ec.generate_private_key(ec.SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder("authority", self._key).add_extension(constraints, critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @staticmethod
    def _builder(name: str, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        def named(name: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Atelier cluster {name}")])

        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGINNING)
            .not_valid_after(NO_END)
        )

    def issue(self, name: str, usage: x509.ObjectIdentifier) -> str:
        """Return a new key with a certificate for one usage, and this authority's certificate, as PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, key)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        certificate = builder.sign(self._key, hashes.SHA256())
        parts = (
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            *(each.public_bytes(Encoding.PEM) for each in (certificate, self._certificate)),
        )
        return b"".join(parts).decode()


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────


def scheduler_context(file: Path) -> ssl.SSLContext:
    """Return TLS for a scheduler; only workers with a certificate of the same cluster can connect.

    Raises:
        AtelierError: the file is missing, damaged, or readable for other users.
    """
    return _context(ssl.PROTOCOL_TLS_SERVER, file)


def worker_context(file: Path) -> ssl.SSLContext:
    """Return TLS for a worker, which connects only to the scheduler of the same cluster.

    Its certificate counts, not the name of its machine.

    Raises:
        AtelierError: the file is missing, damaged, or readable for other users.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, file)


def _context(side: int, file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([VERSIONS])
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise AtelierError(_NOT_PRIVATE, file=file)
        context.load_cert_chain(file)
        authority = BEGIN + file.read_text(encoding="ascii").rpartition(BEGIN)[2]
        context.load_verify_locations(cadata=authority)
    except FileNotFoundError as error:
        raise AtelierError(_MISSING, file=file) from error
    except (ValueError, OSError) as error:  # ssl's errors are OSErrors
        raise AtelierError(_DAMAGED, file=file) from error
    return context


def has_same_version(tls: ssl.SSLObject) -> bool:
    """Return whether the peer of a connection has this version of the protocol."""
    return tls.selected_alpn_protocol() == VERSIONS


_NO_CRYPTOGRAPHY = N_("The certificates of a cluster need the package cryptography. Run '{install}'.")
_EXISTS = N_("There is a cluster already. For another one, remove {file} first.")
_MISSING = N_(
    "{file} is missing. Run 'atelier cluster new' on the scheduler's machine, and copy the worker's file "
    "from there to every worker."
)
_NOT_PRIVATE = N_("Other users can read {file}, which has a secret key. Run 'chmod 600' on it.")
_DAMAGED = N_("{file} has no usable certificate. Copy it again.")
