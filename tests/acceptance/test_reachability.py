"""Who can open a connection to whom: the communication matrix, tried from every host."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.live_platform import GROUPS

if TYPE_CHECKING:
    from tests.acceptance.conftest import RecordEvidence
    from tests.acceptance.live_platform import Platform

#: Run on the host that tries, with its own Python: standard library only.
PROBE = """
import concurrent.futures, json, socket, sys
def attempt(pair):
    try:
        socket.create_connection(pair, timeout=3).close()
    except OSError as error:
        return type(error).__name__
    return "open"
pairs = [tuple(pair) for pair in json.loads(sys.argv[1])]
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(attempt, pairs))))
"""
CONNECT_SECONDS = 3

Outcome = dict[tuple[str, int], str]
Probe = Callable[[str], Outcome]


def endpoints(platform: Platform) -> list[tuple[str, int]]:
    """Return every address of the platform with every port that anything listens on."""
    ports = sorted({flow.port for flow in platform.flows})
    return [
        (address, port)
        for hosts in platform.hosts.values()
        for address in hosts.values()
        for port in ports
    ]


@pytest.fixture(scope="module")
def probe(platform: Platform, connect: Callable[[str], Any]) -> Probe:
    """Return a function that tries every endpoint from one host, once per host."""

    @cache
    def outcomes(host: str) -> Outcome:
        pairs = endpoints(platform)
        printed = connect(host).check_output("python3 -c %s %s", PROBE, json.dumps(pairs))
        return dict(zip(pairs, json.loads(printed), strict=True))

    return outcomes


@pytest.mark.point("Ports answer whom the matrix lists and nobody else")
@pytest.mark.parametrize("target", GROUPS)
@pytest.mark.parametrize("source", GROUPS)
def test_ports_answer_as_the_matrix_says(
    platform: Platform, probe: Probe, record_evidence: RecordEvidence, source: str, target: str
) -> None:
    if source not in platform.hosts or target not in platform.hosts:
        pytest.skip(f"the inventory has no host for {source} or {target}")
    if source == target and len(platform.hosts[target]) == 1:
        pytest.skip(f"there is one {target} host only")
    wrong: list[str] = []
    reached: set[int] = set()
    refused: set[int] = set()
    for host, own in platform.hosts[source].items():
        for (address, port), outcome in probe(host).items():
            if address == own or address not in platform.hosts[target].values():
                continue
            allowed = any(flow.allows(source, target, port) for flow in platform.flows)
            (reached if outcome == "open" else refused).add(port)
            if allowed is not (outcome == "open"):
                wrong.append(f"{host} -> {address}:{port} is {outcome}, allowed: {allowed}")

    if reached or refused:
        record_evidence(f"{source} -> {target}: open {sorted(reached)}, shut {sorted(refused)}")
    assert not wrong, "; ".join(wrong)


@pytest.mark.point("Ports answer whom the matrix lists and nobody else")
def test_operator_reaches_what_the_matrix_says(
    platform: Platform, record_evidence: RecordEvidence
) -> None:
    wrong, reached = [], []
    groups = {
        address: group for group, hosts in platform.hosts.items() for address in hosts.values()
    }
    pairs = endpoints(platform)
    with ThreadPoolExecutor(len(pairs)) as pool:
        opened = dict(zip(pairs, pool.map(is_open, pairs), strict=True))
    for address, port in pairs:
        allowed = any(flow.allows("operator", groups[address], port) for flow in platform.flows)
        if allowed is not opened[address, port]:
            wrong.append(f"{address}:{port}, allowed: {allowed}")
        reached += [f"{groups[address]}:{port}"] if allowed else []

    record_evidence(f"operator -> {', '.join(reached)}")
    assert not wrong, "; ".join(wrong)


def is_open(pair: tuple[str, int]) -> bool:
    try:
        socket.create_connection(pair, timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
