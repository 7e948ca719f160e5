"""A real image registry on loopback, and images in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import bcrypt
import requests

from tests.integration.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = shutil.which("docker-registry")
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_START_SECONDS = 20


@dataclass
class RegistryServer:
    """docker-registry with deletes switched on or off, open or for one account."""

    folder: Path
    deletes: bool = True
    #: Name and password; None lets everybody in.
    account: tuple[str, str] | None = None
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running registry."""
        assert self._process is not None, "the registry does not run"
        return self._process

    @property
    def host(self) -> str:
        """Host and port, as they stand in an image's name."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> RegistryServer:
        """Start, and wait until it answers."""
        self.port = self.port or free_port()
        config = self.folder / "registry.json"
        settings: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": self.deletes},
            },
            "http": {"addr": self.host},
        }
        if self.account:
            path = self._accounts_file(*self.account)
            settings["auth"] = {"htpasswd": {"realm": "test", "path": str(path)}}
        config.write_text(json.dumps(settings))
        self._process = subprocess.Popen(
            [PROGRAM or "docker-registry", "serve", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline, pause = time.monotonic() + _START_SECONDS, threading.Event()
        while not self._answers():
            assert time.monotonic() < deadline, "the registry did not start"
            pause.wait(0.05)
        return self

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def push(self, repository: str, tag: str, content: str) -> str:
        """Push an image whose one layer is the content; return its digest."""
        blobs = [json.dumps({"content": content}).encode(), content.encode()]
        config, layer = (self._blob(repository, blob) for blob in blobs)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {**config, "mediaType": "application/vnd.oci.image.config.v1+json"},
            "layers": [{**layer, "mediaType": "application/vnd.oci.image.layer.v1.tar"}],
        }
        answer = requests.put(
            f"http://{self.host}/v2/{repository}/manifests/{tag}",
            data=json.dumps(manifest),
            headers={"Content-Type": _MANIFEST},
            timeout=10,
        )
        assert answer.status_code == 201, answer.text
        return str(answer.headers["Docker-Content-Digest"])

    def has(self, repository: str, reference: str) -> bool:
        """Tell whether the registry has a tag or a digest."""
        url = f"http://{self.host}/v2/{repository}/manifests/{reference}"
        return requests.head(url, headers={"Accept": _MANIFEST}, timeout=10).ok

    def _blob(self, repository: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        start = requests.post(f"http://{self.host}/v2/{repository}/blobs/uploads/", timeout=10)
        place = start.headers["Location"]
        joint = "&" if "?" in place else "?"
        done = requests.put(f"{place}{joint}digest={digest}", data=content, timeout=10)
        assert done.status_code == 201, done.text
        return {"digest": digest, "size": len(content)}

    def _accounts_file(self, user: str, password: str) -> Path:
        digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        path = self.folder / "htpasswd"
        path.write_text(f"{user}:{digest}\n")
        return path

    def _answers(self) -> bool:
        expected = 401 if self.account else 200
        try:
            return requests.get(f"http://{self.host}/v2/", timeout=2).status_code == expected
        except requests.RequestException:
            return False
