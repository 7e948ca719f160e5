"""``funai-deploy renew-settings``: after a key was added, before an older one is taken away."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from funai.deploy.app_settings.keyring import Keyring
from funai.deploy.app_settings.service import renew_all
from funai.deploy.database import Database, make_engine
from funai.deploy.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funai.deploy.config import DatabaseSettings


def run(settings: DatabaseSettings, keys: Sequence[str]) -> int:
    """Encrypt every environment by the newest key; the last line says changed or unchanged."""
    database = Database(make_engine(settings, pool_size=2))
    try:
        renewed, lost = renew_all(database, Keyring(keys))
    except (DeployError, SQLAlchemyError) as exc:
        sys.stderr.write(f"funai-deploy: could not renew settings: {exc}\n")
        return 1
    finally:
        database.close()
    sys.stderr.writelines(f"funai-deploy: {why}\n" for why in lost)
    sys.stdout.write(f"{renewed} environments were encrypted by an older key\n")
    sys.stdout.write("changed\n" if renewed else "unchanged\n")
    return 1 if lost else 0
