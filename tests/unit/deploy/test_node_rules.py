"""What a heartbeat may say, who may send it, and what an absence of Deploy excuses."""

from __future__ import annotations

from typing import Any

import pytest

from funai.deploy.config import ConfigError, Settings
from funai.deploy.errors import ConflictError, InvalidRequestError, UnauthorizedError
from funai.deploy.nodes.absence import Absence
from funai.deploy.nodes.model import Beat, Node, check_same_urls, check_url
from funai.deploy.nodes.token import check_token, hash_of, new_token
from tests.integration.deploy_process import SECRETS

SHARED = "shared-node-token-1"
AGENT, GATEWAY = "http://192.0.2.1:7005", "http://192.0.2.1:80"


def node(**values: Any) -> Node:
    return Node(
        id=1,
        name="node-1",
        agent_base_url=AGENT,
        gateway_base_url=GATEWAY,
        enabled=True,
        weight=1,
        draining=False,
        fresh=True,
        **values,
    )


def test_node_without_own_token_shows_the_shared_one() -> None:
    check_token("node-1", node(), SHARED, SHARED)
    check_token("unknown", None, SHARED, SHARED)

    with pytest.raises(UnauthorizedError, match="node-1"):
        check_token("node-1", node(), "something-else-is-wrong", SHARED)


def test_node_with_own_token_shows_that_and_no_other() -> None:
    token, other = new_token(), new_token()
    known = node(token_hash=hash_of(token))
    check_token("node-1", known, token, SHARED)
    check_token("node-1", known, token, None)

    for wrong in (SHARED, other, hash_of(token), ""):
        with pytest.raises(UnauthorizedError, match="one of its own"):
            check_token("node-1", known, wrong, SHARED)
    # One node's token is of no use for another's name.
    with pytest.raises(UnauthorizedError):
        check_token("node-2", None, token, SHARED)


def test_forbidden_shared_token_is_refused_with_the_way_out() -> None:
    with pytest.raises(UnauthorizedError, match="POST /admin/runtime-nodes/token"):
        check_token("node-1", node(), SHARED, None)


def test_hash_shows_in_no_text() -> None:
    known = node(token_hash=hash_of(new_token()))

    assert str(known.token_hash) not in repr(known)


@pytest.mark.parametrize(
    ("agent", "gateway", "field"),
    [
        ("http://192.0.2.66:7005", GATEWAY, "agentBaseUrl"),
        (AGENT, "http://192.0.2.66:80", "gatewayBaseUrl"),
        ("https://192.0.2.1:7005", GATEWAY, "agentBaseUrl"),
    ],
)
def test_heartbeat_from_elsewhere_names_the_field(agent: str, gateway: str, field: str) -> None:
    with pytest.raises(ConflictError, match=rf"{field} .*upsert"):
        check_same_urls(node(), Beat("node-1", agent, gateway))


def test_slash_at_the_end_is_no_other_place() -> None:
    check_same_urls(node(), Beat("node-1", AGENT + "/", GATEWAY))


@pytest.mark.parametrize("host", ["node..example", "." * 3, "a" * 64 + ".example"])
def test_name_that_no_look_up_takes_is_refused(host: str) -> None:
    with pytest.raises(InvalidRequestError, match="agentBaseUrl must be an address"):
        check_url("agentBaseUrl", f"http://{host}:7005")


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "node-1.example.", "my_host"])
def test_usual_hosts_are_taken(host: str) -> None:
    assert check_url("agentBaseUrl", f" http://{host}:7005 ") == f"http://{host}:7005"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_first_start_excuses_nothing() -> None:
    absence = Absence(180, usual=5)

    absence.note(None)

    assert (absence.lasts, absence.allowance) == (False, 0)


def test_restart_excuses_for_one_window_what_was_fresh_when_deploy_went() -> None:
    clock = Clock()
    absence = Absence(180, usual=5, clock=clock)
    absence.note(40.0)
    assert absence.allowance == 40
    clock.now += 100

    # A node is fresh while its beat is younger than 180 s plus all the time since Deploy went.
    assert absence.allowance == 140
    clock.now += 80
    assert not absence.lasts


@pytest.mark.parametrize(("away", "excused"), [(5.0, False), (59.0, False), (61.0, True)])
def test_database_that_was_away_is_an_absence_too(away: float, *, excused: bool) -> None:
    absence = Absence(180, usual=5)
    absence.note(None)

    absence.note(away)

    assert absence.lasts is excused


def test_note_of_another_deploy_does_not_hide_what_this_one_missed() -> None:
    clock = Clock()
    absence = Absence(180, usual=5, clock=clock)
    absence.note(None)
    clock.now += 300

    # The database was away for both; the other one was back a second earlier.
    absence.note(1.0)

    assert (absence.allowance, absence.count) == (300, 1)


def test_note_is_due_after_its_time_and_after_every_absence() -> None:
    clock = Clock()
    absence = Absence(180, usual=5, clock=clock)
    assert absence.is_due
    absence.note(None)

    clock.now += 4
    assert not absence.is_due
    clock.now += 1
    assert absence.is_due


def test_slow_notes_are_no_absence() -> None:
    absence = Absence(1, usual=5)
    absence.note(None)

    absence.note(6.0)

    assert not absence.lasts


def test_shared_token_is_allowed_or_forbidden() -> None:
    env = {
        **SECRETS,
        "DEPLOY_DB_HOST": "h",
        "DEPLOY_DB_NAME": "n",
        "DEPLOY_DB_USER": "u",
        "DEPLOY_DB_PASSWORD": "a-long-enough-password",
    }

    assert Settings.from_env(env).shared_node_token is True
    forbidden = Settings.from_env({**env, "DEPLOY_SHARED_NODE_TOKEN": "forbid"})
    assert forbidden.shared_node_token is False
    with pytest.raises(ConfigError, match="DEPLOY_SHARED_NODE_TOKEN is 'no'"):
        Settings.from_env({**env, "DEPLOY_SHARED_NODE_TOKEN": "no"})
