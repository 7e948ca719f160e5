"""Build the site of docs/, with tools in a folder of their own."""

from __future__ import annotations

import fcntl
import hashlib
import sys
import typing as t

from lab import layout
from lab.certificates import controller_bundle
from lab.process import CommandError, LabError, follow, run
from lab.wheelhouse import digest_files, source_files, write_tar

if t.TYPE_CHECKING:
    from pathlib import Path

SITE = layout.STATE / "docs-site"
#: The site as a host unpacks it; the same pages give the same bytes.
ARCHIVE = layout.BUILD / "docs.tar"
_TOOLS = layout.STATE / "docs-venv"
_REQUIREMENTS = layout.ROOT / "requirements"
_LOCK, _BUILD_LOCK = _REQUIREMENTS / "docs.txt", _REQUIREMENTS / "docs-build.txt"
#: Pages for people who use or run the platform, which are there in both languages.
TRANSLATED = ("index.md", "glossary.md", "tutorial", "concepts", "operations")


def ensure_built() -> bool:
    """Build the site where its pages or tools have changed; tell whether that was so."""
    stamp = layout.BUILD / "docs.inputs"
    folders = [layout.ROOT / "docs", _REQUIREMENTS]
    files = [path for folder in folders for path in source_files(folder)]
    files += [layout.ROOT / "mkdocs.yml", layout.ROOT / "lab" / "docs_hooks.py"]
    digest = digest_files((str(path.relative_to(layout.ROOT)), path) for path in files)
    if ARCHIVE.is_file() and stamp.is_file() and stamp.read_text() == digest:
        return False
    build()
    stamp.write_text(digest)
    return True


def build(site: Path = SITE, archive: Path = ARCHIVE) -> int:
    """Build the site and its archive; return how many pages there are.

    :raises LabError: where a page is wrong, by name
    """
    layout.private_directory(layout.LOGS)
    with (layout.STATE / "docs.lock").open("w") as lock:
        # Two at once would install into one folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        _ensure_tools()
        _build_site(site)
    files = {str(path.relative_to(site)): path for path in _files(site)}
    archive.parent.mkdir(exist_ok=True)
    draft = archive.with_suffix(".new")
    with draft.open("wb") as file:
        write_tar(file, {name: path.read_bytes() for name, path in files.items()})
    draft.replace(archive)
    return sum(name.endswith(".html") for name in files)


def _build_site(site: Path) -> None:
    log = layout.LOGS / "docs.log"
    scratch = layout.private_directory(layout.STATE / "docs-tmp")
    settings = {
        # The search's dictionary is cached there: in /tmp anybody could put one.
        "TMPDIR": str(scratch),
        "NO_MKDOCS_2_WARNING": "1",
        "PYTHONWARNINGS": "ignore",
    }
    argv = [str(_TOOLS / "bin" / "mkdocs"), "build", "--strict", "--quiet", "--site-dir", str(site)]
    if follow(argv, log, env=settings, cwd=layout.ROOT) != 0:
        text = log.read_text(encoding="utf-8", errors="replace")
        faults = [line for line in text.splitlines() if line.startswith(("WARNING", "ERROR"))]
        raise LabError("; ".join(faults[:5]) or "mkdocs failed", log=log)


def untranslated(docs: Path = layout.ROOT / "docs") -> list[str]:
    """List the pages for users and operators that have no Chinese page beside them."""
    pages = [page for page in docs.rglob("*.md") if page.relative_to(docs).parts[0] in TRANSLATED]
    english = [page for page in pages if not page.name.endswith(".zh.md")]
    missing = [page for page in english if not page.with_suffix(".zh.md").is_file()]
    return sorted(str(page.relative_to(docs)) for page in missing)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _ensure_tools() -> None:
    """Install the locked packages, unless that is done."""
    digest = hashlib.sha256(_LOCK.read_bytes() + _BUILD_LOCK.read_bytes())
    digest.update(f"{layout.ROOT} {sys.version}".encode())
    stamp = _TOOLS / "made-from"
    if stamp.is_file() and stamp.read_text() == digest.hexdigest():
        return
    uv = str(layout.BIN / "uv")
    certificates = {"SSL_CERT_FILE": str(controller_bundle())}
    run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(_TOOLS)], timeout=60)
    argv = [uv, "pip", "install", "--quiet", "--python", str(_TOOLS / "bin" / "python")]
    argv += ["--require-hashes", "--build-constraints", str(_BUILD_LOCK), "-r", str(_LOCK)]
    try:
        run(argv, timeout=600, env=certificates)
    except CommandError as error:
        message = f"the tools of the documentation could not be installed: {error.reason}"
        raise LabError(message) from error
    stamp.write_text(digest.hexdigest())
