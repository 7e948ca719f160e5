"""What an image's tag says about it: ``registry.test/app-3:r17-exit`` is request 17, and exits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

REPOSITORY = "registry.test/chaos"
#: Status and words of an engine whose registry fails, as dockerd passes them on.
REGISTRY_ERRORS: dict[str, tuple[int, str]] = {
    "r500": (500, "received unexpected HTTP status: 500 Internal Server Error"),
    "r429": (500, "toomanyrequests: too many requests"),
    "rhang": (500, "Get https://registry.test/v2/: net/http: request canceled (Client.Timeout)"),
    "rgone": (404, "manifest unknown: manifest unknown"),
    "rdeny": (500, "unauthorized: authentication required"),
}
PULL_ERRORS = {
    "rcut": "unexpected EOF",
    "rwrong": "filesystem layer verification failed for digest",
}
#: Tags with which no deploy can succeed, and how the container behaves where one comes to be.
CONTAINER_FAULTS = ("exit", "mute", "http500")


@dataclass(frozen=True)
class Behaviour:
    """How one image behaves."""

    word: str = "ok"
    registry: str = ""
    registry_seconds: float = 0.0
    pull: str = ""
    pull_seconds: float = 0.0
    create: str = ""

    @property
    def may_succeed(self) -> bool:
        """Whether a deploy of it can reach its end; every other must not."""
        return not (self.registry or self.pull or self.create or self.word in CONTAINER_FAULTS)


def reference(app_id: str, number: int, word: str) -> str:
    """Return the image of one request."""
    return f"{REPOSITORY}/{app_id}:r{number}-{word}"


def number_of(image: str) -> int:
    """Return the request that an image belongs to."""
    tag = image.partition("@")[0].rpartition(":")[2]
    return int(tag.partition("-")[0].removeprefix("r"))


def word_of(image: str) -> str:
    return image.partition("@")[0].rpartition("-")[2]


def of(image: str) -> Behaviour:
    """Return how an image behaves."""
    word = word_of(image)
    return Behaviour(
        word=word,
        registry=word if word in REGISTRY_ERRORS else "",
        registry_seconds=1.5 if word == "rhang" else 0.0,
        pull=word if word in PULL_ERRORS else "",
        pull_seconds=1.5 if word == "pullslow" else 0.0,
        create="full" if word == "full" else "",
    )


#: The digest's last digits name the behaviour, since a pull by digest has no tag.
_WORDS = (
    "ok", "slow", "pullslow", "dies", "exit", "mute", "http500", "poison", "full",
    *REGISTRY_ERRORS, *PULL_ERRORS,
)  # fmt: skip


def digest(image: str) -> str:
    """Return the digest that the registry has for a tag."""
    hashed = hashlib.sha256(image.encode()).hexdigest()[:62]
    return f"sha256:{hashed}{_WORDS.index(word_of(image)):02x}"


def of_digest(text: str) -> Behaviour:
    return of(f"x:r0-{_WORDS[int(text[-2:], 16)]}")
