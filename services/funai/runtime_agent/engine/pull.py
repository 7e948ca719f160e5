"""Has the engine pull an image, for as long as it shows that it gets on."""

from __future__ import annotations

import concurrent.futures
import json
import threading
from typing import TYPE_CHECKING, Any

import requests
from docker.auth import encode_header
from docker.errors import APIError, create_api_error_from_http_exception

from funai.runtime_agent.errors import RegistrySilentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.api.client import APIClient

#: Between two signs of life. While it downloads and unpacks, the engine tells of each half MiB, so
#: that only a slow disk under files that pack well, or one that writes a large layer back, keeps
#: it silent: seconds, on a bad day tens of them. Below the 120 s for which a runner waits.
SILENCE_SECONDS = 90.0
_LOOK_SECONDS = 0.25


def pull(
    engine: APIClient,
    params: dict[str, str],
    credentials: dict[str, str],
    silence_seconds: float,
    check: Callable[[], None],
) -> None:
    """Pull, in a thread of its own: only who does not wait for the engine can give up meanwhile.

    :param params: ``fromImage`` and ``tag``
    :param check: raises where the pull is wanted no more; the engine then ends it
    :raises RegistrySilentError: after a silence, also one of the engine itself
    :raises APIError: with the engine's words
    """
    given_up = threading.Event()
    result: concurrent.futures.Future[None] = concurrent.futures.Future()

    def work() -> None:
        try:
            for _ in _messages(engine, params, credentials, silence_seconds):
                if given_up.is_set():
                    break
        except BaseException as exc:  # noqa: BLE001 - raised by whoever waits
            result.set_exception(exc)
        else:
            result.set_result(None)

    threading.Thread(target=work, name="pull", daemon=True).start()
    try:
        while not concurrent.futures.wait([result], _LOOK_SECONDS).done:
            check()
    finally:
        given_up.set()
    result.result()


def _messages(
    engine: APIClient, params: dict[str, str], credentials: dict[str, str], silence_seconds: float
) -> Iterator[dict[str, Any]]:
    """Yield the engine's messages; closing early ends the pull. The SDK's own pull has no timeout."""
    url = f"{engine.base_url}/v{engine.api_version}/images/create"
    headers = {"X-Registry-Auth": encode_header(credentials)}
    try:
        with engine.post(
            url, params=params, headers=headers, stream=True, timeout=silence_seconds
        ) as response:
            try:
                response.raise_for_status()
            except requests.HTTPError as exc:
                raise create_api_error_from_http_exception(exc) from exc
            for line in response.iter_lines():
                message = json.loads(line) if line else {}
                if "error" in message:
                    raise APIError(str(message["error"]), explanation=str(message["error"]))
                yield message
    except (requests.Timeout, requests.ConnectionError) as exc:
        if "read timed out" not in str(exc).lower():
            raise
        msg = f"no sign of life from the pull of {params['fromImage']} for {silence_seconds:g} s"
        raise RegistrySilentError(msg, {"registry": msg}) from exc
