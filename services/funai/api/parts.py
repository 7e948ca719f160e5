"""What the pages and routes of the API entry share, joined once by ``app``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from funai.api.accounts.service import AccountService
    from funai.api.apps.service import AppService
    from funai.api.config import Settings
    from funai.api.deploy_client import DeployClient
    from funai.api.sessions.service import SessionService
    from funai.api.tokens.service import TokenService
    from funai.deploy.database import Database


@dataclass(frozen=True)
class Parts:
    """The shared parts; all safe for use by many threads."""

    settings: Settings
    database: Database
    deploy: DeployClient
    accounts: AccountService
    sessions: SessionService
    tokens: TokenService
    apps: AppService
