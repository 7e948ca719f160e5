from __future__ import annotations

from typing import TYPE_CHECKING

from lab import bring_up, docs_site, layers, provision, wheelhouse
from lab.tally import Tally

if TYPE_CHECKING:
    import pytest


def test_bare_hosts_are_checked_with_all_archives_that_an_operator_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr(bring_up, "boot", lambda *_: done.append("boot"))
    monkeypatch.setattr(wheelhouse, "ensure_built", lambda: done.append("services"))
    monkeypatch.setattr(docs_site, "ensure_built", lambda: done.append("documentation"))
    monkeypatch.setattr(provision, "play", lambda *_: done.append("check"))

    layers.check_bare_hosts(Tally("lab"))

    assert done == ["boot", "services", "documentation", "check"]
