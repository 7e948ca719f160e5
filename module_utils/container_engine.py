"""Client of a host's container engine (the Docker Engine API), shared by modules in ``library/``.

This file is shipped to the host a module runs on, so it imports nothing but the
standard library and ``ansible.module_utils``.
"""

from __future__ import annotations

import base64
import json
import typing as t
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode

from ansible.module_utils.urls import open_url

JSONObject = dict[str, t.Any]

DEFAULT_SOCKET = "/var/run/docker.sock"
DEFAULT_TIMEOUT = 60  # seconds
#: Seconds a process gets to end by itself before it is killed.
STOP_SECONDS = 10
NOT_MODIFIED, NOT_FOUND = 304, 404


class EngineError(Exception):
    """The engine refused a request, or could not be reached."""


class Engine:
    """Makes requests to the engine behind a UNIX socket.

    :param socket: path of the engine's socket
    :param pull_timeout: seconds for one image to arrive
    :param accounts: file with the registries' accounts, as ``docker login`` writes it
    """

    def __init__(
        self, socket: str = DEFAULT_SOCKET, *, pull_timeout: int = 600, accounts: str = ""
    ) -> None:
        self._socket = socket
        self._pull_timeout = pull_timeout
        self._accounts = accounts

    def container(self, name: str) -> JSONObject | None:
        """Return what the engine knows of a container, or None where there is none."""
        return self._look(f"/containers/{quote(name)}/json")

    def containers(self) -> list[JSONObject]:
        """Return every container as :meth:`container` does, those that are stopped too."""
        listed = json.loads(self._call("GET", "/containers/json?all=1"))
        found = [self.container(summary["Id"]) for summary in listed]
        # One may have gone since the list was made.
        return [container for container in found if container is not None]

    def image(self, reference: str) -> JSONObject | None:
        """Return what the engine knows of an image that is on the host, or None."""
        return self._look(f"/images/{quote(reference, safe='/:@')}/json")

    def pull(self, reference: str) -> None:
        """Fetch an image.

        :raises EngineError: where the registry does not give it
        """
        name, tag = split_reference(reference)
        query = urlencode({"fromImage": name, "tag": tag})
        headers = registry_headers(self._accounts, reference)
        failure: object = None
        try:
            answer = self._call(
                "POST", f"/images/create?{query}", timeout=self._pull_timeout, headers=headers
            )
            # The status is sent before the work begins: a failure is in the last line.
            last = json.loads(answer.strip().splitlines()[-1]) if answer.strip() else {}
            failure = last.get("error")
        except EngineError as exc:
            failure = exc
        if failure:
            msg = (
                f"the image {reference} cannot be pulled: {failure}. Look whether the reference is "
                f"right, the registry answers, and {self._accounts or 'no account'} opens it."
            )
            raise EngineError(msg)

    def create(self, name: str, settings: JSONObject) -> None:
        """Make a container; it does not run yet."""
        self._call("POST", f"/containers/create?name={quote(name)}", body=settings)

    def rename(self, name: str, new_name: str) -> None:
        """Give a container another name."""
        self._call("POST", f"/containers/{quote(name)}/rename?name={quote(new_name)}")

    def start(self, name: str) -> None:
        """Start a container; one that runs stays as it is."""
        self._call("POST", f"/containers/{quote(name)}/start")

    def stop(self, name: str) -> None:
        """Stop a container and keep it; one that is stopped stays as it is."""
        self._call("POST", f"/containers/{quote(name)}/stop?t={STOP_SECONDS}")

    def remove(self, name: str) -> None:
        """Remove a container, running or not. Folders of the host that it saw stay."""
        self._call("DELETE", f"/containers/{quote(name)}?force=1&v=1")

    def _look(self, path: str) -> JSONObject | None:
        try:
            return dict(json.loads(self._call("GET", path)))
        except _NotFoundError:
            return None

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: JSONObject | None = None,
        timeout: int = DEFAULT_TIMEOUT,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        what = f"{method} {path.partition('?')[0]}"
        try:
            with open_url(
                f"http://localhost{path}",
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json", **(headers or {})},
                timeout=timeout,
                unix_socket=self._socket,
                use_proxy=False,
            ) as answer:
                return bytes(answer.read())
        except HTTPError as exc:
            if exc.code == NOT_MODIFIED:
                return b""
            kind = _NotFoundError if exc.code == NOT_FOUND else EngineError
            msg = f"the engine answered {what} with {exc.code}: {error_text(exc.read())}"
            raise kind(msg) from exc
        except (URLError, OSError) as exc:
            msg = (
                f"no engine answers at {self._socket} ({what}: {exc}). Start it (systemctl start "
                "docker, or podman.socket), or name its socket with engine_socket."
            )
            raise EngineError(msg) from exc


class _NotFoundError(EngineError):
    """The engine has no such container or image."""


def error_text(body: bytes) -> str:
    """Return the sentence in an error's body, or the body where there is none."""
    try:
        return str(json.loads(body)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()[:200]


def split_reference(reference: str) -> tuple[str, str]:
    """Return an image's name, and its tag or digest; the tag ``latest`` where it has none."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    last = reference.rpartition("/")[2]
    if ":" in last:
        name, _, tag = reference.rpartition(":")
        return name, tag
    return reference, "latest"


def registry_headers(accounts: str, reference: str) -> dict[str, str]:
    """Return the header that shows the registry's account; none where the file names none.

    :raises EngineError: where the file cannot be read as what ``docker login`` writes
    """
    path = Path(accounts)
    if not accounts or not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text()).get("auths", {})
        encoded = known.get(reference.partition("/")[0], {}).get("auth")
        if not encoded:
            return {}
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except (ValueError, AttributeError) as exc:
        msg = f"{accounts} is not what docker login writes: {type(exc).__name__}. Log in again."
        raise EngineError(msg) from exc
    account = json.dumps({"username": user, "password": password}).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(account).decode()}
