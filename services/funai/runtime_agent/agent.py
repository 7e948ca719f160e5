"""The agent's parts, joined: the one place that knows them all."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from funai.background import keep_running
from funai.gateway.haproxy_map import HaproxyMap
from funai.gateway.runtime_socket import RuntimeSocket
from funai.runtime_agent.apps import rows
from funai.runtime_agent.apps.adoption import Adoption
from funai.runtime_agent.apps.deployment import Deployment
from funai.runtime_agent.apps.drain import Drains
from funai.runtime_agent.apps.holds import Holds
from funai.runtime_agent.apps.logs import AppLogs
from funai.runtime_agent.apps.parts import Parts
from funai.runtime_agent.apps.prune import Pruner
from funai.runtime_agent.apps.reconcile import Reconciler
from funai.runtime_agent.apps.recovery import Recovery
from funai.runtime_agent.apps.repository import AppRepository
from funai.runtime_agent.apps.service import AppService
from funai.runtime_agent.conditions import Conditions
from funai.runtime_agent.database import Database
from funai.runtime_agent.engine.client import EngineClient
from funai.runtime_agent.engine.containers import Containers
from funai.runtime_agent.engine.deaths import Deaths
from funai.runtime_agent.engine.images import Images
from funai.runtime_agent.gateway import Gateway
from funai.runtime_agent.heartbeat import Heartbeat
from funai.runtime_agent.metrics import Metrics
from funai.runtime_agent.vault import Vault

if TYPE_CHECKING:
    from funai.runtime_agent.config import Settings

_ENGINE_TIMEOUT_SECONDS = 30.0
# For what an image is; a registry that hangs longer is as good as down. Pulls have their own.
_REGISTRY_TIMEOUT_SECONDS = 20.0


class Agent:
    """Everything that one node's agent does, apart from HTTP."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.conditions = Conditions(time.time)
        runtime = RuntimeSocket(settings.routes_socket)
        routes = HaproxyMap(settings.routes_map, runtime, [settings.app_subnet])
        routes.take_over()
        engine = EngineClient(settings.engine_socket, _ENGINE_TIMEOUT_SECONDS)
        self._parts = Parts(
            apps=AppRepository(
                Database(settings.state_dir / "agent.db", rows.check), settings.app_subnet
            ),
            containers=Containers(
                engine,
                settings.app_network,
                settings.app_subnet,
                settings.limits,
                settings.node_name,
            ),
            images=Images(
                EngineClient(settings.engine_socket, _REGISTRY_TIMEOUT_SECONDS),
                settings.registries_file,
                settings.disk_reserve_bytes,
            ),
            gateway=Gateway(routes, settings.gateway_probe_url),
            holds=Holds(),
            vault=Vault(settings.state_dir / "settings.key"),
            node_name=settings.node_name,
            gateway_base_url=settings.gateway_base_url,
            warm_seconds=settings.warm_seconds,
            kept_revisions=settings.kept_revisions,
            retention=threading.Lock(),
            stopping=threading.Event(),
        )
        drains = Drains(self._parts, settings.drain_seconds)
        deployment = Deployment(self._parts, drains)
        recovery = Recovery(self._parts, deployment, drains)
        adoption = Adoption(self._parts)
        self._reconciler = Reconciler(self._parts, adoption, recovery, self.conditions)
        self._deaths = Deaths(
            EngineClient(settings.engine_socket, _ENGINE_TIMEOUT_SECONDS),
            settings.node_name,
            self._parts.stopping,
        )
        self.metrics = Metrics(self._parts, self.conditions)
        self.pruner = Pruner(self._parts, self.conditions)
        self.apps = AppService(
            self._parts,
            adoption,
            deployment,
            AppLogs(self._parts.containers, self._parts.stopping),
            self.metrics.count_deploy,
            fence_required=settings.fence_required,
        )

    def start(self) -> None:
        """Start reconcile, what wakes it, prune and heartbeat in the background."""
        heartbeat = Heartbeat(self._settings, self._parts, self.conditions)
        for name, target in (
            ("reconcile", lambda: self._reconciler.run_forever(self._settings.reconcile_seconds)),
            ("deaths", lambda: self._deaths.follow_forever(self._reconciler.wake)),
            ("prune", lambda: self.pruner.run_forever(self._settings.prune_seconds)),
            ("heartbeat", heartbeat.run_forever),
        ):
            keep_running(name, target, self._parts.stopping)

    def stop(self) -> None:
        """Tell everything in the background, and deploys in progress, to end."""
        self._parts.stopping.set()
        self._reconciler.wake()
        self._parts.holds.cancel_all()
