"""What Deploy refuses on the page of nodes is said in the reader's language: Deploy's own sentences."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from pydantic import ValidationError

from funai.api.web import phrases
from funai.deploy.app import _refuse_fields
from funai.deploy.errors import InvalidRequestError
from funai.deploy.nodes.model import MAX_WEIGHT, Node, check_name, check_url
from funai.deploy.nodes.routes import UpsertBody
from funai.deploy.placements.model import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

URL = "http://192.0.2.10:7005"
READY: dict[str, Any] = {
    "id": 1,
    "name": "runtime-01",
    "agent_base_url": URL,
    "gateway_base_url": URL,
    "enabled": True,
    "weight": 1,
    "draining": False,
    "fresh": True,
}
TARGETS = (
    {"enabled": False},
    {"fresh": False},
    {"agent_base_url": ""},
    {"disk_free_pct": 3.0},
    {"draining": True},
    {"disk_free_pct": 20.0},
)
DECLARED = {"name": "runtime-01", "agentBaseUrl": URL, "gatewayBaseUrl": URL}
#: Words that are the same in both languages, or are names.
KEPT = re.compile(r"runtime-\d+|shop|job-1|Deploy|http://\S+")


@contextmanager
def asked(*, by_page: bool, language: str = "zh") -> Iterator[None]:
    headers = {"Accept-Language": language, **({phrases.OWN_PAGE: "nodes"} if by_page else {})}
    with Flask("test").test_request_context(headers=headers):
        yield


def refused(check: Callable[[], object]) -> str:
    with pytest.raises(InvalidRequestError) as error:
        check()
    return str(error.value)


def upsert(**fields: Any) -> str:
    """Return what Deploy says of a declaration with these fields."""
    with pytest.raises(ValidationError) as error:
        UpsertBody.model_validate(fields)
    return refused(lambda: _refuse_fields(error.value))


SENTENCES = [
    *(
        f"node runtime-01 {refusal(Node(**{**READY, **state}), new_app=True)}; choose another target"
        for state in TARGETS
    ),
    refused(lambda: check_name("")),
    refused(lambda: check_url("agentBaseUrl", "nowhere")),
    refused(lambda: check_url("gatewayBaseUrl", "nowhere")),
    upsert(name="runtime-01"),
    upsert(weight="7"),
    upsert(**DECLARED, weight="heavy"),
    upsert(**DECLARED, weight="1.5"),
    upsert(**DECLARED, weight="-1"),
    upsert(**DECLARED, weight=MAX_WEIGHT + 1),
    "no runtime node is named 'runtime-09'; see /admin/runtime-nodes/list",
    "no runtime node has the id 9; see /admin/runtime-nodes/list",
    "node 'runtime-09' went while it was written; try again",
    "app shop is not placed on any node; its first deploy places it",
    "app shop is being deployed by job job-1; wait for its end or cancel it, then reassign",
    "sourceNodeId and targetNodeId must be two nodes",
    "the database was busy (error 1205); try again",
    "the database does not answer (error 2003); try again",
    "the database takes no writes now (read-only); try again",
    "every database connection of Deploy is in use; try again in a moment",
    "the database refused Deploy's statement (error 1064); see its log",
    "Deploy failed unexpectedly; see its log",
    "Deploy answered 502 without its envelope; look at its log",
    "Deploy does not answer (ConnectTimeout); nothing was lost, deployed apps go on. Try again in a moment",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_refusal_is_chinese_for_our_page_and_as_it_was_for_others(sentence: str) -> None:
    with asked(by_page=True):
        said = phrases.said_to_caller(sentence)
    with asked(by_page=False):
        as_it_was = phrases.said_to_caller(sentence)

    assert re.search(r"[\u4e00-\u9fff]", said)
    assert not re.search(r"[A-Za-z]{2,}", KEPT.sub("", said)), said
    assert as_it_was == sentence


def test_several_fields_are_one_sentence_each() -> None:
    with asked(by_page=True, language="en"):
        said = phrases.said_to_caller(upsert(name="runtime-01"))

    assert said == "Agent: its address is missing; Gateway: its address is missing"


def test_a_sentence_that_nobody_foresaw_is_shown_as_it_is() -> None:
    with asked(by_page=True):
        assert phrases.said_to_caller("a moon; and a sun") == "a moon; and a sun"
