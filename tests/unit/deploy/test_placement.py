"""Where an app goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from funai.deploy.nodes.model import Beat, Node
from funai.deploy.placements.model import Chosen, Waiting, decide

NODE = Node(
    id=1,
    name="node-1",
    agent_base_url="http://192.0.2.1:7005",
    gateway_base_url="http://192.0.2.1",
    enabled=True,
    weight=100,
    draining=False,
    fresh=True,
    disk_free_pct=60.0,
)
OTHER = replace(NODE, id=2, name="node-2")


def chosen(*nodes: Node, placed_on: int | None = None, load: dict[int, int] | None = None) -> int:
    decision = decide("a", placed_on, nodes, load or {})
    assert isinstance(decision, Chosen), decision
    return decision.node.id


@pytest.mark.parametrize(
    ("worse", "load"),
    [
        pytest.param({"disk_free_pct": 59.0}, {}, id="less disk"),
        pytest.param({"disk_free_pct": None}, {}, id="unknown disk"),
        pytest.param({"weight": 50}, {}, id="less weight"),
        pytest.param({}, {1: 3, 2: 2}, id="more apps"),
        pytest.param({"enabled": False}, {}, id="disabled"),
        pytest.param({"fresh": False}, {}, id="stale"),
        pytest.param({"draining": True}, {}, id="draining"),
        pytest.param({"agent_base_url": ""}, {}, id="no agent"),
        pytest.param({"disk_free_pct": 24.9}, {}, id="tight"),
        pytest.param({"disk_free_pct": 14.9}, {}, id="full"),
    ],
)
def test_new_app_goes_to_the_better_node(worse: dict[str, object], load: dict[int, int]) -> None:
    assert chosen(replace(NODE, **worse), OTHER, load=load) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("worse", [{"disk_free_pct": 20.0}, {"draining": True}, {"weight": 0}])
def test_placed_app_stays(worse: dict[str, object]) -> None:
    assert chosen(replace(NODE, **worse), OTHER, placed_on=1) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("worse", [{"fresh": False}, {"enabled": False}, {"disk_free_pct": 5.0}])
def test_placed_app_waits_for_its_node_with_a_reason(worse: dict[str, object]) -> None:
    decision = decide("a", 1, [replace(NODE, **worse), OTHER], {})  # type: ignore[arg-type]

    assert isinstance(decision, Waiting)
    assert "node-1" in decision.reason
    assert "reassign" in decision.reason


def test_app_of_a_node_that_is_gone_is_placed_anew() -> None:
    assert chosen(OTHER, placed_on=1) == 2


def test_reason_without_any_node_says_what_to_do() -> None:
    decision = decide("a", None, [], {})

    assert isinstance(decision, Waiting)
    assert "start a runtime-agent" in decision.reason


@pytest.mark.parametrize(
    ("told", "pct", "free"),
    [
        pytest.param({}, None, None, id="nothing of the disk"),
        pytest.param({"disk_free_bytes": 5}, 0.0, 5, id="percent rounds to zero"),
        pytest.param({"disk_free_pct": 5.5, "disk_free_bytes": 1}, 5.5, 1, id="both"),
    ],
)
def test_figure_that_is_left_out_is_zero_only_beside_another(
    told: dict[str, float], pct: float | None, free: int | None
) -> None:
    figures = Beat("n", "a", "g", **told).figures()  # type: ignore[arg-type]

    assert (figures["disk_free_pct"], figures["disk_free_bytes"]) == (pct, free)
    assert figures["container_count"] == 0
