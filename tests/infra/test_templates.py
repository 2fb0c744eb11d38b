"""The two templates are the same, and Azure's own models know every field of them."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
from typing import Any

import pytest
from azure.mgmt.appcontainers import models
from azure.mgmt.appcontainers._configuration import ContainerAppsAPIClientConfiguration

from aca_mcp.settings import Settings, variable_name
from tests.infra import bicep
from tests.infra.arm import DEPLOYMENT, INFRA, Deployment, inner, of_group, properties_of, template
from tests.infra.sdk_models import complaints

MODELS = {
    "Microsoft.App/sessionPools": models.SessionPool,
    "Microsoft.App/managedEnvironments": models.ManagedEnvironment,
    "Microsoft.App/containerApps": models.ContainerApp,
}
EXECUTOR = "0fb8eba5-a2bb-4abe-b1c1-49dfad359bb0"


def deployment() -> Deployment:
    return Deployment(
        parameters={
            "name": "demo",
            "location": "westeurope",
            "tags": {"azd-env-name": "demo"},
            "entraClientId": "11111111-2222-3333-4444-555555555555",
            "secret": "s" * 64,
            "image": "ghcr.io/aca-mcp/aca-mcp:0.1.0",
            "maxConcurrentSessions": 100,
            "cooldownSeconds": 300,
        },
        variables=of_group()["variables"],
        made={
            "Microsoft.App/managedEnvironments": {"defaultDomain": "happy.westeurope.test"},
            "Microsoft.App/sessionPools": {"poolManagementEndpoint": "https://pool.test/pool"},
            "Microsoft.ManagedIdentity/userAssignedIdentities": {
                "clientId": "99999999-2222-3333-4444-555555555555",
                "principalId": "88888888-2222-3333-4444-555555555555",
            },
        },
        known={
            "environment": {"authentication": {"loginEndpoint": "https://login.test/"}},
            "subscription": {"tenantId": "77777777-2222-3333-4444-555555555555"},
        },
    )


def resources() -> dict[str, dict[str, Any]]:
    """Every resource of the group, evaluated, by its type."""
    return {each["type"]: each for each in deployment().value(of_group()["resources"])}


def server_of(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return properties_of(found["Microsoft.App/containerApps"])


@pytest.mark.parametrize("file", ["main.bicep", "resources.bicep"])
def test_bicep_and_arm_have_the_same_resources(file: str) -> None:
    source = bicep.parsed(file)
    compiled = template() if file == "main.bicep" else of_group()
    declared = source["resources"] | source.get("modules", {})
    symbols = frozenset(declared)
    own = compiled.get("variables", {})
    values = {name: each["value"] for name, each in source["variables"].items()}
    inlined = {name: value for name, value in values.items() if name not in own}

    def ours(value: Any) -> Any:
        return bicep.from_bicep(value, symbols, inlined)

    arm = [each for each in compiled["resources"] if each["type"] != DEPLOYMENT]
    wanted = [
        {
            "type": each["type"],
            "apiVersion": each["api_version"],
            **{name: ours(value) for name, value in each["config"].items()},
        }
        for each in source["resources"].values()
    ]
    given = [bicep.from_arm({k: v for k, v in each.items() if k != "dependsOn"}) for each in arm]
    assert [each["type"] for each in wanted] == [each["type"] for each in given]
    assert bicep.differences(wanted, given) == []
    assert (
        bicep.differences(
            {name: ours(value) for name, value in values.items() if name in own},
            bicep.from_arm(own),
        )
        == []
    )
    outputs = {name: ours(each["value"]) for name, each in source["outputs"].items()}
    told = {name: bicep.from_arm(each["value"]) for name, each in compiled["outputs"].items()}
    assert bicep.differences(outputs, told) == []


@pytest.mark.parametrize("file", ["main.bicep", "resources.bicep"])
def test_bicep_and_arm_have_the_same_parameters(file: str) -> None:
    compiled = template() if file == "main.bicep" else of_group()
    camel = {"min_length": "minLength", "max_length": "maxLength"}
    camel |= {"min_value": "minValue", "max_value": "maxValue"}
    for name, each in bicep.parsed(file)["parameters"].items():
        there = dict(compiled["parameters"].pop(name))
        told = {one["type"]: one.get("argument") for one in each["decorators"]}
        secure = "secure" if "secure" in told else ""
        assert there.pop("type") == secure + each["type"]
        assert there.pop("metadata", {}).get("description") == told.get("description")
        default = there.pop("defaultValue", None)
        if "(" not in str(default):
            assert default == each["default"]
        assert there == {camel[key]: told[key] for key in told if key in camel}
    assert compiled["parameters"] == {}


def test_the_module_is_given_every_parameter() -> None:
    (module,) = bicep.parsed("main.bicep")["modules"].values()
    deployed = properties_of(inner())
    given = deployed["parameters"]
    assert set(given) == set(of_group()["parameters"]) == set(module["config"]["params"])
    for name, each in given.items():
        assert bicep.from_arm(each["value"]) == module["config"]["params"][name]
    assert deployed["expressionEvaluationOptions"] == {"scope": "inner"}


def test_what_depends_on_something_says_so() -> None:
    for resource in of_group()["resources"]:
        used = set(re.findall(r"resourceId\('(\S+?)'", json.dumps(resource)))
        used -= {"Microsoft.Authorization/roleDefinitions", resource["type"]}
        told = {re.findall(r"'(\S+?)'", each)[0] for each in resource.get("dependsOn", [])}
        assert told == used, resource["type"]


def test_the_control_plane_knows_every_field() -> None:
    version = inspect.getsource(ContainerAppsAPIClientConfiguration)
    for kind, resource in resources().items():
        if kind not in MODELS:
            continue
        assert f'"{resource["apiVersion"]}"' in version
        said = {k: v for k, v in resource.items() if k not in ("type", "apiVersion", "dependsOn")}
        # `type` and `name` are read-only there: they are in the address.
        assert list(complaints(said, MODELS[kind])) == []
    wrong: dict[str, Any] = {"properties": {"containerType": "PythonSTS", "scale": {}}}
    assert len(list(complaints(wrong, models.SessionPool))) == 2


def test_sessions_reach_no_network_and_the_server_has_its_role_on_the_pool_alone() -> None:
    found = resources()
    pool = properties_of(found["Microsoft.App/sessionPools"])
    assert pool["containerType"] == "PythonLTS"
    assert pool["sessionNetworkConfiguration"] == {"status": "EgressDisabled"}
    role = found["Microsoft.Authorization/roleAssignments"]
    assert role["scope"] == "/providers/Microsoft.App/sessionPools/pool-demo"
    assert properties_of(role)["roleDefinitionId"].endswith(EXECUTOR)
    identity = found["Microsoft.App/containerApps"]["identity"]
    assert list(identity["userAssignedIdentities"]) == [
        "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-demo"
    ]
    assert [each["type"] for each in of_group()["resources"]].count(role["type"]) == 1


def test_the_server_is_probed_and_never_without_a_replica() -> None:
    container = server_of(resources())["template"]
    assert container["scale"]["minReplicas"] >= 1
    probes = {each["type"]: each["httpGet"] for each in container["containers"][0]["probes"]}
    assert probes == {
        "Startup": {"path": "/healthz", "port": 8000},
        "Liveness": {"path": "/healthz", "port": 8000},
        "Readiness": {"path": "/readyz", "port": 8000},
    }


def test_its_settings_are_ours_and_its_secret_stands_in_no_value() -> None:
    server = server_of(resources())
    (container,) = server["template"]["containers"]
    names = {each["name"] for each in container["env"]}
    assert names <= {variable_name(field) for field in Settings.model_fields}
    secrets = {each["name"] for each in server["configuration"]["secrets"]}
    assert {each["secretRef"] for each in container["env"] if "secretRef" in each} == secrets
    assert "s" * 64 not in json.dumps(container)
    for where in (template(), of_group()):
        assert where["parameters"]["secret"]["type"] == "securestring"
        assert "secret" not in json.dumps(where["outputs"]).lower()


def test_clients_are_given_their_entry() -> None:
    told = deployment().value(of_group()["outputs"]["clientConfiguration"]["value"])
    url = "https://demo.happy.westeurope.test/mcp"
    assert told == {"mcpServers": {"python": {"type": "http", "url": url}}}


def test_what_azd_sets_are_parameters() -> None:
    given = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    parameters = template()["parameters"]
    assert set(given) <= set(parameters)
    assert {name for name in parameters if "defaultValue" not in parameters[name]} <= set(given)


@pytest.mark.parametrize("script", ["prepare.sh", "entra.sh"])
def test_the_scripts_can_be_read(script: str) -> None:
    subprocess.run(["sh", "-n", INFRA / script], check=True, timeout=30)
