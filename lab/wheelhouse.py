"""Pack each service with everything it needs, so that hosts install it without a package index.

``build/<service>.tar`` holds ``requirements.txt`` (the lock file), ``wheels/`` (the locked packages and the
services' own wheel) and for the runner ``bundle/`` (the job playbooks). The same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
import tarfile
import tempfile
import typing as t
from pathlib import Path

from lab import layout
from lab.certificates import controller_bundle
from lab.process import run

if t.TYPE_CHECKING:
    from collections.abc import Iterable

SERVICES = ("api", "deploy", "gateway", "runner", "runtime")
_BUNDLES = {"runner": layout.ROOT / "playbooks" / "jobs"}
_SOURCES = layout.ROOT / "services"
#: 1980-01-01, the earliest time that a wheel, a zip file, can hold.
_EPOCH = "315532800"
_SKIPPED = {"__pycache__", "build", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def source_files(folder: Path) -> list[Path]:
    """List the files below ``folder`` that belong to the project, in a stable order."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not _is_made(path.relative_to(folder))
    )


def _is_made(path: Path) -> bool:
    """Tell whether a tool made ``path``."""
    return any(part in _SKIPPED or part.endswith(".egg-info") for part in path.parts)


def digest_files(files: Iterable[tuple[str, Path]]) -> str:
    """Return one hash over the names and contents of ``files``."""
    digest = hashlib.sha256()
    for name, path in files:
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def inputs_digest(service: str, root: Path = layout.ROOT) -> str:
    """Return a hash over everything that ends up in the archive of ``service``."""
    folders = [root / "services"]
    if service in _BUNDLES:
        folders.append(root / "playbooks" / "jobs")
    files = [(str(p.relative_to(root)), p) for folder in folders for p in source_files(folder)]
    lock = root / "requirements" / f"{service}.txt"
    own = Path(__file__)
    return digest_files([("lock", lock), ("recipe", own), *files])


def ensure_built() -> dict[str, bool]:
    """Build the archives whose inputs changed; return which services were built."""
    layout.BUILD.mkdir(exist_ok=True)
    outdated = {service: inputs_digest(service) for service in SERVICES}
    outdated = {name: digest for name, digest in outdated.items() if _built_from(name) != digest}
    if outdated:
        with tempfile.TemporaryDirectory(dir=layout.BUILD) as scratch:
            own_wheel = _build_own_wheel(Path(scratch))
            for service, digest in outdated.items():
                _pack(service, _locked_wheels(service), own_wheel)
                _stamp(service).write_text(digest)
    return {service: service in outdated for service in SERVICES}


def archive(service: str) -> Path:
    """Return the path of a service's archive."""
    return layout.BUILD / f"{service}.tar"


def _stamp(service: str) -> Path:
    return layout.BUILD / f"{service}.inputs"


def _built_from(service: str) -> str:
    stamp = _stamp(service)
    return stamp.read_text() if stamp.exists() and archive(service).exists() else ""


def _build_own_wheel(scratch: Path) -> Path:
    """Build the services' wheel from a copy, so that the sources stay as they are."""
    ignore = shutil.ignore_patterns(*_SKIPPED, "*.egg-info")
    copy = Path(shutil.copytree(_SOURCES, scratch / "services", ignore=ignore))
    argv = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    out = scratch / "wheel"
    run([*argv, "--outdir", str(out), str(copy)], env={"SOURCE_DATE_EPOCH": _EPOCH}, timeout=300)
    return next(out.glob("*.whl"))


def _locked_wheels(service: str) -> list[Path]:
    """Download the wheels of a lock file once."""
    lock = layout.ROOT / "requirements" / f"{service}.txt"
    folder = layout.BUILD / "wheels" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        draft = folder.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        argv += ["--only-binary", ":all:", "--requirement", str(lock), "--dest", str(draft)]
        # pip brings a list of CAs of its own, which does not know that of a TLS proxy.
        run(argv, timeout=600, env={"PIP_CERT": str(controller_bundle())})
        draft.rename(folder)
    return sorted(folder.glob("*.whl"))


def _pack(service: str, wheels: list[Path], own_wheel: Path) -> None:
    members = {"requirements.txt": layout.ROOT / "requirements" / f"{service}.txt"}
    members.update({f"wheels/{wheel.name}": wheel for wheel in [*wheels, own_wheel]})
    bundle = _BUNDLES.get(service)
    if bundle is not None:
        members.update({f"bundle/{p.relative_to(bundle)}": p for p in source_files(bundle)})
    draft = archive(service).with_suffix(".new")
    with draft.open("wb") as file:
        write_tar(file, {name: path.read_bytes() for name, path in members.items()})
    draft.replace(archive(service))


def write_tar(file: t.IO[bytes], members: dict[str, bytes]) -> None:
    """Write a tar whose bytes depend on names and contents only."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in sorted(members.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    ensure_built()
