"""The whole platform at a glance: hosts over a real SSH, Deploy, nodes, runners, queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ansible.parsing.vault import VaultLib, VaultSecret

from tests.integration.cli.conftest import CommandLine, base_environment
from tests.integration.cli.test_looking import document
from tests.integration.deploy_process import SECRETS
from tests.integration.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cli.ssh_server import SshServer
    from tests.integration.deploy_process import DeployProcess

WELL = "printf 'Id=funai-deploy.service\\nActiveState=active\\nLoadState=loaded\\n'"
FAILED = WELL.replace("=active", "=failed")
ROOMY = "printf 'Filesystem a b c d e\\n/dev/vda 1000 100 900 10%% /\\n'"


def inventory(folder: Path, server: SshServer, url: str, **changed: str | bool) -> CommandLine:
    """Return a command line that knows a platform of one host, from an inventory alone."""
    values: dict[str, str | bool] = {
        "ansible_host": "127.0.0.1",
        "ansible_port": str(server.port),
        "ansible_user": "operator",
        "ansible_ssh_private_key_file": str(server.key_file),
        "known": str(server.known_hosts),
        "ansible_ssh_common_args": "-o UserKnownHostsFile={{ known }} -o IdentitiesOnly=yes",
        "platform_deploy_url": url,
        "vault_deploy_secret": SECRETS["DEPLOY_SECRET"],
        "vault_admin_token": SECRETS["DEPLOY_ADMIN_TOKEN"],
        **changed,
    }
    path = folder / "inventory.yml"
    group = {"hosts": {"deploy-01": {}}, "vars": values}
    path.write_text(json.dumps({"deploy": group}))
    return CommandLine({**base_environment(folder), "ANSIBLE_INVENTORY": str(path)})


def test_platform_that_is_well_ends_with_0(
    deploy: DeployProcess, ssh_server: SshServer, tmp_path: Path
) -> None:
    ssh_server.program("systemctl", WELL)
    ssh_server.program("df", ROOMY)
    commands = inventory(tmp_path, ssh_server, deploy.url)
    deploy.beat()
    deploy.claim()

    done = commands.run("status")
    found = document(commands, "status")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "All is well." in done.stdout
    assert str(tmp_path / "inventory.yml") in done.stderr
    assert found["healthy"]
    assert found["hosts"][0]["services"] == [
        {"name": "funai-deploy", "state": "active", "expected": True}
    ]
    assert found["hosts"][0]["disks"] == [{"mount": "/", "sizeBytes": 1000, "freeBytes": 900}]
    assert found["queue"]["waiting"] == 0


def test_services_that_the_platform_has_not_are_not_missed(
    ssh_server: SshServer, tmp_path: Path
) -> None:
    ssh_server.program("systemctl", "true")
    url = f"http://127.0.0.1:{free_port()}"
    commands = inventory(
        tmp_path, ssh_server, url, database_manage=False, platform_console_enabled=False
    )
    path = tmp_path / "inventory.yml"
    path.write_text(path.read_text().replace('"deploy"', '"api"', 1))

    (host,) = json.loads(commands.run("status", "--json").stdout)["hosts"]

    assert [unit["name"] for unit in host["services"]] == ["haproxy", "funai-gateway-sync"]


def test_service_that_failed_and_job_that_waits_are_told(
    deploy: DeployProcess, ssh_server: SshServer, tmp_path: Path
) -> None:
    ssh_server.program("systemctl", FAILED)
    commands = inventory(tmp_path, ssh_server, deploy.url)
    deploy.create("shop")

    done = commands.run("status")
    found = json.loads(commands.run("status", "--json").stdout)

    assert done.returncode == 1
    assert "deploy-01: funai-deploy is failed" in done.stdout
    assert "next: read its journal there" in done.stdout
    assert "1 waiting, 0 running" in done.stdout
    assert found["queue"]["waiting"] == 1
    assert {each["about"] for each in found["troubles"]} == {"deploy-01", "nodes", "runners"}


def test_host_with_another_key_is_not_spoken_to(
    deploy: DeployProcess, ssh_server: SshServer, tmp_path: Path
) -> None:
    ssh_server.program("systemctl", f"touch {tmp_path}/asked")
    strange = tmp_path / "empty"
    strange.touch()

    done = inventory(tmp_path, ssh_server, deploy.url, known=str(strange)).run("status")

    assert done.returncode == 1
    assert "deploy-01: no SSH" in done.stdout
    assert not (tmp_path / "asked").exists()


def test_deploy_that_is_away_leaves_the_hosts_visible(
    ssh_server: SshServer, tmp_path: Path
) -> None:
    ssh_server.program("systemctl", WELL)
    url = f"http://127.0.0.1:{free_port()}"

    done = inventory(tmp_path, ssh_server, url).run("status")

    assert done.returncode == 1
    assert f"Deploy at {url} cannot be reached" in done.stdout
    assert "funai-deploy" in done.stdout


def test_platform_of_which_nothing_answers_ends_with_2(
    ssh_server: SshServer, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    port = str(free_port())

    done = inventory(tmp_path, ssh_server, url, ansible_port=port).run("status")

    assert done.returncode == 2
    assert "neither Deploy" in done.stderr


def test_vaulted_secret_is_used_where_its_password_is_given(
    deploy: DeployProcess, ssh_server: SshServer, tmp_path: Path
) -> None:
    commands = inventory(tmp_path, ssh_server, deploy.url, vault_deploy_secret="{{ from_vault }}")
    folder = tmp_path / "group_vars" / "deploy"
    folder.mkdir(parents=True)
    password = tmp_path / "password"
    password.write_text("password-of-the-vault")
    text = f"from_vault: {SECRETS['DEPLOY_SECRET']}"
    key = VaultSecret(password.read_bytes())
    (folder / "vault.yml").write_bytes(VaultLib([("default", key)]).encrypt(text))

    locked = commands.run("jobs")
    commands.environment["ANSIBLE_VAULT_PASSWORD_FILE"] = str(password)
    opened = commands.run("jobs")

    assert locked.returncode == 2
    assert opened.returncode == 0, opened.stderr
    assert "There is no job yet." in opened.stderr


def test_vault_without_its_password_says_how_to_give_it(
    ssh_server: SshServer, tmp_path: Path
) -> None:
    commands = inventory(tmp_path, ssh_server, "http://127.0.0.1:7002")
    folder = tmp_path / "group_vars" / "deploy"
    folder.mkdir(parents=True)
    (folder / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")

    done = commands.run("jobs")

    assert done.returncode == 2
    assert "ANSIBLE_VAULT_PASSWORD_FILE" in done.stderr
