"""Fixtures of the acceptance run, and the table that it ends with."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import pytest
import requests
import testinfra
from ansible.module_utils.deploy_client import DeployClient, DeployError

from tests.acceptance.evidence import Ledger
from tests.acceptance.live_platform import ROOT, Platform, PlatformError, load_platform
from tests.acceptance.sample_build import APP_ID as BUILT_APP_ID
from tests.acceptance.sample_build import Builder, Built

RecordEvidence = Callable[[str], None]

APP_ID = "acceptance"
USER_ID = 1
#: Seconds a deploy may take here; the benchmarks demand less.
DEPLOY_SECONDS = 120
LOGS = ROOT / ".lab" / "logs"
#: Of a failure's first line; the whole of it is above the table.
FAILURE_CHARS = 400
#: From what has to stand first to what stops something; the table keeps this order.
ORDER = (
    "test_nodes",
    "test_deploy_loop",
    "test_app_settings",
    "test_build_from_git",
    "test_preview",
    "test_database_access",
    "test_credentials",
    "test_reachability",
    "test_hardening",
    "test_workspace_down",
)

_LEDGER = pytest.StashKey[Ledger]()
_PLATFORM = pytest.StashKey[Platform]()


def pytest_configure(config: pytest.Config) -> None:
    """Read the platform before anything is collected, and refuse a lab that is not there."""
    config.addinivalue_line("markers", "point(name): the acceptance point that a check proves")
    config.addinivalue_line("markers", "disturbs: stops something; runs in the lab only")
    config.stash[_LEDGER] = Ledger()
    # testinfra calls Ansible by name: the one beside this Python, also where .venv is not activated.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "short"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop with the reason where the platform cannot be tested."""
    try:
        session.config.stash[_PLATFORM] = load_platform()
    except PlatformError as exc:
        pytest.exit(f"acceptance cannot start: {exc}", returncode=2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bring the checks into order, and leave out what disturbs unless this is the lab."""
    items.sort(key=lambda item: ORDER.index(item.path.stem))
    if not config.stash[_PLATFORM].is_lab:
        reason = "disturbs the platform: only the lab runs it"
        for item in items:
            if item.get_closest_marker("disturbs"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Enter each check's outcome under its point."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # the hook's protocol
    marker = item.get_closest_marker("point")
    if marker is None:
        return report  # type: ignore[return-value]
    point = item.config.stash[_LEDGER].point(marker.args[0])
    if report.failed:
        error = str(call.excinfo.value) if call.excinfo else report.outcome
        point.failures.append(f"{item.name}: {error.strip().splitlines()[0][:FAILURE_CHARS]}")
    elif report.skipped:
        point.skip_reasons.append(str(call.excinfo.value) if call.excinfo else "skipped")
    elif report.when == "call":
        point.passed += 1
    return report  # type: ignore[return-value]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table and keep it beside the lab's logs."""
    ledger = config.stash[_LEDGER]
    if not ledger.points:
        return
    terminalreporter.section("acceptance")
    for line in ledger.table():
        terminalreporter.write_line(line)
    if LOGS.is_dir():
        ledger.write(LOGS / "acceptance.json")
        terminalreporter.write_line(f"all of it: {LOGS / 'acceptance.json'}")


@pytest.fixture(scope="session")
def platform(pytestconfig: pytest.Config) -> Platform:
    return pytestconfig.stash[_PLATFORM]


@pytest.fixture
def record_evidence(request: pytest.FixtureRequest) -> RecordEvidence:
    """Return a function that enters a line of evidence under the check's point."""
    marker = request.node.get_closest_marker("point")
    assert marker, "a check that records evidence names its point"
    return request.config.stash[_LEDGER].point(marker.args[0]).evidence.append


@pytest.fixture(scope="session")
def deploy_client(platform: Platform) -> DeployClient:
    return DeployClient(
        platform.deploy_url,
        secret=platform.credential("deploy_secret"),
        admin_token=platform.credential("admin_token"),
    )


@pytest.fixture(scope="session")
def http() -> Iterator[requests.Session]:
    """A client that ignores the shell's proxy and never follows a redirect silently."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(scope="session")
def trusted_ca(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of the platform's own CA, else that of the public ones."""
    certificate = platform.settings["platform_ca_certificate"]
    if not certificate:
        return str(certifi.where())
    path = tmp_path_factory.mktemp("ca") / "platform-ca.crt"
    path.write_text(certificate)
    return str(path)


@pytest.fixture(scope="session")
def connect() -> Callable[[str], Any]:
    """Return a function that gives testinfra's host of that inventory name."""
    hosts: dict[str, Any] = {}

    def host_named(name: str) -> Any:
        if name not in hosts:
            hosts[name] = testinfra.get_host(f"ansible://{name}")
        return hosts[name]

    return host_named


@dataclass(frozen=True)
class DeployedApp:
    """The app that this run deployed through the whole loop."""

    app_id: str
    job: dict[str, Any]
    events: list[dict[str, Any]]
    node: str

    @property
    def job_id(self) -> str:
        """Id of the job that deployed it."""
        return str(self.job["id"])


Deploy = Callable[[str], DeployedApp]


@pytest.fixture(scope="session")
def deploy(platform: Platform, deploy_client: DeployClient) -> Deploy:
    """Return a function that deploys an image as the acceptance app and waits for its end."""

    def run(image: str) -> DeployedApp:
        payload = {
            "appId": APP_ID,
            "userId": USER_ID,
            "image": image,
            "containerPort": int(platform.settings["acceptance_container_port"]),
        }
        body = {"type": "BUILD_AND_DEPLOY", "payload": payload, "supersede": True}
        created = deploy_client.create_job(body, uuid.uuid4().hex)
        job = deploy_client.wait_for_job(created["id"], DEPLOY_SECONDS)
        node = (job.get("runtimeNode") or {}).get("name", "")
        return DeployedApp(APP_ID, job, deploy_client.get_job_events(job["id"]), node)

    return run


@pytest.fixture(scope="session")
def app(platform: Platform, deploy: Deploy, deploy_client: DeployClient) -> Iterator[DeployedApp]:
    """The acceptance app, deployed once for the run and removed at its end."""
    image = platform.settings["acceptance_image"]
    if not image:
        pytest.fail("the inventory defines no acceptance_image to deploy")
    deployed = deploy(image)
    assert deployed.job["status"] == "SUCCEEDED", deployed.job["errorMessage"]
    yield deployed
    with suppress(DeployError):
        deploy_client.clean_up_app(APP_ID, USER_ID)


@pytest.fixture(scope="session")
def builder(
    platform: Platform, deploy_client: DeployClient, http: requests.Session
) -> Iterator[Builder]:
    """The sample repository as an app, removed at the end of the run."""
    if not platform.settings["acceptance_sample_repository"]:
        pytest.skip("the inventory defines no acceptance_sample_repository to build")
    yield Builder(platform, deploy_client, http)
    with suppress(DeployError):
        deploy_client.clean_up_app(BUILT_APP_ID, USER_ID)


@pytest.fixture(scope="session")
def built(builder: Builder) -> Built:
    """The sample, built once for the run."""
    return builder.build()
