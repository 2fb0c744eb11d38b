"""Requests of published clients that cannot run here, replayed as those clients send them.

Semantic Kernel for .NET: its plugin ``SessionsPythonPlugin`` of October 2024 and later, and of June
2024. Samples: those of Azure-Samples/container-apps-dynamic-sessions-samples, and the Azure CLI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.emulator.caller import LEGACY

if TYPE_CHECKING:
    from tests.emulator.caller import Caller

DOTNET = "2024-10-02-preview"
BOUNDARY = "4f0b6c8e-9f4a-4b8e-a8a8-1f2d3c4b5a69"
CSV = "shop,cups\nHarbour,310\n"


def dotnet_form(name: str, content: str) -> dict[str, Any]:
    """As ``MultipartFormDataContent`` writes it: names without quotes, a second one encoded."""
    body = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=file; filename={name}; "
        f"filename*=utf-8''{name}\r\n\r\n{content}\r\n--{BOUNDARY}--\r\n"
    )
    headers = {"Content-Type": f'multipart/form-data; boundary="{BOUNDARY}"'}
    return {"content": body.encode(), "headers": headers}


async def test_semantic_kernel_for_net(call: Caller) -> None:
    body = {
        "codeInputType": "inline",
        "executionType": "synchronous",
        "timeoutInSeconds": 100,
        "code": "print('a'); 1 + 1",
    }
    headers = {"Content-Type": "application/json; charset=utf-8"}
    done = (await call("POST", "executions", DOTNET, json=body, headers=headers)).json()
    assert done["status"] == "Succeeded"
    result = done["result"]
    assert (result["executionResult"], result["stdout"], result["stderr"]) == (2, "a\n", "")
    up = (await call("POST", "files", DOTNET, **dotnet_form("cups.csv", CSV))).json()
    assert (up["name"], up["sizeInBytes"], up["type"]) == ("cups.csv", len(CSV), "file")
    (listed,) = (await call("GET", "files", DOTNET)).json()["value"]
    assert listed["name"] == "cups.csv"
    assert (await call("GET", "files/cups.csv/content", DOTNET)).text == CSV
    failed = await call("POST", "executions", DOTNET, json={**body, "code": "1/0"})
    assert (failed.status_code, failed.json()["status"]) == (200, "Failed")


async def test_semantic_kernel_for_net_as_it_was(call: Caller) -> None:
    properties = {
        "identifier": call.identifier,
        "codeInputType": "inline",
        "executionType": "synchronous",
        "timeoutInSeconds": 100,
        "pythonCode": "print('a'); 1 + 1",
    }
    # The identifier is in the body alone.
    done = await call.http.post(
        "python/execute?api-version=2024-02-02-preview", json={"properties": properties}
    )
    told = done.json()
    assert (told["status"], told["result"], told["stdout"], told["stderr"]) == (
        "Success",
        2,
        "a\n",
        "",
    )
    up = await call("POST", "files/upload", LEGACY, **dotnet_form("cups.csv", CSV))
    assert up.json()["value"][0]["properties"]["filename"] == "cups.csv"
    # With a slash too many before the route.
    (listed,) = (await call("GET", "/files", LEGACY)).json()["value"]
    assert listed["properties"]["filename"] == "cups.csv"


async def test_the_autogen_sample_names_no_version_and_no_identifier_in_its_query(
    call: Caller,
) -> None:
    properties = {
        "identifier": call.identifier,
        "codeInputType": "inline",
        "executionType": "synchronous",
        "pythonCode": "print('a'); x = 7",
        "timeoutInSeconds": 100,
    }
    told = (await call.http.post("python/execute", json={"properties": properties})).json()
    assert (told["stdout"], told["stderr"], told["result"]) == ("a\n", "", "")
    assert "error" not in told
    properties["pythonCode"] = "x"
    told = (await call.http.post("python/execute", json={"properties": properties})).json()
    assert told["result"] == 7


async def test_the_samples_of_the_newer_versions(call: Caller) -> None:
    code = {
        "identifier": call.identifier,
        "codeInputType": "inline",
        "executionType": "Synchronous",
        "code": 'print("inline-synchronous")',
        "timeoutInSeconds": 100,
    }
    done = (await call("POST", "executions", DOTNET, json=code)).json()
    assert (done["status"], done["result"]["stdout"]) == ("Succeeded", "inline-synchronous\n")
    code["executionType"] = "Asynchronous"
    begun = await call("POST", "executions", DOTNET, json=code)
    assert begun.headers["operation-id"] == begun.json()["id"]
    located = begun.headers["operation-location"]
    ended = (await call.http.get(located)).json()
    while ended["status"] == "Running":
        await anyio.sleep(0.02)
        ended = (await call.http.get(located)).json()
    assert ended["status"] == "Succeeded"
    params = {"path": "/mnt/data"}
    files = {"file": ("README.md", b"# Hello")}
    up = (await call("POST", "files", DOTNET, params=params, files=files)).json()
    assert (up["name"], up["sizeInBytes"]) == ("README.md", 7)
    assert (await call("GET", "files/README.md", DOTNET)).json()["name"] == "README.md"
    assert (await call("GET", "files/README.md/content", DOTNET)).content == b"# Hello"
    assert (await call("DELETE", "files/README.md", DOTNET)).status_code == 204


@pytest.mark.parametrize("version", [LEGACY, "2024-08-02-preview"])
async def test_the_samples_of_the_older_versions(call: Caller, version: str) -> None:
    properties = {
        "identifier": call.identifier,
        "codeInputType": "inline",
        "executionType": "Synchronous",
        "code": 'print("Done")',
        "timeoutInSeconds": 100,
    }
    done = (await call("POST", "code/execute", version, json={"properties": properties})).json()
    assert done["properties"]["status"] == "Success"
    assert done["properties"]["stdout"] == "Done\n"
    up = await call("POST", "files/upload", version, files={"file": ("README.md", b"# Hello")})
    assert up.json()["value"][0]["properties"]["size"] == 7
    assert (await call("GET", "files/content/README.md", version)).content == b"# Hello"
