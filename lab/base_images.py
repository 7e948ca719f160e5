"""The images that Dockerfiles build on: ``FROM python:3.11`` means ``{registry}/base/python:3.11``.

They are made of Debian's packages, with a shell and the tools that ``RUN`` lines use. Their packages are unpacked,
not installed: apt and pip do not work in them.
"""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lab import debian_layer, layout, registry
from lab.debian_layer import DebianLayer
from lab.image_build import build, files_layer
from lab.oci import ImageSpec

if t.TYPE_CHECKING:
    from pathlib import Path

    from lab.oci import BuiltImage

_SOURCES = layout.ROOT / "lab" / "images"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TOOLS = ("base-files", "coreutils", "dash", "findutils", "grep", "gzip", "sed", "tar")
_UNUSED = (
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/i18n"),
    *("usr/share/lintian", "usr/share/bug", "usr/share/perl*", "usr/share/debconf"),
    *("usr/lib/*/gconv", "usr/lib/*/perl*", "usr/lib/systemd", "usr/bin/perl*", "var/lib/dpkg"),
)
_ROOT = "root:x:0:0:root:/root:/bin/sh"
_NOBODY = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"
#: What the packages' scripts would have made.
_ACCOUNTS = (
    f'printf "%s\\n" {_ROOT} {_NOBODY} > "$1"/etc/passwd',
    'printf "%s\\n" root:x:0: nogroup:x:65534: > "$1"/etc/group',
)


@dataclass(frozen=True)
class BaseImage:
    """A base image under its tags."""

    name: str
    tags: tuple[str, ...]
    layer: DebianLayer
    command: tuple[str, ...]
    port: int | None = None
    #: Files of ours by their path in the image, from lab/images.
    files: dict[str, Path] = field(default_factory=dict)
    user: str = ""

    def specs(self) -> list[ImageSpec]:
        """Return one image for each tag; they differ in nothing else."""
        variables = {"PATH": _PATH, "LANG": "C.UTF-8"}
        return [
            ImageSpec(reference(self.name, tag), self.command, self.port, variables, self.user)
            for tag in self.tags
        ]


def reference(name: str, tag: str) -> str:
    """Return where the registry has a base image."""
    return f"{registry.ADDRESS}/base/{name}:{tag}"


def _layer(
    name: str, packages: tuple[str, ...], unused: tuple[str, ...], hooks: tuple[str, ...] = ()
) -> DebianLayer:
    every = (*_TOOLS, *packages)
    return DebianLayer(
        f"base-{name}", every, (*_UNUSED, *unused), (*_ACCOUNTS, *hooks), merged_usr=True
    )


def base_images() -> list[BaseImage]:
    """List the base images."""
    modules = "/usr/lib/python3.11 /usr/lib/python3/dist-packages"
    python = _layer(
        "python",
        ("python3", "python3-flask", "python3-gunicorn", "python3-waitress", "tzdata"),
        ("usr/lib/python3.11/test", "usr/lib/python3.11/lib2to3", "usr/lib/python3.11/idlelib"),
        (
            'ln -s python3 "$1"/usr/bin/python',
            # Nobody may write them later: apps do not run as root.
            f'chroot "$1" python3 -m compileall -q {modules}',
        ),
    )
    node = _layer("node", ("nodejs",), ("usr/share/nodejs/@types", "usr/share/nodejs/undici-types"))
    nginx = _layer(
        "nginx",
        ("nginx",),
        ("etc/nginx/sites-*", "etc/nginx/modules-*", "usr/sbin/[!n]*", "usr/bin/deb*"),
        ('chown -R 65534:65534 "$1"/usr/share/nginx/html',),
    )
    settings = {
        "etc/nginx/nginx.conf": _SOURCES / "nginx" / "nginx.conf",
        "etc/nginx/start.sh": _SOURCES / "nginx" / "start.sh",
    }
    start = ("/bin/sh", "/etc/nginx/start.sh")
    return [
        BaseImage("python", ("3.11", "3.11-slim"), python, ("python3",)),
        BaseImage("node", ("18", "18-slim"), node, ("node",)),
        # Without capabilities nginx cannot change its user, so it has the right one from the start.
        BaseImage("nginx", ("1.22",), nginx, start, 8080, settings, user="65534:65534"),
    ]


def ensure_built() -> list[BuiltImage]:
    """Build the images whose recipe changed, side by side."""
    images = base_images()
    with ThreadPoolExecutor(max_workers=len(images)) as pool:
        bases = list(pool.map(debian_layer.ensure_built, [image.layer for image in images]))
    built = []
    for image, base in zip(images, bases, strict=True):
        layers = [base, files_layer(image.files)] if image.files else [base]
        built += [build(spec, layers) for spec in image.specs()]
    return built
