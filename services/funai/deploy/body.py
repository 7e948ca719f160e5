"""How a request's body is read: bounded, as JSON whatever its type says, and with an error that helps."""

from __future__ import annotations

from typing import Any

from flask import Request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from funai.contract import strict_json
from funai.deploy.errors import BodyTooLargeError, InvalidRequestError

MAX_BODY = 256 * 1024
#: Reports carry error texts of any size; what is kept of them is bounded elsewhere.
MAX_REPORT = 16 * 1024 * 1024
_REPORTING = ("/report", "/transition", "/heartbeat")
#: A runner sends up to half a MiB of log at once; earlier ones sent as many characters, each up to
#: twelve bytes of JSON.
MAX_LOGS = 8 * 1024 * 1024
_LOGS = "/logs"
#: An environment of 128 KiB, each byte of it up to six of JSON.
MAX_SETTINGS = 1024 * 1024
_SETTINGS = "/settings"
#: A report ends its job whatever it says; of what it says little is read.
MAX_REPORT_DEPTH = 600


class JsonRequest(Request):
    """A request whose body is a JSON object; an empty body counts as an empty object."""

    _object: dict[str, Any] | None = None
    _max_depth = strict_json.MAX_DEPTH

    def bound(self) -> None:
        """Set how many bytes of body this path reads."""
        self.max_content_length = MAX_BODY
        if self.path.endswith(_REPORTING):
            self.max_content_length = MAX_REPORT
            self._max_depth = MAX_REPORT_DEPTH
        elif self.path.endswith(_LOGS):
            self.max_content_length = MAX_LOGS
        elif self.path.endswith(_SETTINGS):
            self.max_content_length = MAX_SETTINGS

    def get_json(self, *_args: object, **_kwargs: object) -> Any:  # noqa: ANN401 - Flask's type
        """Return the body.

        Clients of an earlier Deploy do not all name the content type.

        :raises InvalidRequestError: where it is not a JSON object
        :raises BodyTooLargeError: where it is longer than this path reads
        """
        if self._object is None:
            self._object = self._read()
        return self._object

    def _read(self) -> dict[str, Any]:
        try:
            data = self.get_data(cache=False)
        except RequestEntityTooLarge as exc:
            msg = (
                f"the body is longer than {self.max_content_length} bytes, which {self.path} reads"
            )
            raise BodyTooLargeError(msg) from exc
        except HTTPException as exc:
            msg = f"the body cannot be read: {exc.description}"
            raise InvalidRequestError(msg) from exc
        if not data.strip():
            return {}
        try:
            value = strict_json.loads(data, self._max_depth)
        except ValueError as exc:
            msg = f"the body is not JSON that can be kept: {exc}"
            raise InvalidRequestError(msg) from exc
        if not isinstance(value, dict):
            msg = f"the body is JSON but not an object; it is a {type(value).__name__}"
            raise InvalidRequestError(msg)
        return value
