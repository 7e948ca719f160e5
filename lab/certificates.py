"""Certificates: the lab's own authority, and those that this machine trusts beyond Debian's."""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab import layout

CA_CERTIFICATE = layout.STATE / "ca" / "ca.crt"
CA_KEY = layout.STATE / "ca" / "ca.key"
_DEBIAN_CERTIFICATES = Path("/usr/share/ca-certificates")
_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_LIFETIME = dt.timedelta(days=3650)


def pem_blocks(text: str) -> dict[str, str]:
    """Return the certificates in ``text`` by their base64 body, which ignores line breaks."""
    return {"".join(block.split()[1:-1]): block + "\n" for block in _PEM.findall(text)}


def missing_from(known: str, bundle: str) -> list[str]:
    """List the certificates of ``bundle`` that ``known`` does not hold."""
    have = pem_blocks(known)
    return [pem for body, pem in sorted(pem_blocks(bundle).items()) if body not in have]


def controller_bundle() -> Path:
    """Return the CA bundle that programs on this machine are told to trust."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = os.environ.get(name)
        if path and Path(path).is_file():
            return Path(path)
    return _SYSTEM_BUNDLE


def extra_certificates() -> list[str]:
    """List what this machine trusts beyond Debian's list, such as the CA of its TLS proxy."""
    bundle = controller_bundle()
    if not bundle.is_file():
        return []
    shipped = "\n".join(path.read_text() for path in sorted(_DEBIAN_CERTIFICATES.rglob("*.crt")))
    return missing_from(shipped, bundle.read_text())


def ensure_authority() -> None:
    """Make the lab's CA once; hosts get certificates that it signed."""
    if CA_CERTIFICATE.exists() and CA_KEY.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Funai lab CA")])
    now = dt.datetime.now(dt.UTC)
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        # A host's clock may lag behind this machine's.
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signing_usage(), critical=True)
        .add_extension(public, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    layout.write_private(
        CA_KEY,
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    layout.write_private(CA_CERTIFICATE, certificate.public_bytes(pem))


def _signing_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
