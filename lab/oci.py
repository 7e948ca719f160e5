"""Write an OCI image layout by hand: the same inputs always give the same digests."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from pathlib import Path

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class ImageSpec:
    """What an image is made of besides its layers."""

    reference: str
    command: tuple[str, ...]
    port: int | None
    environment: dict[str, str] = field(default_factory=dict)
    #: Empty: root, as a Dockerfile that installs things expects of its base.
    user: str = "65534:65534"


@dataclass(frozen=True)
class BuiltImage:
    """An image as a folder on disk."""

    reference: str
    folder: Path
    config_digest: str
    #: Name of the lowest and largest of its layers.
    base: str


def file_digest(path: Path) -> str:
    """Return the ``sha256:`` digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def config_bytes(spec: ImageSpec, layers: list[str], architecture: str) -> bytes:
    """Return the image's configuration; its digest names the image."""
    variables = {"PATH": "/usr/bin:/bin", **spec.environment}
    ports: dict[str, t.Any] = {} if spec.port is None else {f"{spec.port}/tcp": {}}
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": spec.user,
            "Env": [f"{name}={value}" for name, value in sorted(variables.items())],
            "Cmd": list(spec.command),
            "ExposedPorts": ports,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": layers},
        "history": [{"created_by": "lab/images"} for _ in layers],
    }
    return json.dumps(config, sort_keys=True).encode()


def write_layout(folder: Path, spec: ImageSpec, layers: list[Path], architecture: str) -> str:
    """Write the image into ``folder`` as an OCI layout; return the digest of its configuration."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    digests = [file_digest(layer) for layer in layers]
    for layer, digest in zip(layers, digests, strict=True):
        blob = blobs / digest.partition(":")[2]
        if not blob.exists():
            blob.hardlink_to(layer)
    config = _put(blobs, config_bytes(spec, digests, architecture), _CONFIG_TYPE)
    described = [
        {"mediaType": _LAYER_TYPE, "digest": digest, "size": layer.stat().st_size}
        for layer, digest in zip(layers, digests, strict=True)
    ]
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST_TYPE}
    body = json.dumps({**manifest, "config": config, "layers": described}, sort_keys=True)
    entry = _put(blobs, body.encode(), _MANIFEST_TYPE)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    index = {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(config["digest"])


def _put(blobs: Path, content: bytes, media_type: str) -> dict[str, t.Any]:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
