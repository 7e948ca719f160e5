"""Seals what must not lie in the clear in the database, and opens it again."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from funai.deploy.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PURPOSE = b"funai-deploy app settings"
_KEY_BYTES = 32


class KeyMissingError(DeployError):
    """Nothing in ``DEPLOY_SETTINGS_KEYS`` opens what is stored."""


class Keyring:
    """The keys of settings. The first one seals, each of them opens.

    :param secrets: what the keys are made of, newest first
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = [Fernet(_key_of(secret)) for secret in secrets]
        self._newest = keys[0]
        self._all = MultiFernet(keys)

    def seal(self, content: bytes) -> bytes:
        """Return what may be stored of the content."""
        return self._all.encrypt(content)

    def open(self, sealed: bytes, whose: str) -> bytes:
        """Return the content.

        :param whose: what it belongs to, for the error text
        :raises KeyMissingError: where no key opens it, or it was tampered with
        """
        try:
            return self._all.decrypt(sealed)
        except InvalidToken as exc:
            msg = (
                f"the environment of {whose} cannot be decrypted: none of the keys in"
                " DEPLOY_SETTINGS_KEYS opens it; add the key that it was stored with to their end"
            )
            raise KeyMissingError(msg) from exc

    def is_newest(self, sealed: bytes) -> bool:
        """Tell whether the newest key sealed it."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True


def _key_of(secret: str) -> bytes:
    """Return the key that a secret stands for: operators make secrets of any form and length."""
    derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE)
    return base64.urlsafe_b64encode(derived.derive(secret.encode()))
