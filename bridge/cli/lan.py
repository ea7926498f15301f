"""Trying the bridge from a phone: HTTPS on the LAN address, with a certificate and key of its own.

Browsers allow the microphone on secure origins only. The certificate is self-signed, so the phone
asks once whether to trust it. Certificate and key are kept in the data folder for the next start.
"""

import io
import ipaddress
import os
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridge.http.interfaces import default_address
from bridge.settings.model import DEMO_LINE, Line, Settings, check, is_loopback

VALID_DAYS = 30
FOLDER = "lan"


def prepare(settings: Settings) -> Settings:
    """Return the settings for the LAN, and print an invitation to the page.

    Raises:
        SettingsError: they contradict each other.
    """
    address = default_address()
    chosen = on_lan(settings, address)
    check(chosen)
    sys.stdout.write(invitation(chosen, address))
    sys.stdout.flush()
    return chosen


def on_lan(settings: Settings, address: str) -> Settings:
    """Return the settings with HTTPS on a LAN address and, without lines, a generated key.

    Writes the certificate and the key into the data folder, readable by their owner only.
    """
    folder = Path(settings.data.dir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    http = settings.http
    if is_loopback(http.host):
        http = msgspec.structs.replace(http, host=address)
    if not http.tls_cert:
        certificate, key = _certificate(folder, address)
        http = msgspec.structs.replace(http, tls_cert=str(certificate), tls_key=str(key))
    lines = settings.lines or {DEMO_LINE: Line(keys=[_api_key(folder)])}
    return msgspec.structs.replace(settings, http=http, lines=lines)


def invitation(settings: Settings, address: str) -> str:
    """Write the page's LAN address, with the key behind the #, as text and as a QR code."""
    key = next(iter(settings.lines.values())).keys[0]
    everywhere = settings.http.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    host = address if everywhere else settings.http.host
    url = f"https://{f'[{host}]' if ':' in host else host}:{settings.http.port}/#key={key}"
    drawing = io.StringIO()
    segno.make(url, error="l").terminal(drawing, border=2, compact=True)
    return (
        f"\nOpen this on a phone in the same network:\n\n{drawing.getvalue()}\n{url}\n\n"
        "The phone will warn once about the self-signed certificate: go on from there.\n"
    )


def _api_key(folder: Path) -> str:
    path = folder / "key.txt"
    if not path.exists():
        _write(path, secrets.token_urlsafe(18).encode())
    return path.read_text().strip()


def _certificate(folder: Path, address: str) -> tuple[Path, Path]:
    certificate_path, key_path = folder / f"{address}.crt", folder / f"{address}.key"
    if certificate_path.exists() and key_path.exists() and _good(certificate_path):
        return certificate_path, key_path
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "media bridge on the LAN")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(
        key_path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_path, key_path


def _good(path: Path) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc - datetime.now(UTC) > timedelta(days=1)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
