"""What ``./dev env`` prints: the lab's addresses and credentials for a shell."""

from __future__ import annotations

import shlex

from lab import demo, health, identity, layout, provision
from lab.certificates import CA_CERTIFICATE, controller_bundle
from lab.process import LabError

_DATABASE = "db_funaistudio"
_OBSERVER = "funai_observer"
#: They would hide ``http.sslCAInfo``, for every host.
_HIDING = ("GIT_SSL_CAINFO",)
#: What git runs for user and password; it reads them from the same environment.
_CREDENTIAL_HELPER = (
    '!f() { echo "username=$FUNAI_GIT_PUSH_USER"; echo "password=$FUNAI_GIT_PUSH_PASSWORD"; }; f'
)


def variables() -> dict[str, str]:
    """Return the variables by name; raise LabError where there is no lab yet."""
    if not layout.SECRETS.is_dir():
        message = "there is no lab yet: run ./dev up first"
        raise LabError(message)
    registry = layout.address_of("forge")
    return {
        "FUNAI_EDGE_URL": f"http://{layout.address_of('api')}",
        "FUNAI_CONSOLE_URL": health.CONSOLE_URL,
        "FUNAI_CONSOLE_USER": "admin",
        "FUNAI_CONSOLE_PASSWORD": identity.secret("first_operator_password"),
        "FUNAI_DEPLOY_URL": health.DEPLOY_URL,
        "FUNAI_AGENT_URL": health.AGENT_URL,
        "FUNAI_REGISTRY": registry,
        "FUNAI_CA_FILE": str(CA_CERTIFICATE),
        "FUNAI_DEPLOY_SECRET": identity.secret("deploy_secret"),
        "FUNAI_ADMIN_TOKEN": identity.secret("admin_token"),
        "FUNAI_NODE_TOKEN": identity.secret("node_token"),
        "FUNAI_RUNTIME_TOKEN": identity.secret("runtime_token"),
        "FUNAI_RUNNER_TOKEN": identity.secret("runner_token"),
        "FUNAI_GATEWAY_TOKEN": identity.secret("gateway_token"),
        "FUNAI_DB_HOST": layout.address_of("api"),
        "FUNAI_DB_PORT": "3306",
        "FUNAI_DB_NAME": _DATABASE,
        "FUNAI_DB_USER": _OBSERVER,
        "FUNAI_DB_PASSWORD": identity.secret("db_observer_password"),
        "FUNAI_REGISTRY_PUSH_PASSWORD": identity.secret("registry_push_password"),
        "FUNAI_REGISTRY_PULL_PASSWORD": identity.secret("registry_pull_password"),
        "FUNAI_DEMO_IMAGE": demo.DEMO_IMAGE,
        "FUNAI_BASE_IMAGES": f"{registry}/base",
        **_git_variables(registry),
        "ANSIBLE_CONFIG": str(layout.ROOT / "ansible.cfg"),
        "ANSIBLE_INVENTORY": provision.environment()["ANSIBLE_INVENTORY"],
    }


def _git_variables(registry: str) -> dict[str, str]:
    """Return what a shell needs to clone from the forge's git and to push to it."""
    url = f"https://{registry}/git"
    # Only for the forge: what the shell does elsewhere stays as it is.
    settings = {
        "http.sslCAInfo": str(controller_bundle()),
        f"http.https://{registry}/.sslCAInfo": str(CA_CERTIFICATE),
        f"http.https://{registry}/.proxy": "",
        f"credential.https://{registry}.helper": _CREDENTIAL_HELPER,
    }
    variables = {
        "FUNAI_GIT_URL": url,
        "FUNAI_GIT_SSH_URL": f"ssh://git@{registry}/srv/git",
        "FUNAI_GIT_SSH_COMMAND": shlex.join(_git_ssh_argv()),
        "FUNAI_GIT_PUSH_USER": "push",
        "FUNAI_GIT_PUSH_PASSWORD": identity.secret("registry_push_password"),
        "FUNAI_SAMPLE_REPO": f"{url}/sample-python.git",
        "FUNAI_SAMPLE_NODE_REPO": f"{url}/sample-node.git",
        "FUNAI_ARCHIVES_URL": f"https://{registry}/archives",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (key, value) in enumerate(settings.items()):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


def _git_ssh_argv() -> list[str]:
    argv = ["ssh", "-i", str(identity.GIT_KEY), "-o", "IdentitiesOnly=yes"]
    return [*argv, "-o", f"UserKnownHostsFile={identity.KNOWN_HOSTS}"]


def for_programs() -> dict[str, str | None]:
    """Return what a program needs laid over its environment; None takes a variable away."""
    return {**variables(), **dict.fromkeys(_HIDING)}


def exports() -> str:
    """Return the variables as commands for ``eval``."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables().items()]
    lines.extend(f"unset {name}" for name in _HIDING)
    # A proxy of the shell must not get the lab's requests.
    lines.append(f'export NO_PROXY="${{NO_PROXY:+$NO_PROXY,}}{layout.SUBNET}"')
    lines.append('export no_proxy="$NO_PROXY"')
    return "\n".join(lines)
