"""Settings of gateway_sync, read once from the environment (``/etc/funai-gateway/sync.env``)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from funai.contract.secrets import SecretError, require_secret

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConfigError(Exception):
    """A setting is missing or malformed; the message names it."""


@dataclass(frozen=True)
class Settings:
    """Everything gateway_sync can be told from outside."""

    deploy_url: str
    token: str
    routes_map: Path
    routes_socket: Path
    state_dir: Path
    wait_seconds: int
    #: Networks that routes may lead to; none: any routable unicast address.
    allowed_networks: tuple[ipaddress.IPv4Network, ...]

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from ``GATEWAY_*`` variables.

        :raises ConfigError: naming the variable that is missing, malformed or a placeholder
        """
        try:
            return cls(
                deploy_url=env["GATEWAY_DEPLOY_URL"].rstrip("/"),
                token=require_secret("GATEWAY_TOKEN", env.get("GATEWAY_TOKEN")),
                routes_map=Path(
                    env.get("GATEWAY_ROUTES_MAP") or "/var/lib/funai-routes/routes.map"
                ),
                routes_socket=Path(env.get("GATEWAY_ROUTES_SOCKET") or "/run/haproxy/routes.sock"),
                state_dir=Path(env.get("GATEWAY_STATE_DIR") or "/var/lib/funai-gateway"),
                wait_seconds=int(env.get("GATEWAY_WAIT_SECONDS") or "25"),
                allowed_networks=_networks(env.get("GATEWAY_ALLOWED_NETWORKS", "")),
            )
        except KeyError as exc:
            msg = f"{exc.args[0]} is not set"
            raise ConfigError(msg) from exc
        except SecretError as exc:
            raise ConfigError(str(exc)) from exc
        except ValueError as exc:
            msg = f"a GATEWAY_* setting is malformed: {exc}"
            raise ConfigError(msg) from exc


def _networks(text: str) -> tuple[ipaddress.IPv4Network, ...]:
    return tuple(ipaddress.IPv4Network(part) for part in text.replace(",", " ").split())
