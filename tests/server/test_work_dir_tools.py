"""The user's own directory, as a model works with it: over a real client, and a pool of toys."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

import pytest
from mcp.types import PromptReference

from aca_mcp.server.app import ServerOptions
from tests.support.connecting import connected
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a person has."""
    (tmp_path / "data").mkdir()
    for name in ("sales.csv", "data/Größen.csv", "data/notes.txt"):
        (tmp_path / name).write_text("a\n1\n", encoding="utf-8")
    return tmp_path


async def test_a_model_sees_what_the_folder_has(folder: Path) -> None:
    async with connected(ToyPool(), ServerOptions(work_dir=folder)) as call:
        listed = await call("list_work_dir")
        assert [line.split("\t")[0] for line in listed.splitlines()] == ["data/", "sales.csv"]
        assert "data/notes.txt" in await call("list_work_dir", directory="data")
        assert "data/Größen.csv" in await call("list_work_dir", pattern="*.csv")
        assert await call("list_work_dir", pattern="*.xlsx") == "[no files]"
        assert "no such directory" in await call.refusal("list_work_dir", directory="dta")


async def test_directories_and_patterns_are_copied_there_and_back(folder: Path) -> None:
    async with connected(ToyPool(), ServerOptions(work_dir=folder)) as call:
        copied = await call("upload_from_work_dir", paths=["data", "*.csv"], overwrite=True)
        assert copied.splitlines()[:2] == [
            "data/Größen.csv: copied, 4 bytes",
            "data/notes.txt: copied, 4 bytes",
        ]
        await call("execute_python", code="files['out/a.png'] = b'a'\nfiles['out/b.txt'] = b'b'")
        back = await call("download_to_work_dir", paths=["/mnt/data/out/*.png"])
        assert back == "out/a.png: copied, 1 bytes"
        assert "out/b.txt: copied" in await call(
            "download_to_work_dir", paths="out", overwrite=True
        )
        assert (folder / "out" / "b.txt").read_bytes() == b"b"
        near = await call.refusal("download_to_work_dir", paths=["out/A.PNG"])
        assert "Close to it: out/a.png" in near
        assert "no such file" in await call.refusal("download_to_work_dir", paths=["*.zip"])


@pytest.mark.parametrize("is_composed", [True, False])
async def test_letters_are_the_same_however_they_are_encoded(
    tmp_path: Path, *, is_composed: bool
) -> None:
    """Systems and models differ in it, and nobody sees it."""
    name = "Köln/Umsätze.csv"
    forms = unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)
    stored, typed = forms if is_composed else forms[::-1]
    (tmp_path / stored).parent.mkdir()
    (tmp_path / stored).write_bytes(b"1234")
    async with connected(ToyPool(), ServerOptions(work_dir=tmp_path)) as call:
        assert stored in await call("list_work_dir", directory=typed.partition("/")[0])
        # In the session it has the name that a model writes.
        copied = await call("upload_from_work_dir", paths=[typed])
        assert copied.endswith("copied, 4 bytes")
        assert await call("execute_python", code="list(files)") == repr(
            [unicodedata.normalize("NFC", name)]
        )
        await call("execute_python", code=f"files[{stored!r}] = files.popitem()[1]")
        assert await call("download_file", path=typed) == "1234"
        assert "copied" in await call("download_to_work_dir", paths=[typed], overwrite=True)
        error = f"FileNotFoundError(2, 'No such file', {typed!r})"
        assert "is in the user's work directory" in await call.refusal(
            "execute_python", code=f"raise {error}"
        )
        assert "Deleted" in await call("delete_file", path=typed)


async def test_paths_as_people_write_them_are_understood(folder: Path) -> None:
    (folder / "data" / "more [1].csv").touch()
    (folder / "My Sales.CSV").touch()
    async with connected(ToyPool(), ServerOptions(work_dir=folder)) as call:
        for path, copied in {
            "data\\notes.txt": "data/notes.txt",
            (folder / "data" / "notes.txt").as_uri(): "data/notes.txt",
            "data/more [1].csv": "data/more [1].csv",
            "MY*.csv": "My Sales.CSV",
        }.items():
            told = await call("upload_from_work_dir", paths=[path], overwrite=True)
            assert told.startswith(f"{copied}: copied"), path
        for whole in (".", str(folder), "/mnt/data"):
            told = await call("upload_from_work_dir", paths=[whole], overwrite=True)
            assert len(told.splitlines()) == 5
        again = await call.refusal("upload_from_work_dir", paths=["sales.csv"])
        assert again.endswith("Pass overwrite=true to replace it.")
        for far in ("C:\\Users\\me\\notes.txt", "~/notes.txt", "../notes.txt"):
            assert "Close to it: data/notes.txt" in await call.refusal(
                "upload_from_work_dir", paths=[far]
            )
        assert "Close to it: data." in await call.refusal("list_work_dir", directory="DATA")
        assert "no directory" in await call.refusal("list_work_dir", directory="sales.csv")


async def test_a_file_of_the_session_that_is_not_there_is_answered_with_those_that_are_close(
    folder: Path,
) -> None:
    async with connected(ToyPool(), ServerOptions(work_dir=folder)) as call:
        await call("execute_python", code="files['out/Größe.txt'] = b'a'; files['[1].txt'] = b'b'")
        for tool in ("download_file", "delete_file"):
            said = await call.refusal(tool, path="groesse.txt")
            assert said == "There is no groesse.txt in the session. Close to it: out/Größe.txt."
        assert "[1].txt: copied" in await call("download_to_work_dir", paths=["[1].txt"])
        said = await call.refusal("download_to_work_dir", paths=["Out/Grösse.txt"])
        assert "Close to it: out/Größe.txt" in said


