"""Names of the headers by which callers prove themselves, and by which a gateway says what answered."""

from __future__ import annotations

DEPLOY_SECRET = "X-DEPLOY-SECRET"  # noqa: S105 - the header's name
ADMIN_TOKEN = "X-Admin-Token"  # noqa: S105 - the header's name
NODE_TOKEN = "X-RT-Node-Token"  # noqa: S105 - the header's name
RUNNER_TOKEN = "X-Runner-Token"  # noqa: S105 - the header's name
RUNTIME_TOKEN = "X-Runtime-Token"  # noqa: S105 - the header's name
GATEWAY_TOKEN = "X-Gateway-Token"  # noqa: S105 - the header's name
IDEMPOTENCY_KEY = "Idempotency-Key"
APP_RELEASE = "X-App-Release"
