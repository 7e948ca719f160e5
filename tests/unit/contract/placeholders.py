"""What stands in examples in the place of a secret, each long enough to pass for one."""

from __future__ import annotations

PLACEHOLDERS = (
    "CHANGE_ME_0123456789",
    "change_me_0123456789",
    "CHANGEME_0123456789",
    "CHANGE-ME-0123456789",
    "REPLACE_ME_0123456789",
    "<a random value of yours>",
)
