"""The steps of a job, one module each; ``playbooks/jobs/action_plugins`` makes them Ansible tasks.

Nothing here imports Ansible but ``action``. A step reads the job from its file: what a user controls
never passes through a template, an argument or a shell.
"""

from __future__ import annotations
