"""Receivers that speak TLS: who has the right certificate gets the delivery, and no other."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from funai.deploy.notifications.receiver import Receiver as Sending
from tests.integration.certificates import self_signed
from tests.integration.deploy.webhook_receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 1.0


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1 that signs itself."""
    return self_signed(tmp_path)


@pytest.fixture
def server_context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What the receiver speaks."""
    key, found = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found, key)
    return context


def test_a_receiver_with_a_trusted_certificate_gets_it(
    certificate: tuple[Path, Path], server_context: ssl.SSLContext
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate[1]))
    with Receiver(tls=server_context) as receiver:
        answer = Sending(receiver.url, trusting, SECONDS * 10).post(
            b"{}", {"X-Funai-Event": "ping"}
        )

    assert (answer.status, answer.error) == (200, None)
    assert receiver.events() == ["ping"]


def test_a_receiver_with_another_certificate_gets_nothing(server_context: ssl.SSLContext) -> None:
    with Receiver(tls=server_context) as receiver:
        sending = Sending(receiver.url, ssl.create_default_context(), SECONDS * 10)
        answer = sending.post(b"{}", {})

    assert answer.status is None
    assert answer.error is not None
    assert "certificate verify failed" in answer.error
    assert receiver.calls == []


def test_a_receiver_without_tls_is_sent_nothing_by_https() -> None:
    with Receiver() as plain:
        url = plain.url.replace("http://", "https://")
        answer = Sending(url, ssl.create_default_context(), SECONDS * 10).post(b"{}", {})

    assert answer.status is None
    assert answer.error is not None
    assert answer.error.startswith("no answer: ")
    assert plain.calls == []


def test_a_handshake_that_hangs_has_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        began = time.monotonic()
        answer = Sending(url, ssl.create_default_context(), SECONDS).post(b"{}", {})

    assert answer.error == "no whole answer within 1 s"
    assert time.monotonic() - began < SECONDS * 10
