"""The images of the demo apps and the lab's registry that they are pushed to."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import identity, layout
from lab.certificates import CA_CERTIFICATE
from lab.image import SUITE
from lab.oci import ImageSpec, write_layout
from lab.process import CommandError, LabError, follow, run, tail
from lab.wheelhouse import write_tar

REGISTRY = layout.address_of("forge")
DEMO_IMAGE = f"{REGISTRY}/funai/demo:1"
DEMO_PORT = 8080
_WORKSPACE_PORT = 5173
_CACHE = layout.STATE / "images"
_SOURCES = layout.ROOT / "lab" / "images"
_PYTHON = "/usr/bin/python3.11"
_PACKAGES = "python3.11-minimal,libpython3.11-stdlib"
#: What a server needs none of: half of the image.
_UNUSED = (
    "usr/share/doc usr/share/man usr/share/locale usr/share/lintian usr/share/perl5 usr/share/zoneinfo "
    "usr/lib/*/gconv usr/lib/python3.11/test usr/lib/python3.11/unittest "
    "usr/lib/python3.11/lib2to3 usr/bin/perl* usr/sbin usr/lib/systemd"
)


@dataclass(frozen=True)
class BuiltImage:
    """An image as a folder on disk."""

    reference: str
    folder: Path
    config_digest: str


def _demo(tag: str, **environment: str) -> tuple[str, ImageSpec]:
    command = (_PYTHON, "-IS", "/app.py")
    spec = ImageSpec(f"{REGISTRY}/funai/demo:{tag}", command, DEMO_PORT, environment)
    return "demo", spec


def image_specs() -> list[tuple[str, ImageSpec]]:
    """List the images with the folder of their source."""
    workspace = ImageSpec(
        f"{REGISTRY}/funai/workspace-demo:1", (_PYTHON, "-IS", "/app.py"), _WORKSPACE_PORT
    )
    faults = ("exits", "silent", "elsewhere", "broken")
    return [
        _demo("1", DEMO_RELEASE="1"),
        _demo("2", DEMO_RELEASE="2"),
        *[_demo(fault, DEMO_RELEASE=fault, DEMO_FAULT=fault) for fault in faults],
        ("workspace_demo", workspace),
    ]


def ensure_built() -> list[BuiltImage]:
    """Build the images whose sources changed; the Python below them is built once."""
    layout.private_directory(_CACHE)
    base = _ensure_base()
    architecture = run(["dpkg", "--print-architecture"]).strip()
    built = []
    for source, spec in image_specs():
        layer = _app_layer(_SOURCES / source / "app.py")
        folder = _CACHE / spec.reference.rpartition("/")[2].replace(":", "-")
        digest = write_layout(folder, spec, [base, layer], architecture)
        built.append(BuiltImage(spec.reference, folder, digest))
    return built


def _app_layer(source: Path) -> Path:
    content = source.read_bytes()
    path = _CACHE / f"app-{hashlib.sha256(content).hexdigest()[:16]}.tar"
    if not path.exists():
        with path.open("wb") as file:
            write_tar(file, {"app.py": content})
    return path


def _ensure_base() -> Path:
    """Return a layer with Debian's Python and nothing that needs an installation."""
    remove = " ".join(f'"$1"/{path}' for path in _UNUSED.split())
    hooks = [
        f"rm -rf {remove}",
        f'chroot "$1" {_PYTHON} -m compileall -q /usr/lib/python3.11',
        'mkdir -p "$1"/tmp && chmod 1777 "$1"/tmp',
    ]
    recipe = json.dumps([SUITE, _PACKAGES, hooks])
    path = _CACHE / f"python-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    if path.exists():
        return path
    draft = path.with_name("python-new.tar")
    draft.unlink(missing_ok=True)
    argv = ["mmdebstrap", "--variant=extract", f"--include={_PACKAGES}"]
    # An extracted system is never configured, so the later hooks do not run.
    argv += [f"--extract-hook={hook}" for hook in hooks]
    log = layout.LOGS / "demo_image.log"
    if follow([*argv, SUITE, str(draft)], log, env={"SOURCE_DATE_EPOCH": "0"}) != 0:
        raise LabError(tail(log.read_text(errors="replace"), 5), log=log)
    draft.rename(path)
    return path


class Registry:
    """The lab's registry, asked with the account that may push."""

    def __init__(self, scratch: Path) -> None:
        certificates = scratch / "certs"
        certificates.mkdir()
        (certificates / "ca.crt").write_bytes(CA_CERTIFICATE.read_bytes())
        account = f"push:{identity.secret('registry_push_password')}".encode()
        login = {"auths": {REGISTRY: {"auth": base64.b64encode(account).decode()}}}
        # Credentials in a file: a command line can be read by every user of the machine.
        auth = scratch / "auth.json"
        layout.write_private(auth, json.dumps(login).encode())
        self._certificates, self._auth = str(certificates), str(auth)

    def config_digest(self, reference: str) -> str | None:
        """Return the digest of the image's configuration; None where there is no such image."""
        argv = ["skopeo", "inspect", "--raw", "--cert-dir", self._certificates]
        argv += ["--authfile", self._auth, f"docker://{reference}"]
        try:
            return str(json.loads(run(argv, timeout=30))["config"]["digest"])
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
        run([*argv, f"docker://{image.reference}"], timeout=300)
        return True


def push_all(images: list[BuiltImage]) -> list[str]:
    """Push what the registry lacks; return the references that were pushed."""
    with tempfile.TemporaryDirectory(dir=layout.STATE) as scratch:
        registry = Registry(Path(scratch))
        first, *rest = images
        # The first push carries the shared layer; the others then find it in the registry.
        pushed = [registry.push(first)]
        with ThreadPoolExecutor(max_workers=3) as pool:
            pushed += pool.map(registry.push, rest)
    return [image.reference for image, new in zip(images, pushed, strict=True) if new]
