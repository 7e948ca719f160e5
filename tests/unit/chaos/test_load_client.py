"""What the clients of the redeploys take for a failure, and for an answer of the wrong version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.series.load_client import Board, Connection, is_failing
from tests.chaos.series.redeploys import join

if TYPE_CHECKING:
    from pathlib import Path

EVERY = 10


@pytest.fixture
def client(tmp_path: Path) -> Connection:
    board = Board(tmp_path / "board", make=True)
    connection = Connection(1, "/apps/shop/", board, Board.FIRST_COUNT, EVERY)
    connection.found.requests = 1
    return connection


def answer(number: int, status: int = 200, **more: Any) -> tuple[int, dict[str, str], bytes]:
    said = {"labels": {"io.funai.image": f"registry.test/shop:r{number}-ok"}, **more}
    return status, {"x-app-release": f"r{number}"}, json.dumps(said).encode()


def test_newer_version_than_the_last_success_is_right(client: Connection) -> None:
    client.check(answer(7), oldest=6)

    assert (client.found.failed, client.found.wrong) == ([], [])


def test_version_before_the_last_success_is_wrong(client: Connection) -> None:
    client.check(answer(6), oldest=7)

    assert len(client.found.wrong) == 1


def test_version_whose_deploy_fails_is_wrong(client: Connection) -> None:
    assert is_failing(5, EVERY)

    client.check(answer(5), oldest=4)

    assert len(client.found.wrong) == 1


def test_any_status_but_200_is_a_failure(client: Connection) -> None:
    client.check(answer(7, status=503), oldest=6)

    assert len(client.found.failed) == 1


def test_body_that_arrives_cut_is_a_failure(client: Connection) -> None:
    client.found.requests = 42
    client.check(answer(7, received=41), oldest=6)

    assert len(client.found.failed) == 1


def test_board_is_seen_by_who_opens_it_later(tmp_path: Path) -> None:
    board = Board(tmp_path / "board", make=True)
    Board(tmp_path / "board").put(Board.FIRST_COUNT + 3, 5)

    assert board.sum() == 5


def found(releases: list[Any], **given: Any) -> dict[str, Any]:
    counts = {"requests": 1, "posts": 0, "failed": 0, "wrong": 0}
    lists = {"failures": [], "wrongs": [], "seconds": [0.1]}
    return {**counts, **lists, "releases": releases, **given}


def test_release_that_stands_for_two_versions_is_found() -> None:
    joined = join([found([["r1", 1, 9]]), found([["r1", 2, 1]])])

    assert joined["mixed"] == ["release 'r1' was said of versions [1, 2]"]


def test_findings_of_all_processes_count() -> None:
    joined = join([found([["r1", 1, 1]], failed=1), found([["r2", 2, 1]], failed=2)])

    assert (joined["requests"], joined["failed"], joined["versions"]) == (2, 3, 2)
    assert joined["mixed"] == []
