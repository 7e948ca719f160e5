"""What git and ssh say, in words for the person who pressed deploy. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from funai.runner.command import TIMED_OUT
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from funai.runner.command import Finished

TOO_LARGE = "size"
REF_NOT_FOUND = "REF_NOT_FOUND"
EVIDENCE_LINES = 12

_ANY_URL = re.compile(r"\b[a-z][a-z0-9+]*://[^\s'\"]*", re.IGNORECASE)
#: What is printed (git and ssh in the C locale) -> reason and sentence; the first match counts.
_MEANINGS = (
    (
        r"remote host identification has changed|host key for .* has changed",
        "HOST_KEY_CHANGED",
        (
            "{host} shows another host key than the one this runner knows, so nothing was fetched. If the"
            " server was reinstalled, have the operators update the runner's known hosts."
        ),
    ),
    (
        r"host key verification failed",
        "HOST_KEY_UNKNOWN",
        (
            "This runner does not know the host key of {host}, so nothing was fetched. Have the operators"
            " add it to the runner's known hosts, or use the https address."
        ),
    ),
    (
        (
            r"permission denied|authentication failed|could not read (?:username|password)"
            r"|invalid credentials|returned error: 40[13]|no user exists"
        ),
        "SOURCE_DENIED",
        (
            "{host} does not let this runner read {url}. Give the runner's deploy key or account access"
            " to the repository."
        ),
    ),
    (
        (
            r"couldn't find remote ref|not our ref|remote branch .* not found|unadvertised object"
            r"|bad revision|unknown revision|needed a single revision|ambiguous"
        ),
        REF_NOT_FOUND,
        (
            "{url} has no {ref}. Push it, or correct `commit`: a branch, a tag, a full SHA or the"
            " unambiguous beginning of one."
        ),
    ),
    (
        (
            r"repository .*not found|not found: did you run|does not appear to be a git repository"
            r"|project you were looking for could not be found|returned error: 404"
        ),
        "SOURCE_NOT_FOUND",
        (
            "{host} has no repository {url}, or hides it from this runner. Correct the address, or give"
            " the runner's account access."
        ),
    ),
    (
        r"returned error: 30\d|unable to update url base from redirection",
        "SOURCE_MOVED",
        "{url} has moved: {host} answers with a redirect, which is not followed. Use the new address.",
    ),
    (
        r"certificate|ssl (?:connect|routines)|gnutls_handshake|tls ",
        "SOURCE_UNREACHABLE",
        (
            "The certificate of {host} is not one that this runner trusts. Have the operators add its CA"
            " to the runner, or renew the certificate."
        ),
    ),
    (
        r"no space left on device",
        "RUNNER_DISK_FULL",
        "The runner's disk is full. Have the operators free space there, then deploy again.",
    ),
    (
        (
            r"could not resolve|failed to connect|couldn't connect|connection (?:refused|timed out|reset"
            r"|closed)|timed? ?out|unreachable|no route to host|kex_exchange|too slow|empty reply"
            r"|unexpected disconnect|early eof|hung up|returned error: 5\d\d|rpc failed|unable to access"
        ),
        "SOURCE_UNREACHABLE",
        (
            "{url} could not be fetched: {host} did not answer as a git server. Look after that server or"
            " the address, then deploy again."
        ),
    ),
)


def explain(finished: Finished, *, url: str, ref: str, host: str, seconds: float) -> StepError:
    """Turn a fetch that failed into a reason and a sentence."""
    evidence = "\n".join(finished.tail.splitlines()[-EVIDENCE_LINES:])
    names = {"url": url, "ref": ref, "host": host}
    if finished.stopped == TIMED_OUT:
        sentence = (
            f"{url} was not fetched within {seconds:.0f} s. Deploy again; if it stays slow, make the"
            " repository smaller or look after the git server."
        )
        return StepError(reason="FETCH_TIMEOUT", sentence=sentence, evidence=evidence)
    said = _without_address(finished.tail, url, host)
    for pattern, reason, sentence in _MEANINGS:
        if re.search(pattern, said, re.IGNORECASE):
            return StepError(reason, sentence.format(**names), evidence)
    sentence = f"{url} could not be fetched. What git said follows."
    return StepError(reason="FETCH_FAILED", sentence=sentence, evidence=evidence)


def _without_address(text: str, url: str, host: str) -> str:
    """Take out what users have named themselves: a repository may be called ``certificate-app``."""
    text = _ANY_URL.sub("", text)
    where = url.partition("://")[2] or url.replace(":", "/", 1)
    path = where.partition("/")[2].strip("/")
    for whole in (url, where, f"{host}/{path}", f"/{path}", path, host):
        name = whole.rstrip("/").removesuffix(".git")
        if "/" in name or "." in name:
            text = re.sub(
                rf"(?<![\w.-]){re.escape(name)}(?:\.git)?/?(?![\w-])", "", text, flags=re.IGNORECASE
            )
        elif name:  # a plain word may be one of git's own: only where git quotes it
            text = re.sub(rf"'{re.escape(name)}(?:\.git)?/?'", "''", text, flags=re.IGNORECASE)
    return text


def too_large(url: str, mib: int) -> StepError:
    """Return the error for a repository beyond the limit."""
    sentence = (
        f"{url} is larger than {mib} MiB, as much as this runner fetches. Remove large files from the"
        " commit, or deploy an archive (archiveUrl) of what the build needs."
    )
    return StepError(reason="SOURCE_TOO_LARGE", sentence=sentence)
