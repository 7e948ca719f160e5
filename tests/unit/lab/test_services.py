from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab import health, identity, layout, process, shell_environment
from lab.process import LabError

if TYPE_CHECKING:
    from pathlib import Path

PROMISED = [
    "FUNAI_EDGE_URL",
    "FUNAI_DEPLOY_URL",
    "FUNAI_AGENT_URL",
    "FUNAI_REGISTRY",
    "FUNAI_GIT_URL",
    "FUNAI_DEPLOY_SECRET",
    "FUNAI_ADMIN_TOKEN",
    "FUNAI_NODE_TOKEN",
    "FUNAI_RUNTIME_TOKEN",
    "FUNAI_RUNNER_TOKEN",
    "FUNAI_DB_HOST",
    "FUNAI_DB_PORT",
    "FUNAI_DB_NAME",
    "FUNAI_DB_USER",
    "FUNAI_DB_PASSWORD",
    "FUNAI_DEMO_IMAGE",
    "FUNAI_SAMPLE_REPO",
    "FUNAI_SAMPLE_NODE_REPO",
    "FUNAI_GIT_SSH_URL",
    "FUNAI_GIT_PUSH_USER",
    "FUNAI_GIT_PUSH_PASSWORD",
    "FUNAI_ARCHIVES_URL",
    "FUNAI_BASE_IMAGES",
    "FUNAI_CA_FILE",
    "ANSIBLE_INVENTORY",
]


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(layout, "SECRETS", tmp_path / "secrets")
    for name in identity.SECRET_NAMES:
        layout.write_private(tmp_path / "secrets" / name, f"it's {name}".encode())
    return tmp_path / "secrets"


@pytest.mark.usefixtures("secrets")
def test_every_promised_variable_is_exported() -> None:
    assert set(PROMISED) <= set(shell_environment.variables())


@pytest.mark.usefixtures("secrets")
def test_exports_survive_a_shell() -> None:
    for line in shell_environment.exports().splitlines():
        if line.startswith("export FUNAI_DEPLOY_SECRET="):
            words = shlex.split(line)
            assert words[1] == "FUNAI_DEPLOY_SECRET=it's deploy_secret"
            return
    pytest.fail("FUNAI_DEPLOY_SECRET is not exported")


@pytest.mark.usefixtures("secrets")
def test_git_gets_the_push_account_for_the_forge_only() -> None:
    environment = {**shell_environment.variables(), "PATH": os.environ["PATH"], "HOME": "/"}
    ask = ["git", "credential", "fill"]

    def answer(host: str) -> str:
        question = f"protocol=https\nhost={host}\n\n"
        silent = {**environment, "GIT_TERMINAL_PROMPT": "0"}
        return subprocess.run(
            ask, input=question, env=silent, capture_output=True, text=True, check=False
        ).stdout

    assert "password=it's registry_push_password" in answer(layout.address_of("forge"))
    assert "password" not in answer("git.example.org")


@pytest.mark.usefixtures("secrets")
def test_programs_do_not_get_the_bundle_that_hides_the_forges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_SSL_CAINFO", "/etc/ssl/certs/ca-certificates.crt")

    environment = process.changed_environment(shell_environment.for_programs())

    assert environment is not None
    assert "GIT_SSL_CAINFO" not in environment
    assert environment["FUNAI_DEPLOY_SECRET"] == "it's deploy_secret"
    assert "unset GIT_SSL_CAINFO" in shell_environment.exports().splitlines()


def test_environment_without_a_lab_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "SECRETS", tmp_path / "none")

    with pytest.raises(LabError, match=r"\./dev up"):
        shell_environment.variables()


def test_inventory_reads_every_secret_and_no_other() -> None:
    text = (layout.ROOT / "inventory/group_vars/lab/main.yml").read_text()

    read = {word.strip("'") for word in text.split("secrets/")[1:]}

    assert {name.split("'")[0] for name in read} == set(identity.SECRET_NAMES)


@pytest.mark.parametrize(
    ("word", "place"),
    [
        pytest.param("deploy", ("deploy", "funai-deploy"), id="word"),
        pytest.param("edge", ("api", "haproxy"), id="edge"),
        pytest.param("gateway", ("runtime", "haproxy"), id="gateway"),
        pytest.param("mariadb", ("api", "mariadb"), id="unit"),
        pytest.param("runtime-agent", ("runtime", "funai-runtime-agent"), id="short unit"),
    ],
)
def test_service_is_found_by_its_word_or_unit(word: str, place: tuple[str, str]) -> None:
    assert health.find_unit(word) == place


def test_unknown_service_is_an_error() -> None:
    with pytest.raises(KeyError):
        health.find_unit("nonsense")
