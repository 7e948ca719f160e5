"""Figures of the agent in Prometheus' text form."""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric

    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.conditions import Conditions


class Metrics:
    """Collects on demand: nothing is counted while nobody asks, but the outcomes of deploys."""

    def __init__(self, parts: Parts, conditions: Conditions) -> None:
        self._parts = parts
        self._conditions = conditions
        self._deploys: Tally[str] = Tally()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count_deploy(self, outcome: str) -> None:
        """Count one deploy by its reason code, or ``DEPLOYED``."""
        self._deploys[outcome] += 1

    def collect(self) -> Iterable[Metric]:
        """Return the present figures, as prometheus_client asks for them."""
        apps = GaugeMetricFamily("funai_agent_apps", "Apps by state", labels=["state"])
        for state, number in Tally(app.state for app in self._parts.apps.all()).items():
            apps.add_metric([state], number)
        warm = GaugeMetricFamily("funai_agent_warm_containers", "Replaced containers kept warm")
        warm.add_metric([], len(self._parts.apps.all_warm()))
        health = GaugeMetricFamily(
            "funai_agent_condition_ok", "Whether a dependency works", labels=["condition"]
        )
        for name, known in self._conditions.as_answer().items():
            health.add_metric([name], float(known["ok"]))
        deploys = CounterMetricFamily(
            "funai_agent_deploys", "Deploys since the start, by outcome", labels=["outcome"]
        )
        for outcome, number in self._deploys.items():
            deploys.add_metric([outcome], number)
        return [apps, warm, health, deploys]

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self._registry)
