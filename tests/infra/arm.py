"""ARM templates, evaluated as Azure Resource Manager would: as much as this project's uses.

https://learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

INFRA = Path(__file__).parents[2] / "infra"
DEPLOYMENT = "Microsoft.Resources/deployments"
_TOKEN = re.compile(r"\s*(?:'(?:[^']|'')*'|\d+|\w+|[(),.])")


def template() -> dict[str, Any]:
    """The one of the whole subscription."""
    return json.loads((INFRA / "azuredeploy.json").read_text(encoding="utf-8"))


def of_group() -> dict[str, Any]:
    """The one of the resource group, which that has within."""
    return inner()["properties"]["template"]


def inner() -> dict[str, Any]:
    """The deployment of the resource group's resources."""
    (found,) = (each for each in template()["resources"] if each["type"] == DEPLOYMENT)
    return found


def properties_of(resource: dict[str, Any]) -> dict[str, Any]:
    return resource.get("properties", {})


@dataclass
class Deployment:
    """What an expression's value depends on."""

    parameters: dict[str, Any]
    variables: dict[str, Any]
    made: dict[str, dict[str, Any]]
    """What Azure tells of each resource, by its type."""
    known: dict[str, Any] = field(default_factory=dict[str, Any])
    """The values of functions without arguments."""

    def value(self, given: Any) -> Any:
        """A value of the template, with its expressions evaluated."""
        if isinstance(given, dict):
            named = cast("dict[str, Any]", given)
            return {self.value(name): self.value(each) for name, each in named.items()}
        if isinstance(given, list):
            return [self.value(each) for each in cast("list[Any]", given)]
        if isinstance(given, str) and given.startswith("[") and not given.startswith("[["):
            return _Expression(given[1:-1], self).value()
        return given

    def call(self, name: str, arguments: list[Any]) -> Any:
        """A function of the language."""
        match name, arguments:
            case "parameters", [wanted]:
                return self.parameters[wanted]
            case "variables", [wanted]:
                return self.value(self.variables[wanted])
            case "reference", [identifier, _]:
                return self.made[identifier.removeprefix("/providers/").rpartition("/")[0]]
            case _, []:
                return self.known[name]
            case _:
                return _FUNCTIONS[name](*arguments)


def _format(pattern: str, *values: object) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: str(values[int(found[1])]), pattern)


def _resource_id(kind: str, *names: str) -> str:
    return "/".join(["", "providers", kind, *names])


def _guid(*names: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "-".join(names)))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "format": _format,
    "string": str,
    "json": json.loads,
    "resourceId": _resource_id,
    "subscriptionResourceId": _resource_id,
    "guid": _guid,
}


class _Expression:
    """One expression, read from left to right."""

    def __init__(self, text: str, deployment: Deployment) -> None:
        self._tokens: list[str] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            assert found is not None, text[at:]
            self._tokens.append(found[0].strip())
            at = found.end()
        self._deployment = deployment

    def value(self) -> Any:
        found = self._term()
        assert not self._tokens, "there is more than one expression"
        return found

    def _term(self) -> Any:
        token = self._tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token.isdigit():
            return int(token)
        assert self._tokens.pop(0) == "("
        arguments: list[Any] = []
        while self._tokens[0] != ")":
            arguments.append(self._term())
            if self._tokens[0] == ",":
                self._tokens.pop(0)
        self._tokens.pop(0)
        found = self._deployment.call(token, arguments)
        while self._tokens[:1] == ["."]:
            self._tokens.pop(0)
            found = found[self._tokens.pop(0)]
        return found
