"""Sentences of services in the reader's language. Those with names in them are known by their pattern.

What is neither written in a catalogue nor fits a pattern is shown as the service said it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from flask import request

from funai.api.web import field_rules, node_rules
from funai.api.web.language import later, translate

#: The console's own pages send it with their calls, and get sentences in the reader's language; every
#: other caller gets them as the service said them.
OWN_PAGE = "X-Console-Page"
_BETWEEN = "; "

_PATTERNS = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        *field_rules.RULES,
        *node_rules.RULES,
        (
            r"app (?P<app>.*) does not exist, or is not yours",
            later("App %(app)s does not exist, or is not yours."),
        ),
        (
            r"job (?P<job>.*) does not exist, or is not yours",
            later("Job %(job)s does not exist, or is not yours."),
        ),
        (
            r"the app id (?P<app>.*) is taken; choose another",
            later("The app id %(app)s is taken; choose another."),
        ),
        (
            r"too many failed tries to sign in; try again in (?P<n>\d+) minutes",
            later("Too many failed tries to sign in; try again in %(n)s minutes."),
        ),
        (
            r"a token named (?P<name>.*) exists already; choose another name",
            later("A token named %(name)s exists already; choose another name."),
        ),
        (
            r"an account with the name (?P<name>.*) or this id exists already; choose another",
            later("An account with the name %(name)s or this id exists already; choose another."),
        ),
        (
            r"Deploy does not answer \(\w+\); .*",
            later(
                "Deploy does not answer. Nothing was lost, deployed apps go on. Try again in a moment."
            ),
        ),
        (
            r"app (?P<app>\S+) has job (?P<job>\S+), which is \w+; .*",
            later(
                "Job %(job)s of the app has not ended. Wait for its end, cancel it, or let the new one take its place."
            ),
        ),
        (
            r"job (?P<job>\S+) ended \w+ and stays so; create a new job",
            later("Job %(job)s has ended already."),
        ),
        (
            r"app (?P<app>\S+) is not deployed from a git repository; .*",
            later(
                "The app is not deployed from a git repository. Deploy it once from one, then switch this on."
            ),
        ),
        (
            r"the settings of app \S+ are at version \d+, not \d+; .*",
            later(
                "Somebody else changed the settings meanwhile. Reload the page and repeat your change."
            ),
        ),
        (
            r"must have (?P<low>\d+) to (?P<high>\d+) characters, got \d+",
            later("must have %(low)s to %(high)s characters"),
        ),
        (
            r"'.*' must be 1 to 63 letters, digits, _ and -, beginning with a letter or digit",
            later("must be 1 to 63 letters, digits, _ and -, beginning with a letter or digit"),
        ),
        (r"Not Found\. .*", later("No page has this address.")),
    )
)
#: Sentences of services that are the same every time.
FIXED = (
    later("name or password is wrong, or the account is disabled"),
    later("sign in first, or show a token: Authorization: Bearer funai_..."),
    later("this is for operators; your account is a user's"),
    later("the form is too old or was not ours; go back, reload the page and send it again"),
    later("is little more than the account's name; choose another"),
    later("must have 1 to 80 printable characters"),
    later("1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"),
    later("1 to 63 letters, digits, spaces, '.', '_' and '-', beginning with a letter or digit"),
    later("an account has at most 20 tokens; remove one first"),
    later("you cannot disable the account that you are signed in with"),
    later(
        "too many passwords are being checked at once, so yours was not, and nothing was changed;"
        " try again in a few seconds"
    ),
    later("too many people follow a log at present; the page asks again by itself"),
    later("the API entry failed unexpectedly; see the log of funai-api"),
    later("the database refused a statement; see the log of funai-api"),
    later("must be user or operator"),
    later("no account has this name or id; look under Accounts, or make one there first"),
)


def said(text: object) -> str:
    """Return a service's sentence in the reader's language, where it has one."""
    found = str(text)
    translated = translate(found) if found else ""
    if translated != found:
        return translated
    fits = _pattern(found)
    return translate(fits[0]) % fits[1] if fits else found


def said_to_caller(text: str) -> str:
    """Return a sentence for the answer to a call: in the reader's language, where a page of ours asks.

    A sentence on several fields is one for each.
    """
    if OWN_PAGE not in request.headers:
        return text
    whole = said(text)
    parts = str(text).split(_BETWEEN)
    each = [said(part) for part in parts]
    return whole if whole != text or each == parts else translate("; ").join(each)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> tuple[str, dict[str, str]] | None:
    """Return the msgid of a sentence and what stands in it; lists ask for one many times."""
    for pattern, msgid in _PATTERNS:
        match = pattern.fullmatch(text)
        if match:
            return msgid, match.groupdict()
    return None
