"""Invariant of ends: a job that ended without success does nothing more, and what serves is said. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.chaos.effect_checks import containers_at_routes, is_deploy_call
from tests.chaos.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.final_state import FinalState
    from tests.chaos.history import Entry

#: After these an agent knows what its containers' labels say, and nothing of an end.
_FORGETFUL = {"F23a", "F23b", "F23c"}
_OK = 200


def ends_are_final(history: list[Entry], final: FinalState) -> Iterator[Violation]:
    """I17: from a node's word on it does nothing older; what serves without success is said."""
    yield from _nothing_after_the_word(history)
    yield from _serving_is_said(final)


def told_ends(history: list[Entry]) -> set[tuple[str, int]]:
    """Return app and fence of every end that a node said it knows of."""
    return {(e["body"]["appId"], e["body"]["fence"]) for e in history if _is_close(e)}


def _nothing_after_the_word(history: list[Entry]) -> Iterator[Violation]:
    watch = _Watch(history)
    for entry in history:
        text = watch.see(entry)
        if text:
            yield Violation("I17", text, entry["t"])


class _Watch:
    """Follows a history and knows what nodes said they would not do."""

    def __init__(self, history: list[Entry]) -> None:
        self._switches = {id(route): made for route, made in containers_at_routes(history)}
        self._closed: dict[str, int] = defaultdict(int)
        #: When the word was given.
        self._since: dict[str, float] = {}
        self._served: set[str] = set()

    def see(self, entry: Entry) -> str:
        """Take the next entry; return what is wrong with it, or nothing."""
        if entry["kind"] == "fault" and entry["code"] in _FORGETFUL:
            self._closed.clear()
        elif _is_close(entry):
            self._note(entry)
        elif entry["kind"] == "container.created" and self._is_over(entry):
            return f"{entry['name']} was created after its job's end was told"
        elif id(entry) in self._switches:
            return self._see_switch(self._switches[id(entry)])
        elif is_deploy_call(entry) and entry["status"] == _OK:
            return self._see_call(entry)
        return ""

    def _note(self, close: Entry) -> None:
        app, fence = close["body"]["appId"], close["body"]["fence"]
        if fence > self._closed[app]:
            self._closed[app], self._since[app] = fence, close["t"]

    def _is_over(self, container: Entry) -> bool:
        return bool(container["fence"] < self._closed[container["app"]])

    def _see_switch(self, container: Entry) -> str:
        # An undo goes back to what served before.
        is_new = container["name"] not in self._served
        self._served.add(container["name"])
        if is_new and self._is_over(container):
            return f"{container['name']} began to serve after its job's end was told"
        return ""

    def _see_call(self, call: Entry) -> str:
        app, fence = call["body"]["appId"], call["body"]["fence"]
        if fence < self._closed[app] and call["began"] > self._since[app]:
            return f"app {app}: fence {fence} was accepted after {self._closed[app]} was closed"
        return ""


def _is_close(entry: Entry) -> bool:
    is_close = entry["kind"] == "call" and entry["request"].endswith("/agent/apps/close")
    return bool(is_close and entry["status"] == _OK)


def _serving_is_said(final: FinalState) -> Iterator[Violation]:
    succeeded = {job["id"] for job in final.jobs if job["status"] == "SUCCEEDED"}
    said = {row["app_id"]: row["unconfirmed_job_id"] for row in final.apps}
    for node in final.nodes.values():
        for app, (_status, job) in node.pages.items():
            if job not in succeeded and said.get(app) != job:
                text = f"app {app} serves job {job}, which did not succeed, and nobody says so"
                yield Violation("I17", text)
            elif job in succeeded and said.get(app) is not None:
                text = f"app {app} serves job {job}, and is said to serve {said[app]}"
                yield Violation("I17", text)