async def test_an_absolute_path_of_the_users_is_understood(folder: Path) -> None:
    async with connected(ToyPool(), ServerOptions(work_dir=folder)) as call:
        copied = await call("upload_from_work_dir", paths=[str(folder / "sales.csv")])
        assert copied == "sales.csv: copied, 4 bytes"
        assert "not below the work directory" in await call.refusal(
            "upload_from_work_dir", paths=["/etc/passwd"]
        )


async def test_the_notebook_of_the_session_is_a_file_that_can_be_copied(folder: Path) -> None:
    async with connected(ToyPool(), ServerOptions(work_dir=folder)) as call:
        await call("execute_python", code="6 * 7")
        copied = await call("download_to_work_dir", paths=["session.ipynb"])
        assert copied.startswith("session.ipynb: copied, ")
        notebook = json.loads((folder / "session.ipynb").read_text(encoding="utf-8"))
        assert [cell["source"] for cell in notebook["cells"]] == ["6 * 7"]


@pytest.mark.parametrize(
    ("error", "found"),
    [
        ("FileNotFoundError(2, 'No such file or directory', 'sales.csv')", "sales.csv"),
        ("FileNotFoundError(2, 'No such file', '/home/me/Größen.csv')", "data/Größen.csv"),
        (
            "FileNotFoundError('No such file or directory (os error 2): notes.txt')",
            "data/notes.txt",
        ),
        ("FileNotFoundError(2, 'No such file or directory', 'other.csv')", None),
        ("ValueError('sales.csv')", None),
    ],
)
async def test_code_that_does_not_find_a_file_of_the_user_is_told_the_call_that_copies_it(
    folder: Path, error: str, found: str | None
) -> None:
    async with connected(ToyPool(), ServerOptions(work_dir=folder)) as call:
        text = await call.refusal("execute_python", code=f"raise {error}")
        assert (f'upload_from_work_dir(paths=["{found}"])' in text) == (found is not None)
    async with connected(ToyPool(), ServerOptions(work_dir=None)) as call:
        assert "work_dir" not in await call.refusal("execute_python", code=f"raise {error}")


async def test_a_mistyped_name_is_answered_with_those_that_are_close(folder: Path) -> None:
    async with connected(ToyPool(), ServerOptions(work_dir=folder)) as call:
        error = "FileNotFoundError(2, 'No such file or directory', 'groessen.csv')"
        text = await call.refusal("execute_python", code=f"raise {error}")
        assert "[Close to that name in the user's work directory: data/Größen.csv." in text


async def test_prompts_and_their_completion_know_the_folder(folder: Path) -> None:
    async with connected(ToyPool(), ServerOptions(work_dir=folder)) as call:
        reference = PromptReference(name="analyse_file")
        found = await call.client.complete(reference, {"name": "path", "value": "data/"})
        assert found.completion.values == ["data/Größen.csv", "data/notes.txt"]
        await call("execute_python", code="files['made.csv'] = b''")
        found = await call.client.complete(reference, {"name": "path", "value": ""})
        assert found.completion.values == [
            "data/Größen.csv",
            "data/notes.txt",
            "made.csv",
            "sales.csv",
        ]
        prompt = await call.client.get_prompt("analyse_file", {"path": "sales.csv"})
        assert "upload_from_work_dir copies it" in str(prompt.messages[0].content)


async def test_files_are_copied_from_and_to_the_work_directory(
    tmp_path: Path,
) -> None:
    (tmp_path / "sales.csv").write_bytes(b"\x00\xff")
    (tmp_path / ".env").touch()
    async with connected(ToyPool(), ServerOptions(work_dir=tmp_path)) as call:
        assert await call("upload_from_work_dir", paths=["sales.csv"]) == (
            "sales.csv: copied, 2 bytes"
        )
        assert await call("execute_python", code="files['sales.csv']") == r"b'\x00\xff'"
        await call("execute_python", code="files['out/plot.png'] = b'plot'")
        text = await call.refusal(
            "download_to_work_dir", paths=["out/plot.png", ".git/config", "sales.csv", "none"]
        )
        copied, hidden, there, none = text.splitlines()
        assert copied == "out/plot.png: copied, 4 bytes"
        assert hidden.startswith("not copied: .git/config: names that begin with a dot")
        assert "overwrite=true" in there
        assert none.startswith("not copied: ")
        assert (tmp_path / "out" / "plot.png").read_bytes() == b"plot"
        assert await call("download_to_work_dir", paths=["sales.csv"], overwrite=True)
        assert "there already" in await call.refusal("upload_from_work_dir", paths=["sales.csv"])
        assert await call("upload_from_work_dir", paths=["sales.csv"], overwrite=True)
        assert "dot" in await call.refusal("upload_from_work_dir", paths=[".env"])
        assert await call.refusal("upload_from_work_dir", paths=[])


async def test_paths_that_come_as_json_text_are_understood(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").touch()
    async with connected(ToyPool(), ServerOptions(work_dir=tmp_path)) as call:
        assert await call("upload_from_work_dir", paths='["a"]') == "a: copied, 0 bytes"
