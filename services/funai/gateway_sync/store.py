"""The last known table on disk: the edge routes by it until Deploy answers."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from funai.gateway.map_file import replace_file
from funai.gateway.routes import APP_ID
from funai.gateway_sync.table import Table

if TYPE_CHECKING:
    from pathlib import Path

_LOG = logging.getLogger(__name__)
_MODE = 0o640


class TableStore:
    """Keeps one table in ``routes.json``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "routes.json"

    def load(self) -> Table | None:
        """Return the stored table; None where there is none or it cannot be read."""
        try:
            stored = json.loads(self._path.read_text("utf-8"))
            routes = {
                str(app_id): str(address)
                for app_id, address in stored["routes"].items()
                if APP_ID.match(str(app_id))
            }
            return Table(int(stored["version"]), routes)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            _LOG.warning("%s is damaged and is not used: %r", self._path, exc)
            return None

    def save(self, table: Table) -> None:
        """Write the table durably."""
        text = json.dumps({"version": table.version, "routes": table.routes}, indent=1)
        replace_file(self._path, text, _MODE)
