"""Certificates that a client should not trust, each for its own reason, and one that it may."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

Key = ec.EllipticCurvePrivateKey


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _sign(
    subject: str, issuer: str, key: Key, by: Key, *, address: str, days: int, authority: bool
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    end = now + datetime.timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - datetime.timedelta(days=2))
        .not_valid_after(end)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def server_tls(
    directory: Path, *, address: str = "127.0.0.1", days: int = 1, self_signed: bool = True
) -> ssl.SSLContext:
    """A server's TLS; who issued its certificate is in ``directory/authority.pem``.

    Args:
        directory: for the files.
        address: that the certificate is for.
        days: until it expires; negative if it has.
        self_signed: it is its own authority; else it has one.
    """
    key, authority_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    if self_signed:
        shown = _sign("server", "server", key, key, address=address, days=days, authority=True)
        authority = shown
    else:
        authority = _sign(
            "authority",
            "authority",
            authority_key,
            authority_key,
            address="127.0.0.9",
            days=9,
            authority=True,
        )
        shown = _sign(
            "server", "authority", key, authority_key, address=address, days=days, authority=False
        )
    (directory / "authority.pem").write_bytes(_pem(authority))
    file = directory / "server.pem"
    file.write_bytes(
        _pem(shown)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
