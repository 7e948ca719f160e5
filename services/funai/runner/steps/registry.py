"""Speaks to the registry through skopeo: is an image there, and put it there."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from funai.runner.command import TIMED_OUT, CommandMissingError, Finished, Limits, run
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from funai.runner.build_settings import BuildSettings

EVIDENCE_LINES = 12
#: skopeo's memory of which layer is where; it grows by a line for each.
MAX_CACHE_BYTES = 64 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DENIED = re.compile(
    r"unauthorized|authentication required|\bdenied\b|\b40[13] \(|status:? 40[13]|status code 40[13]",
    re.IGNORECASE,
)
#: What passes by itself: docs/decisions/0055-registry-garbage-collection.md.
_AWAY = re.compile(
    r"\b503 \(|status:? 503\b|status ?code:? 503\b|connection refused", re.IGNORECASE
)
_LOST_PARTS = re.compile(
    r"manifest[ _]blob[ _]unknown|blob[ _]upload[ _](?:unknown|invalid)", re.IGNORECASE
)
_UNAVAILABLE = re.compile(
    r"\b(?:429|5\d\d) \(|status:? (?:429|5\d\d)|status ?code:? (?:429|5\d\d)|connection reset"
    r"|no such host|timeout|no route to host|unreachable|\bEOF\b|broken pipe"
    r"|server gave http response|\btls: |x509: |toomanyrequests",
    re.IGNORECASE,
)


class RegistryAwayError(StepError):
    """The registry takes no uploads for a while; once it does, the same push succeeds."""


@dataclass(frozen=True)
class Found:
    """An image that the registry has."""

    digest: str
    labels: Mapping[str, str]


class Registry:
    """The registry of one image."""

    def __init__(self, settings: BuildSettings, say: Callable[[str], object]) -> None:
        self._settings = settings
        self._say = say

    def find(self, image: str, seconds: float) -> Found | None:
        """Return the image where the registry has it; None also where it does not say."""
        argv = ["inspect", "--no-tags", *self._options("")]
        finished = self._run([*argv, f"docker://{image}"], seconds, is_quiet=True)
        if not finished.ok:
            return None
        try:
            found = json.loads(finished.stdout)
            labels = found["Labels"] or {}
            return Found(str(found["Digest"]), {str(k): str(v) for k, v in labels.items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def push(self, layout: Path, image: str, seconds: float) -> str:
        """Copy an image from an OCI layout into the registry; return its digest.

        :raises RegistryAwayError: where it takes no uploads for a while
        :raises StepError: ``REGISTRY_DENIED``, ``REGISTRY_UNAVAILABLE``, ``PUSH_TIMEOUT`` or
            ``PUSH_FAILED``
        """
        digest_file = layout.with_suffix(".digest")
        argv = ["--tmpdir", str(layout.parent), "copy", "--digestfile", str(digest_file)]
        argv += [*self._options("dest-"), f"oci:{layout}:image", f"docker://{image}"]
        finished = self._run(argv, seconds)
        if not finished.ok:
            raise explain(finished, image, seconds)
        digest = digest_file.read_text().strip()
        digest_file.unlink()
        if not _DIGEST.fullmatch(digest):
            sentence = f"{image} was pushed, but its digest is not known. Deploy again."
            raise StepError(reason="PUSH_FAILED", sentence=sentence, evidence=digest)
        return digest

    def _options(self, prefix: str) -> list[str]:
        settings = self._settings
        options = [f"--{prefix}tls-verify={str(settings.registry_tls_verify).lower()}"]
        if settings.registry_auth_file:
            name = f"{prefix}authfile"
            options += [f"--{name}", settings.registry_auth_file]
        return options

    def _run(self, argv: list[str], seconds: float, *, is_quiet: bool = False) -> Finished:
        try:
            return run(
                # The policy of the host is for images that it runs; it runs none of these.
                ["skopeo", "--insecure-policy", *argv],
                Limits(seconds),
                env=self._environment(),
                on_line=str if is_quiet else self._say,
                stdout=is_quiet,
            )
        except CommandMissingError as exc:
            sentence = "This runner cannot push: skopeo is not installed. Have the operators look."
            raise StepError(reason="RUNNER_BROKEN", sentence=sentence, evidence=str(exc)) from exc

    def _environment(self) -> dict[str, str]:
        home = os.environ.get("HOME", "/nonexistent")
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": home}
        if self._settings.ca_file:
            env["SSL_CERT_FILE"] = self._settings.ca_file
        _bound_cache(Path(home) / ".local/share/containers/cache/blob-info-cache-v1.boltdb")
        return env


def explain(finished: Finished, image: str, seconds: float) -> StepError:
    """Turn a push that failed into a reason and a sentence."""
    evidence = "\n".join(finished.tail.splitlines()[-EVIDENCE_LINES:])
    host = image.partition("/")[0]
    said = f"{image} was built but not pushed:"
    if finished.stopped == TIMED_OUT:
        sentence = (
            f"{said} {host} did not take it within {seconds:.0f} s. Look after the registry and the"
            " network, then deploy again."
        )
        return StepError(reason="PUSH_TIMEOUT", sentence=sentence, evidence=evidence)
    # Without the image's name, which is made of what users have named.
    text = finished.tail.replace(image.rpartition(":")[0].partition("/")[2] or image, "")
    if _DENIED.search(text):
        sentence = (
            f"{said} {host} refuses this runner. Give its push account access to the repository."
        )
        return StepError(reason="REGISTRY_DENIED", sentence=sentence, evidence=evidence)
    return _explain_unavailable(text, said, host, evidence)


def _explain_unavailable(text: str, said: str, host: str, evidence: str) -> StepError:
    if _AWAY.search(text):
        sentence = (
            f"{said} {host} takes no uploads; it answers 503 or not at all, as while it collects"
            " garbage or starts. Look after the registry, then deploy again."
        )
        return RegistryAwayError("REGISTRY_UNAVAILABLE", sentence, evidence)
    if _LOST_PARTS.search(text):
        sentence = (
            f"{said} {host} no longer has parts of what it was sent, as when it has collected garbage"
            " meanwhile. Deploy again; if it stays so, look after the registry."
        )
        return StepError(reason="REGISTRY_UNAVAILABLE", sentence=sentence, evidence=evidence)
    if _UNAVAILABLE.search(text):
        sentence = f"{said} {host} does not work. Look after the registry, then deploy again."
        return StepError(reason="REGISTRY_UNAVAILABLE", sentence=sentence, evidence=evidence)
    sentence = f"{said} what skopeo said follows. Look after the registry, then deploy again."
    return StepError(reason="PUSH_FAILED", sentence=sentence, evidence=evidence)


def _bound_cache(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.stat().st_size > MAX_CACHE_BYTES:
            path.unlink()
