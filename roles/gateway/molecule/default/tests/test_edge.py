"""What the role promises of the public edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

testinfra_hosts = ["ansible://gateway-edge"]

TLS_DIR = "/etc/haproxy/tls"


@pytest.mark.parametrize("url", ["http://127.0.0.1", "https://127.0.0.1"])
def test_health_answers(host: Host, url: str) -> None:
    answer = host.check_output("curl -sfk %s", f"{url}/internal/health")
    assert '"mode":"edge"' in answer


def test_landing_page_says_where_apps_are(host: Host) -> None:
    assert "/apps/" in host.check_output("curl -sf http://127.0.0.1/")


def test_certificate_names_the_edge(host: Host) -> None:
    names = host.check_output(
        "openssl x509 -in %s -noout -ext subjectAltName -issuer", f"{TLS_DIR}/gateway.crt"
    )
    assert "IP Address:127.0.0.1" in names
    assert "Molecule" in names


def test_certificate_that_was_about_to_end_is_a_new_one(host: Host) -> None:
    # The scenario prepared one with few days left, and ran the role twice.
    seconds = str(300 * 24 * 3600)
    host.check_output("openssl x509 -in %s -noout -checkend %s", f"{TLS_DIR}/gateway.crt", seconds)


def test_certificate_is_the_one_that_haproxy_shows(host: Host) -> None:
    shown = host.check_output(
        "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null"
        " | openssl x509 -noout -fingerprint"
    )
    stored = host.check_output("openssl x509 -in %s -noout -fingerprint", f"{TLS_DIR}/gateway.crt")
    assert shown == stored


def test_key_is_closed_to_others(host: Host) -> None:
    folder = host.file(TLS_DIR)
    assert (folder.user, folder.mode) == ("root", 0o700)
    key = host.file(f"{TLS_DIR}/gateway.crt.key")
    assert (key.user, key.mode) == ("root", 0o600)


def test_old_tls_is_refused(host: Host) -> None:
    assert host.run("curl -sk --tls-max 1.1 https://127.0.0.1/internal/health").rc != 0


def test_preview_that_is_down_is_explained(host: Host) -> None:
    assert "workspace host" in host.check_output("curl -s http://127.0.0.1/ws/1/")


def test_no_banner(host: Host) -> None:
    assert "server:" not in host.check_output("curl -sI http://127.0.0.1/").lower()
