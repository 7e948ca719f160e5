"""The lab's registry, and what the lab pushes to it."""

from __future__ import annotations

import base64
import json
import tempfile
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import identity, layout
from lab.certificates import CA_CERTIFICATE
from lab.process import CommandError, run

if t.TYPE_CHECKING:
    from lab.oci import BuiltImage

ADDRESS = layout.address_of("forge")
_INSPECT_SECONDS = 30
_PUSH_SECONDS = 300


class Registry:
    """The lab's registry, asked with the account that may push."""

    def __init__(self, scratch: Path) -> None:
        certificates = scratch / "certs"
        certificates.mkdir()
        (certificates / "ca.crt").write_bytes(CA_CERTIFICATE.read_bytes())
        account = f"push:{identity.secret('registry_push_password')}".encode()
        login = {"auths": {ADDRESS: {"auth": base64.b64encode(account).decode()}}}
        # Credentials in a file: a command line can be read by every user of the machine.
        auth = scratch / "auth.json"
        layout.write_private(auth, json.dumps(login).encode())
        self._certificates, self._auth = str(certificates), str(auth)

    def config_digest(self, reference: str) -> str | None:
        """Return the digest of the image's configuration; None where there is no such image."""
        argv = ["skopeo", "inspect", "--raw", "--cert-dir", self._certificates]
        argv += ["--authfile", self._auth, f"docker://{reference}"]
        try:
            return str(json.loads(run(argv, timeout=_INSPECT_SECONDS))["config"]["digest"])
        except CommandError as error:
            if "unknown" in error.reason:  # "manifest unknown", "name unknown"
                return None
            raise

    def push(self, image: BuiltImage) -> bool:
        """Push ``image`` unless it is there; return whether it was pushed."""
        if self.config_digest(image.reference) == image.config_digest:
            return False
        argv = ["skopeo", "copy", "--quiet", "--dest-cert-dir", self._certificates]
        argv += ["--dest-authfile", self._auth, f"oci:{image.folder}:image"]
        run([*argv, f"docker://{image.reference}"], timeout=_PUSH_SECONDS)
        return True


def push_all(images: list[BuiltImage]) -> list[str]:
    """Push what the registry lacks; return the references that were pushed."""
    with tempfile.TemporaryDirectory(dir=layout.STATE) as scratch:
        registry = Registry(Path(scratch))
        pushed: list[str] = []
        with ThreadPoolExecutor(max_workers=3) as pool:
            for wave in waves(images):
                news = pool.map(registry.push, wave)
                pushed += [image.reference for image, new in zip(wave, news, strict=True) if new]
    return pushed


def waves(images: list[BuiltImage]) -> tuple[list[BuiltImage], list[BuiltImage]]:
    """Split ``images``: the first on each layer carry it to the registry, the others find it there."""
    carriers: dict[str, BuiltImage] = {}
    for image in images:
        carriers.setdefault(image.base, image)
    first = list(carriers.values())
    return first, [image for image in images if image not in first]
