"""Many who sign in at once, rightly and wrongly."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from funai.api import app
from funai.api.accounts import model, service
from funai.api.accounts.service import AT_ONCE, AccountService
from funai.api.config import Settings
from funai.api.errors import ApiError, BusyError, SignInRequiredError
from funai.deploy.database import make_engine
from tests.integration.api.process import PASSWORD, TOKEN, ApiProcess, run_api_command
from tests.integration.deploy_process import DeployProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

    from tests.integration.deploy_process import Schema

ADDRESS = "192.0.2.7"
MANY = 24
#: Far longer than the machine takes, far shorter than a test may.
PATIENCE = 60.0


@pytest.fixture
def entry(database: Schema, tmp_path: Path) -> ApiProcess:
    """A migrated API entry with accounts; neither it nor Deploy is started."""
    done = run_api_command(database, "migrate")
    assert done.returncode == 0, done.stdout + done.stderr
    found = ApiProcess(
        database, DeployProcess(database, tmp_path / "deploy.log"), tmp_path / "api.log"
    )
    found.add_accounts()
    return found


@pytest.fixture
def accounts(entry: ApiProcess) -> AccountService:
    return entry.accounts(turn_seconds=PATIENCE)


@pytest.fixture
def busy(entry: ApiProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """A browser of an application in this process in which no turn ever comes."""
    monkeypatch.setattr(service, "AT_ONCE", 0)
    monkeypatch.setattr(app, "AccountService", partial(AccountService, turn_seconds=0))
    settings = Settings.from_env({**os.environ, **entry.env()})
    engine = make_engine(settings.database, pool_size=8)
    yield app.create_app(settings, engine).test_client()
    engine.dispose()


class Meter:
    """Stands for the hashing, and counts how much of it goes on at once."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def verify(self, password: str, stored: str | None) -> bool:
        with self._measured():
            return stored is not None and password == PASSWORD

    def hash(self, password: str) -> str:
        with self._measured():
            return f"hash of {password}"

    @contextmanager
    def _measured(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        threading.Event().wait(0.02)
        yield
        with self._lock:
            self._now -= 1


def _tried(accounts: AccountService, name: str, password: str, address: str = ADDRESS) -> int:
    """Sign in; return the status that it is answered with."""
    try:
        accounts.sign_in(name, password, address)
    except ApiError as exc:
        return exc.status
    return 200


def test_few_passwords_are_hashed_at_once_however_many_sign_in(
    accounts: AccountService, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter, bob = Meter(), accounts.get(2)
    monkeypatch.setattr(model, "verify_password", meter.verify)
    monkeypatch.setattr(model, "hash_password", meter.hash)
    monkeypatch.setattr(model, "is_outdated", lambda _stored: True)

    with ThreadPoolExecutor(MANY) as pool:
        tries = [pool.submit(_tried, accounts, "bob", PASSWORD) for _ in range(MANY)]
        sets = [pool.submit(accounts.set_password, bob, PASSWORD) for _ in range(MANY // 4)]

    assert [found.result() for found in tries] == [200] * MANY
    assert all(found.exception() is None for found in sets)
    assert meter.most == AT_ONCE


@pytest.mark.parametrize("name", ["bob", "nobody"])
def test_guesses_at_once_are_no_more_than_guesses_in_turn(
    accounts: AccountService, name: str
) -> None:
    with ThreadPoolExecutor(MANY) as pool:
        found = list(pool.map(lambda n: _tried(accounts, name, f"guess {n}"), range(MANY)))

    assert Counter(found) == {401: 10, 429: MANY - 10}


def test_guesses_at_once_at_a_running_service_do_not_pass_the_limit(api: ApiProcess) -> None:
    browsers = [api.browser() for _ in range(MANY)]

    with ThreadPoolExecutor(MANY) as pool:
        found = list(pool.map(lambda browser: browser.sign_in("bob", "wrong guess"), browsers))

    said = Counter(answer.status_code for answer in found)
    assert set(said) <= {401, 429, 503}
    assert 0 < said[401] <= 10
    assert all("Retry-After" in answer.headers for answer in found if answer.status_code != 401)


def test_guesses_from_one_address_are_counted_together(accounts: AccountService) -> None:
    with ThreadPoolExecutor(MANY) as pool:
        found = list(pool.map(lambda n: _tried(accounts, f"name{n}", "wrong"), range(60)))

    assert Counter(found) == {401: 50, 429: 10}


def test_signing_in_costs_an_address_nothing(accounts: AccountService) -> None:
    with ThreadPoolExecutor(MANY) as pool:
        found = list(pool.map(lambda _: _tried(accounts, "bob", PASSWORD), range(60)))

    assert found == [200] * 60


def test_a_try_that_is_cut_off_counts(
    accounts: AccountService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_password: str, _stored: str | None) -> bool:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(model, "verify_password", killed)
        for _ in range(10):
            with pytest.raises(SystemExit):
                accounts.sign_in("bob", PASSWORD, ADDRESS)

    assert _tried(accounts, "bob", PASSWORD) == 429


def test_who_gets_no_turn_is_told_so_and_not_counted(
    entry: ApiProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts, go_on = entry.accounts(turn_seconds=0.05), threading.Event()
    inside = threading.Semaphore(0)

    def slow(_password: str, _stored: str | None) -> bool:
        inside.release()
        return go_on.wait(PATIENCE)

    monkeypatch.setattr(model, "verify_password", slow)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        first = [pool.submit(_tried, accounts, "eve", PASSWORD) for _ in range(AT_ONCE)]
        assert all(inside.acquire(timeout=PATIENCE) for _ in first)
        for _ in range(12):
            with pytest.raises(BusyError, match=r"nothing was changed; try again"):
                accounts.sign_in("bob", "wrong", ADDRESS)
        go_on.set()

    assert [found.result() for found in first] == [200] * AT_ONCE
    assert _tried(accounts, "bob", PASSWORD) == 200


@pytest.mark.parametrize(
    ("language", "says"),
    [("en", "too many passwords are being checked at once"), ("zh", "同时校验的密码过多")],
)
def test_the_form_says_that_it_was_too_busy_and_when_to_try_again(
    busy: FlaskClient, language: str, says: str
) -> None:
    headers = {"Origin": "http://localhost", "Accept-Language": language}
    token = TOKEN.findall(busy.get("/sign-in").text)[0]

    form = {"name": "bob", "password": PASSWORD, "csrf_token": token}
    answer = busy.post("/sign-in", data=form, headers=headers)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert says in answer.text
    assert 'value="bob"' in answer.text
    assert PASSWORD not in answer.text


def test_a_password_of_before_goes_on_and_is_kept_with_todays_figures(
    entry: ApiProcess, database: Schema
) -> None:
    old = PasswordHasher(parallelism=4).hash(PASSWORD)
    database.execute(f"UPDATE fun_ai_api_account SET password_hash = '{old}' WHERE name = 'bob'")
    accounts = entry.accounts()

    with pytest.raises(SignInRequiredError):
        accounts.sign_in("bob", "wrong", ADDRESS)
    first = accounts.sign_in("bob", PASSWORD, ADDRESS)
    kept = database.rows("SELECT password_hash AS h FROM fun_ai_api_account WHERE name = 'bob'")

    assert first.name == "bob"
    assert ",p=1$" in kept[0]["h"]
    assert accounts.sign_in("bob", PASSWORD, ADDRESS) == first


def test_a_password_of_the_most_characters_goes_on_after_it_was_kept_anew(
    entry: ApiProcess, database: Schema
) -> None:
    longest = "x" * model.MAX_PASSWORD
    old = PasswordHasher(parallelism=4).hash(longest)
    database.execute(f"UPDATE fun_ai_api_account SET password_hash = '{old}' WHERE name = 'bob'")
    accounts = entry.accounts()

    found = [accounts.sign_in("bob", longest + tail, ADDRESS).name for tail in ("more", "", "more")]

    assert found == ["bob"] * 3
