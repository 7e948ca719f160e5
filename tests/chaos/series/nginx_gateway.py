"""The control: a gateway that gets its routes by a new configuration and a reload, as nginx does."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from typing import TYPE_CHECKING

from tests.chaos.ports import service_port
from tests.chaos.processes import Service

if TYPE_CHECKING:
    from pathlib import Path

_MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
worker_processes 2;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    include {folder}/routes.conf;
}}
"""
_ROUTE = """
upstream {app} {{ server {address}; keepalive 16; }}
server {{
    listen 127.0.0.1:{port};
    location /apps/{app}/ {{
        proxy_pass http://{app}/;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $remote_addr;
        add_header X-App-Release {release};
    }}
}}
"""


class NginxGateway:
    """One nginx in front of one app, started with its first route and reloaded with each new one."""

    def __init__(self, folder: Path, app: str) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
        if program is None:
            msg = "the control needs nginx: apt-get install nginx-light"
            raise RuntimeError(msg)
        self.port = service_port()
        self._folder, self._app = folder / "nginx", app
        self._folder.mkdir()
        main = self._folder / "nginx.conf"
        main.write_text(_MAIN.format(folder=self._folder))
        self.service = Service(
            "nginx",
            [program, "-p", str(self._folder), "-c", str(main)],
            {"PATH": os.environ["PATH"]},
            self._folder / "out.log",
            self._listens,
        )

    def switch(self, app: str, route: str) -> None:
        """Do what a gateway with static configuration does for a new route."""
        if app != self._app:
            return
        address, _, release = route.partition("/")
        text = _ROUTE.format(app=app, address=address, port=self.port, release=release or "none")
        new = self._folder / "routes.new"
        new.write_text(text)
        new.replace(self._folder / "routes.conf")
        if self.service.is_alive:
            os.kill(self.service.pid, signal.SIGHUP)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
