"""Proves the harness: with each deliberate defect a short run must end with something caught."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.chaos import results, table
from tests.chaos.defects import DEFECTS, Defect
from tests.chaos.run import Options, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.chaos.run import Outcome

_STALE = 40
_LIMIT_SECONDS = 120.0
_NO_RUN = "did not run"
_CONTROL = "none: the services as they are"


class DoesNotApplyError(Exception):
    """The text that a defect replaces is not there, or not just once."""


def copy_with(defect: Defect, target: Path, source: Path) -> Path:
    """Copy the services and put the defect in.

    :raises DoesNotApplyError: naming file and text
    """
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name, text, instead in defect.changes:
        path = target / "funai" / name
        content = path.read_text()
        if content.count(text) != 1:
            msg = f"{defect.name!r}: {name} has {content.count(text)} times: {text!r}"
            raise DoesNotApplyError(msg)
        path.write_text(content.replace(text, instead))
    return target


def caught_by(outcome: Outcome) -> list[str]:
    """Return which checks found something, most important first."""
    found = sorted({violation.invariant for violation in outcome.violations}, key=_number)
    found += [
        f"stale {one.what.split(' ', 1)[0]}"
        for one in outcome.stale
        if one.refused != one.sent or one.changed
    ]
    return found + (["came to no rest"] if outcome.incomplete else [])


def main(seed: int, say: Callable[[str], None], services: Path, names: Sequence[str] = ()) -> int:
    """Run every defect, and one run without any as the control; return the exit code.

    :param names: only defects whose name has one of these words
    """
    defects = [Defect(_CONTROL, (), tuple(all_faults()), 120), *DEFECTS]
    rows: list[dict[str, str | bool]] = []
    is_proved = True
    for defect in defects:
        if names and not any(name in defect.name for name in names):
            continue
        found, injected = _try(defect, seed, services)
        is_control = defect.name == _CONTROL
        is_right = bool(found) is not is_control and not any(_NO_RUN in word for word in found)
        is_proved = is_proved and is_right
        words = ", ".join(found) or "nothing"
        rows.append({"defect": defect.name, "caughtBy": words, "asExpected": is_right})
        results.write({"tier": "mutants", "seed": seed, "mutants": _merged(rows)})
        say(f"{'ok' if is_right else 'WRONG'}: {defect.name}: caught by {words}; {injected} faults")
    for line in table.grid(
        ("defect", "caught by", "as expected"),
        [(str(r["defect"]), str(r["caughtBy"]), "yes" if r["asExpected"] else "NO") for r in rows],
    ):
        say(line)
    return 0 if is_proved else 1


def _merged(rows: list[dict[str, str | bool]]) -> list[dict[str, Any]]:
    """Put the rows in place of those that an earlier run wrote of the same defects."""
    known = {row["defect"]: row for row in table.read_proof(results.FOLDER)}
    known |= {row["defect"]: row for row in rows}
    order = [_CONTROL, *(defect.name for defect in DEFECTS)]
    return [known[name] for name in order if name in known]


def all_faults() -> list[str]:
    """Return the kinds of fault that defects are tried with."""
    return sorted({code for defect in DEFECTS for code in defect.faults})


def _try(defect: Defect, seed: int, services: Path) -> tuple[list[str], int]:
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        options = Options(
            seed=seed,
            jobs=defect.jobs,
            apps=12,
            clients=12,
            stale=_STALE,
            services=copy_with(defect, folder / "services", services),
            # A runner with Ansible loads what is installed, not the copy.
            real_runners=0,
            only=frozenset(defect.faults or ("F19",)),
            more_faults=4.0,
            limit_seconds=_LIMIT_SECONDS,
        )
        outcome = run(folder, options, lambda _line: None)
        return caught_by(outcome), sum(outcome.injected.values())
    except (RuntimeError, TimeoutError) as exc:
        # Not caught by a check: whatever it was, it proves nothing.
        return [f"{_NO_RUN}: {exc}"], 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _number(invariant: str) -> int:
    return int(invariant[1:])
