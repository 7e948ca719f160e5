"""Deploy's services in this process, over a real database, as the state machine drives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import func, select, update

from funai.deploy import schema
from funai.deploy.app import create_app
from funai.deploy.apps.model import AgentAnswer
from funai.deploy.apps.service import AppService
from funai.deploy.config import Settings
from funai.deploy.database import make_engine
from funai.deploy.jobs.leases import LeaseService
from funai.deploy.jobs.service import JobService
from funai.deploy.nodes.model import Beat
from funai.deploy.nodes.service import NodeService
from funai.deploy.retention.service import RetentionService
from funai.deploy.revisions.service import RevisionService
from funai.deploy.runners.service import RunnerService
from tests.integration.deploy_process import SECRETS

if TYPE_CHECKING:
    from funai.deploy.apps.agent import AgentClient
    from funai.deploy.nodes.model import Node
    from tests.integration.deploy_process import Schema
    from tests.model.lifecycle import Rules

LEASE_SECONDS = 600
_DAY = "86400"
#: What a job's life is written to; the rest is kept from one run of the machine to the next.
_TABLES = (
    schema.job,
    schema.app,
    schema.app_run,
    schema.placement,
    schema.revision,
    schema.job_event,
)
_HELD = func.coalesce(schema.job.c.lease_expire_at > schema.NOW_MS, 0).label("is_held")

#: Rows of each table, by the table's name.
Rows = dict[str, list[dict[str, Any]]]


class _Agent:
    """Does at once what it is asked for."""

    def stop(self, node: Node, body: dict[str, Any], *, seconds: float) -> AgentAnswer:
        return AgentAnswer(success=True)


class Services:
    """Deploy without its HTTP side and without threads: the reaper looks when it is told to."""

    def __init__(self, database: Schema, rules: Rules) -> None:
        settings = Settings.from_env(
            {
                **SECRETS,
                **database.env(),
                "DEPLOY_MAX_ATTEMPTS": str(rules.max_attempts),
                "DEPLOY_PAUSE_AFTER_CRASHES": str(rules.pause_after),
                "DEPLOY_NODE_STALE_SECONDS": _DAY,
                "DEPLOY_MAX_RUNNING_SECONDS": _DAY,
            }
        )
        self._engine = make_engine(settings.database, pool_size=4)
        deploy = create_app(settings, self._engine)
        parts = deploy.parts
        self.reaper = deploy.reaper
        self.jobs = JobService(parts)
        self.leases = LeaseService(parts, RunnerService(parts))
        self.revisions = RevisionService(parts, self.jobs)
        agent = cast("AgentClient", _Agent())
        self.apps = AppService(parts, agent, RetentionService(parts.database, {}, 3))
        beat = Beat("node-1", "http://127.0.0.1:7005", "http://127.0.0.1:80")
        for _ in range(2):
            NodeService(parts).beat(beat, settings.secrets.node)

    def clear(self) -> None:
        """Forget every app and job."""
        with self._engine.begin() as connection:
            for table in _TABLES:
                connection.execute(table.delete())

    def rows(self) -> Rows:
        """Return all that is known of apps and jobs; jobs in the order of their making."""
        with self._engine.begin() as connection:
            found: Rows = {
                table.name: [
                    dict(row)
                    for row in connection.execute(
                        select(table).order_by(*table.primary_key)
                    ).mappings()
                ]
                for table in _TABLES[1:]
            }
            jobs = select(schema.job, _HELD).order_by(schema.job.c.create_time)
            found[schema.job.name] = [dict(row) for row in connection.execute(jobs).mappings()]
        return found

    def expire(self, job_id: str) -> None:
        """Set the lease's end into the past."""
        with self._engine.begin() as connection:
            connection.execute(
                update(schema.job)
                .where(schema.job.c.id == job_id)
                .values(lease_expire_at=schema.NOW_MS - 1)
            )

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
