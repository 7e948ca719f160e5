"""Downloads an archive: bounded, checked by its hash, and only from where a job may ask."""

from __future__ import annotations

import hashlib
import os
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import urllib3

from funai.contract import source_rules as rules
from funai.runner.source.hosts import Place, look_up, place_of
from funai.runner.steps.step import StepError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from funai.runner.build_settings import BuildSettings
    from funai.runner.steps.step import Deadline

SETTING = "RUNNER_ARCHIVE_ALLOWED_HOSTS"
SYSTEM_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
CONNECT_SECONDS = 10.0
#: Between two pieces of an answer.
SILENCE_SECONDS = 30.0
MAX_REDIRECTS = 3
_PIECE_BYTES = 256 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DENIED: frozenset[int] = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_GONE: frozenset[int] = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


class Download:
    """One download. Its address is not shown anywhere: its query may be a permission."""

    def __init__(self, settings: BuildSettings, deadline: Deadline) -> None:
        self._settings = settings
        self._deadline = deadline

    def to_file(self, url: str, sha256: str, path: Path, say: Callable[[str], object]) -> None:
        """Store what the address gives where it has the hash.

        :raises StepError: saying what was wrong with address, answer or content
        """
        host = place_of(url).host
        say(f"Downloading the archive from {host}")
        try:
            response = self._open(url)
            try:
                size, found = self._store(response, path)
            finally:
                response.close()
        except (urllib3.exceptions.HTTPError, ssl.SSLError) as exc:
            raise self._broken_off(host, exc) from exc
        say(f"{size} bytes, sha256 {found}")
        if found != sha256:
            sentence = (
                f"The archive from {host} has the sha256 {found}, not {sha256}: it was changed or"
                " cut off. Nothing of it was used. Export it again, then deploy with its hash."
            )
            raise StepError(reason="ARCHIVE_CHECKSUM", sentence=sentence)

    def _open(self, url: str) -> urllib3.response.BaseHTTPResponse:
        for _ in range(MAX_REDIRECTS + 1):
            place = look_up(
                place_of(url),
                self._settings.archive_allowed_hosts,
                SETTING,
                self._settings.fetch_denied_addresses,
            )
            response = self._get(place, url)
            if response.status not in _REDIRECTS:
                _require_ok(response, place.host)
                return response
            response.close()
            url = _redirected(url, response.headers.get("Location", ""))
        sentence = f"{place_of(url).host} answers with redirects without end. Correct archiveUrl."
        raise StepError(reason="SOURCE_UNREACHABLE", sentence=sentence)

    def _get(self, place: Place, url: str) -> urllib3.response.BaseHTTPResponse:
        # Connects to the address that was checked: looked up again, the name might give another.
        address = place.addresses[0]
        silence = max(0.1, min(SILENCE_SECONDS, self._deadline.remaining))
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, silence), read=silence)
        pool: urllib3.HTTPConnectionPool
        if place.scheme == "https":
            pool = urllib3.HTTPSConnectionPool(
                address,
                place.port,
                timeout=timeout,
                ca_certs=self._settings.ca_file or SYSTEM_CA_FILE,
                server_hostname=place.host,
                assert_hostname=place.host,
            )
        else:
            pool = urllib3.HTTPConnectionPool(address, place.port, timeout=timeout)
        parts = urlsplit(url)
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        headers = {
            "Host": parts.netloc,
            "Accept-Encoding": "identity",
            "User-Agent": "funai-runner",
        }
        return pool.urlopen(
            "GET", target, headers=headers, retries=False, redirect=False, preload_content=False
        )

    def _store(self, response: urllib3.response.BaseHTTPResponse, path: Path) -> tuple[int, str]:
        largest, size, digest = self._settings.source_max_bytes, 0, hashlib.sha256()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            for piece in response.stream(_PIECE_BYTES, decode_content=False):
                size += len(piece)
                if size > largest:
                    raise too_large(self._settings.source_max_mib)
                if not self._deadline.remaining:
                    raise self._timed_out()
                digest.update(piece)
                out.write(piece)
        return size, digest.hexdigest()

    def _broken_off(self, host: str, exc: Exception) -> StepError:
        if not self._deadline.allows(0.2):
            return self._timed_out()
        sentence = (
            f"The archive could not be downloaded from {host}. Look after that server or the address,"
            " then deploy again."
        )
        return StepError(
            reason="SOURCE_UNREACHABLE", sentence=sentence, evidence=shorten(_cause(exc))
        )

    def _timed_out(self) -> StepError:
        seconds = self._deadline.seconds
        sentence = (
            f"The archive was not downloaded within {seconds:.0f} s. Make it smaller, or retry."
        )
        return StepError(reason="FETCH_TIMEOUT", sentence=sentence)


def too_large(mib: int) -> StepError:
    """Return the error for an archive beyond the limit."""
    sentence = f"The archive is larger than {mib} MiB. Leave out what the build does not need."
    return StepError(reason="SOURCE_TOO_LARGE", sentence=sentence)


def _redirected(url: str, location: str) -> str:
    """Return where an answer sends the download, where that may be followed."""
    try:
        target = rules.archive_url("Location", urljoin(url, location))
    except ValueError:
        target = ""
    if urlsplit(target).scheme not in {urlsplit(url).scheme, "https"}:
        sentence = (
            f"{place_of(url).host} sends the download elsewhere, in a way that is not followed. Give"
            " the archive's own address."
        )
        raise StepError(reason="SOURCE_UNREACHABLE", sentence=sentence)
    return target


def _require_ok(response: urllib3.response.BaseHTTPResponse, host: str) -> None:
    status = response.status
    if status == HTTPStatus.OK:
        return
    said = f"{host} answered {status} to the download of the archive."
    response.close()
    if status in _DENIED:
        advice = "The address may have expired: make a new one, then deploy again."
        raise StepError(reason="SOURCE_DENIED", sentence=f"{said} {advice}")
    if status in _GONE:
        raise StepError(
            reason="SOURCE_NOT_FOUND", sentence=f"{said} Correct archiveUrl, or export again."
        )
    raise StepError(
        reason="SOURCE_UNREACHABLE", sentence=f"{said} Look after that server, then deploy again."
    )


def _cause(exc: Exception) -> str:
    reason = getattr(exc, "reason", None)
    return f"{type(reason or exc).__name__}: {reason or exc}"
