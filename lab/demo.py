"""The images of the demo apps."""

from __future__ import annotations

import typing as t

from lab import debian_layer, layout, registry
from lab.debian_layer import DebianLayer
from lab.image_build import build, files_layer
from lab.oci import ImageSpec

if t.TYPE_CHECKING:
    from lab.oci import BuiltImage

DEMO_IMAGE = f"{registry.ADDRESS}/funai/demo:1"
DEMO_PORT = 8080
_WORKSPACE_PORT = 5173
_SOURCES = layout.ROOT / "lab" / "images"
_PYTHON = "/usr/bin/python3.11"
_PYTHON_LAYER = DebianLayer(
    name="python",
    packages=("python3.11-minimal", "libpython3.11-stdlib"),
    # What a server needs none of: half of the image.
    unused=(
        *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian"),
        *("usr/share/perl5", "usr/share/zoneinfo", "usr/lib/*/gconv", "usr/lib/python3.11/test"),
        *("usr/lib/python3.11/unittest", "usr/lib/python3.11/lib2to3", "usr/bin/perl*"),
        *("usr/sbin", "usr/lib/systemd"),
    ),
    hooks=(
        f'chroot "$1" {_PYTHON} -m compileall -q /usr/lib/python3.11',
        'mkdir -p "$1"/tmp && chmod 1777 "$1"/tmp',
    ),
)


def _demo(tag: str, **environment: str) -> tuple[str, ImageSpec]:
    command = (_PYTHON, "-IS", "/app.py")
    spec = ImageSpec(f"{registry.ADDRESS}/funai/demo:{tag}", command, DEMO_PORT, environment)
    return "demo", spec


def image_specs() -> list[tuple[str, ImageSpec]]:
    """List the images with the folder of their source."""
    workspace = ImageSpec(
        f"{registry.ADDRESS}/funai/workspace-demo:1", (_PYTHON, "-IS", "/app.py"), _WORKSPACE_PORT
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
    base = debian_layer.ensure_built(_PYTHON_LAYER)
    built = []
    for source, spec in image_specs():
        layer = files_layer({"app.py": _SOURCES / source / "app.py"})
        built.append(build(spec, [base, layer]))
    return built
