"""Every module says what it does, and what it says is what it takes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

MODULES = sorted(path.stem for path in Path("library").glob("[!_]*.py"))
each_module = pytest.mark.parametrize("name", MODULES)


class SpecTakenError(Exception):
    """Carries the arguments with which ``main`` made its AnsibleModule."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments


def documentation(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load(importlib.import_module(name).DOCUMENTATION))


@each_module
def test_options_are_documented_as_they_are_taken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**arguments: Any) -> None:
        raise SpecTakenError(**arguments)

    module = importlib.import_module(name)
    monkeypatch.setattr(module, "AnsibleModule", refuse)

    with pytest.raises(SpecTakenError) as taken:
        module.main()

    assert taken.value.arguments["supports_check_mode"] is True
    spec = taken.value.arguments["argument_spec"]
    options = documentation(name)["options"]
    assert set(options) == set(spec)
    for option, taken in spec.items():
        said = options[option]
        assert said.get("type", "str") == taken.get("type", "str"), option
        assert said.get("required", False) == taken.get("required", False), option
        assert said.get("default") == taken.get("default"), option
        assert said.get("choices") == taken.get("choices"), option


@each_module
def test_module_says_how_it_behaves_in_check_and_diff_mode(name: str) -> None:
    attributes = documentation(name)["attributes"]

    assert {"check_mode", "diff_mode", "idempotent"} <= set(attributes)
    assert all(attribute["support"] for attribute in attributes.values())


@each_module
def test_examples_use_the_module_with_options_it_has(name: str) -> None:
    tasks = yaml.safe_load(importlib.import_module(name).EXAMPLES)
    options = documentation(name)["options"]
    required = {option for option, said in options.items() if said.get("required")}

    for task in tasks:
        assert required <= set(task[name]) <= set(options), task["name"]


@each_module
def test_returned_values_have_samples(name: str) -> None:
    returned = yaml.safe_load(importlib.import_module(name).RETURN)

    assert all("sample" in value and value["returned"] for value in returned.values())
