#!/usr/bin/env python3
"""Free what no manifest of an image registry refers to any more, and say how much that was.

Nothing may be written meanwhile; ``funai-registry-gc.service`` sees to that. With ``--dry-run`` it changes nothing
and may run at any time.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

REGISTRY = "/usr/bin/docker-registry"
_STORE = Path("docker/registry/v2")
_ELIGIBLE = re.compile(r"^blob eligible for deletion: (?P<digest>\S+)$", re.MULTILINE)
_LINES_SHOWN = 20


class Blobs(t.NamedTuple):
    """How many blobs there are, and their bytes."""

    number: int
    size_bytes: int


def sizes_by_digest(root: Path) -> dict[str, int]:
    """Return the bytes of every blob below the registry's folder ``root``."""
    found = {}
    # blobs/ALGORITHM/first two digits/digest/data
    for data in (root / _STORE / "blobs").glob("*/*/*/data"):
        found[f"{data.parents[2].name}:{data.parent.name}"] = data.stat().st_size
    return found


def total(sizes: dict[str, int]) -> Blobs:
    """Add up blobs."""
    return Blobs(len(sizes), sum(sizes.values()))


def collect(settings: Path, *, dry_run: bool) -> str:
    """Run the registry's own collection; return what it printed, or raise with the end of it.

    Manifests without a tag stay: an app runs, and is rolled back to, by the digest of a manifest whose tag may
    have moved on. What may go was deleted by its digest before.
    """
    argv = [REGISTRY, "garbage-collect", *(["--dry-run"] if dry_run else []), str(settings)]
    # It logs one line for each blob that it keeps, which is not worth a journal.
    done = subprocess.run(  # noqa: S603 - a fixed program
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        lines = done.stdout.splitlines()[-_LINES_SHOWN:]
        raise RuntimeError("\n".join([f"{' '.join(argv)} ended with {done.returncode}:", *lines]))
    return done.stdout


def sweep(root: Path, blobs: t.Container[str]) -> None:
    """Remove what the registry's own collection leaves of the blobs that are gone.

    That is a folder for each deleted manifest, each blob, and each repository that had it, the last with a file: more
    than the kept images of an app that is deployed often take.
    """
    store = root / _STORE
    for layers in store.glob("repositories/**/_layers"):
        for link in layers.glob("*/*"):
            if f"{link.parent.name}:{link.name}" not in blobs:
                shutil.rmtree(link)
    for revisions in store.glob("repositories/**/_manifests/revisions"):
        _remove_empty(revisions.glob("*/*"))
    # The folder of a blob, then that of all whose digests begin alike.
    _remove_empty(store.glob("blobs/*/*/*"))
    _remove_empty(store.glob("blobs/*/*"))


def _remove_empty(folders: t.Iterable[Path]) -> None:
    for folder in list(folders):
        # Most are not empty.
        with contextlib.suppress(OSError):
            folder.rmdir()


def report(root: Path, settings: Path, *, dry_run: bool) -> str:
    """Collect, or say what a collection would free; return one line."""
    if not (root / _STORE / "repositories").is_dir():
        return "no image was ever pushed: nothing to collect"
    started = time.monotonic()
    before = sizes_by_digest(root)
    output = collect(settings, dry_run=dry_run)
    if dry_run:
        eligible = {found["digest"] for found in _ELIGIBLE.finditer(output)}
        after = {digest: size for digest, size in before.items() if digest not in eligible}
    else:
        after = sizes_by_digest(root)
        sweep(root, after)
    freed = total({digest: size for digest, size in before.items() if digest not in after})
    kept = total(after)
    verb = "would free" if dry_run else "freed"
    return (
        f"{verb} {freed.number} blobs, {freed.size_bytes} bytes in"
        f" {time.monotonic() - started:.1f} s; {kept.number} blobs, {kept.size_bytes} bytes stay"
    )


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path, help="folder of the registry's store")
    parser.add_argument("--settings", type=Path, default=Path("/etc/docker/registry/config.yml"))
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    options = parser.parse_args()
    try:
        line = report(options.root, options.settings, dry_run=options.dry_run)
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
