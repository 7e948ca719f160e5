"""What may become a build context."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from funai.runner.source.tree import MAX_ENTRIES, Entry, Kind, leaves_root, select
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCKERFILE = Entry("Dockerfile", Kind.FILE, 10)


def tree(*entries: Entry) -> dict[str, Entry]:
    return {entry.path: entry for entry in (DOCKERFILE, *entries)}


def refused(entries: Iterable[Entry], context: str = ".", dockerfile: str = "Dockerfile") -> str:
    with pytest.raises(StepError) as caught:
        select(tree(*entries), context, dockerfile, 1000)
    return caught.value.reason


@pytest.mark.parametrize(
    ("name", "links", "leaves"),
    [
        pytest.param("a", {"a": "b/c"}, False, id="down"),
        pytest.param("d/a", {"d/a": "../b"}, False, id="up and inside"),
        pytest.param("a", {"a": "."}, False, id="root itself"),
        pytest.param("a", {"a": "nowhere"}, False, id="dangling"),
        pytest.param("a", {"a": "/etc"}, True, id="absolute"),
        pytest.param("a", {"a": "../x"}, True, id="above root"),
        pytest.param("d/a", {"d/a": "../../x"}, True, id="above root from below"),
        pytest.param("a", {"a": "d/../../x"}, True, id="down and up"),
        pytest.param("m", {"d/e/l": "../..", "m": "d/e/l/../x"}, True, id="through a link upwards"),
        pytest.param("m", {"l": "d/e", "m": "l/../x"}, False, id="through a link downwards"),
        pytest.param("a", {"a": "b", "b": "/etc"}, True, id="to an absolute link"),
        pytest.param("a", {"a": "b", "b": "a"}, True, id="in circles"),
    ],
)
def test_links_are_followed_as_a_kernel_would(
    name: str, links: dict[str, str], leaves: object
) -> None:
    assert leaves_root(name, links) is leaves


def test_whole_tree_is_the_usual_context() -> None:
    chosen = select(
        tree(Entry("app", Kind.FOLDER), Entry("app/x", Kind.FILE)), ".", "Dockerfile", 99
    )

    assert [name for name, _ in chosen.members] == ["Dockerfile", "app", "app/x"]
    assert chosen.dockerfile == "Dockerfile"


def test_dockerfile_inside_the_context_is_named_from_there() -> None:
    entries = tree(Entry("app", Kind.FOLDER), Entry("app/D", Kind.FILE))

    assert select(entries, "app", "app/D", 99).dockerfile == "D"


def test_context_with_a_common_beginning_is_another_folder() -> None:
    entries = tree(Entry("app/x", Kind.FILE), Entry("app2/y", Kind.FILE))

    names = [name for name, _ in select(entries, "app", "Dockerfile", 99).members]

    assert names == ["x", ".funai.dockerfile"]


def test_submodule_outside_of_the_context_does_no_harm() -> None:
    entries = tree(Entry("lib", Kind.SUBMODULE), Entry("app/x", Kind.FILE))

    assert ("x", entries["app/x"]) in select(entries, "app", "Dockerfile", 99).members


@pytest.mark.parametrize(
    ("entries", "context", "dockerfile", "reason"),
    [
        pytest.param([], ".", "Other", "DOCKERFILE_MISSING", id="no dockerfile"),
        pytest.param(
            [Entry("d", Kind.FOLDER)], ".", "d", "DOCKERFILE_MISSING", id="folder as dockerfile"
        ),
        pytest.param([], "app", "Dockerfile", "CONTEXT_INVALID", id="no context"),
        pytest.param([], "Dockerfile", "Dockerfile", "CONTEXT_INVALID", id="file as context"),
        pytest.param(
            [Entry("lib", Kind.SUBMODULE)],
            ".",
            "Dockerfile",
            "SUBMODULES_UNSUPPORTED",
            id="submodule",
        ),
        pytest.param(
            [Entry("l", Kind.LINK, target="/etc")], ".", "Dockerfile", "CONTEXT_INVALID", id="link"
        ),
        pytest.param(
            [Entry("l", Kind.LINK, target="app"), Entry("l/x", Kind.FILE)],
            ".",
            "Dockerfile",
            "CONTEXT_INVALID",
            id="file below a link",
        ),
        pytest.param(
            [Entry("a", Kind.FILE, 600), Entry("b", Kind.FILE, 600)],
            ".",
            "Dockerfile",
            "CONTEXT_TOO_LARGE",
            id="too large together",
        ),
    ],
)
def test_what_cannot_be_built_has_a_reason(
    entries: list[Entry], context: str, dockerfile: str, reason: str
) -> None:
    assert refused(entries, context, dockerfile) == reason


def test_too_many_files_are_refused() -> None:
    entries = (Entry(f"f{n}", Kind.FILE) for n in range(MAX_ENTRIES))

    assert refused(entries) == "CONTEXT_TOO_LARGE"
