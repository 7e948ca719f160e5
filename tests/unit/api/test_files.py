"""Files that are the same for everybody."""

from __future__ import annotations

from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import create_engine

from funai.api.access import SESSION_KEY
from funai.api.app import create_app
from funai.api.config import DeploySettings, Keys, Settings
from funai.deploy.config import DatabaseSettings

NOWHERE = "127.0.0.1"


def test_a_file_is_served_without_a_look_at_who_asks() -> None:
    secret = "of-this-test-alone"
    settings = Settings(
        database=DatabaseSettings(NOWHERE, "db", "user", secret, port=1),
        deploy=DeploySettings(f"http://{NOWHERE}:1", secret, secret),
        keys=Keys(secret, MultiFernet([Fernet(Fernet.generate_key())]), secret),
    )
    engine = create_engine(f"mysql+pymysql://user@{NOWHERE}:1/db")
    client = create_app(settings, engine).test_client()
    with client.session_transaction() as session:
        session[SESSION_KEY] = "of somebody"

    with client.get("/static/console.css") as file:
        assert file.status_code == 200
    with client.get("/console/queue") as page:
        assert page.status_code == 503
