"""A module of whose options the host's journal learns nothing.

This file is shipped to the host a module runs on, so it imports nothing but the
standard library and ``ansible.module_utils``.
"""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule


class QuietModule(AnsibleModule):
    """Writes no line to the journal, where others write what each option was.

    For modules with options that hold secrets among other things. ``no_log`` of such an option would
    also take its values, which may be as short as ``1``, out of all that the module returns.
    """

    def log(self, msg: str, log_args: object = None) -> None:
        """Write nothing."""
