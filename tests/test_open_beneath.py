"""Opening files below a directory: the same refusals from the kernel's call and from the walk."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aca_mcp.open_beneath import (
    LOOK,
    O_DIRECTORY,
    O_NONBLOCK,
    find_openat2,
    make_directories_beneath,
    open_beneath,
    open_by_kernel,
    open_by_walking,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@dataclass
class Root:
    """A directory, and one of the ways to open what is below it."""

    descriptor: int
    way: Callable[[int, Sequence[str], int, int], int]

    def open(self, parts: Sequence[str], flags: int, mode: int = 0) -> int:
        return self.way(self.descriptor, parts, flags, mode)


@pytest.fixture(params=[open_beneath, open_by_walking])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Root]:
    """A directory with a secret outside it; the usual way, by the kernel, and the other."""
    (tmp_path / "secret").write_text("outside")
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "sub" / "file").write_text("hello")
    descriptor = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    yield Root(descriptor, request.param)
    os.close(descriptor)


def _directory(root: Root) -> Path:
    return Path(f"/proc/self/fd/{root.descriptor}").resolve()


def _read(root: Root, *parts: str) -> bytes:
    descriptor = root.open(parts, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as file:
        assert not os.get_inheritable(descriptor)
        return file.read()


def _refusal(root: Root, *parts: str, flags: int = os.O_RDONLY) -> int | None:
    with pytest.raises(OSError, match=r".") as caught:
        root.open(parts, flags)
    return caught.value.errno


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_file_in_a_subdirectory_is_opened(root: Root) -> None:
    assert _read(root, "sub", "file") == b"hello"


def test_no_parts_name_the_directory_itself(root: Root) -> None:
    descriptor = root.open((), os.O_RDONLY | os.O_DIRECTORY)
    assert os.path.samestat(os.fstat(descriptor), os.fstat(root.descriptor))
    os.close(descriptor)


@pytest.mark.parametrize("part", ["..", ".", "", "sub/file", "a\0b", "/etc/passwd"])
def test_a_part_that_is_not_a_plain_name_is_refused(root: Root, part: str) -> None:
    assert _refusal(root, part) == errno.EINVAL
    with pytest.raises(OSError, match="Invalid argument"):
        make_directories_beneath(root.descriptor, (part,))


def test_a_link_at_the_end_is_refused(root: Root) -> None:
    (_directory(root) / "link").symlink_to("../secret")
    assert _refusal(root, "link") == errno.ELOOP
    assert _refusal(root, "link", flags=os.O_PATH) == errno.ELOOP


def test_a_link_on_the_way_is_refused(root: Root) -> None:
    (_directory(root) / "up").symlink_to("..")
    assert _refusal(root, "up", "secret") in (errno.ELOOP, errno.ENOTDIR)
    with pytest.raises(OSError, match=r"Not a directory|Too many"):
        make_directories_beneath(root.descriptor, ("up", "new"))


def test_a_link_that_stays_inside_is_refused_too(root: Root) -> None:
    (_directory(root) / "same").symlink_to("sub")
    assert _refusal(root, "same", "file") in (errno.ELOOP, errno.ENOTDIR)


def test_creating_through_a_dangling_link_makes_nothing_outside(root: Root) -> None:
    (_directory(root) / "dangling").symlink_to("../made")
    assert _refusal(root, "dangling", flags=os.O_WRONLY | os.O_CREAT) == errno.ELOOP
    assert not (_directory(root).parent / "made").exists()


def test_a_new_file_gets_the_mode(root: Root) -> None:
    descriptor = root.open(("sub", "new"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, b"x")
    os.close(descriptor)
    made = _directory(root) / "sub" / "new"
    assert made.read_bytes() == b"x"
    assert made.stat().st_mode & 0o777 == 0o600


def test_whatever_there_is_can_be_looked_at_and_opening_it_does_not_wait(root: Root) -> None:
    os.mkfifo(_directory(root) / "fifo")
    (_directory(root) / "again").hardlink_to(_directory(root) / "sub" / "file")
    for name in ("fifo", "again", "sub"):
        for flags in (LOOK, os.O_RDONLY | O_NONBLOCK):
            descriptor = root.open((name,), flags)
            assert os.path.samestat(os.fstat(descriptor), (_directory(root) / name).stat())
            os.close(descriptor)
    assert _refusal(root, "sub", "file", flags=LOOK | O_DIRECTORY) == errno.ENOTDIR


def test_a_new_file_never_takes_the_place_of_what_is_there(root: Root) -> None:
    (_directory(root) / "link").symlink_to("sub/file")
    for parts in (("sub", "file"), ("link",)):
        assert _refusal(root, *parts, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL) == errno.EEXIST


def test_a_mode_without_creation_is_ignored(root: Root) -> None:
    os.close(root.open(("sub", "file"), os.O_RDONLY, 0o600))


def test_missing_files_are_reported_as_such(root: Root) -> None:
    assert _refusal(root, "sub", "absent") == errno.ENOENT


def test_names_that_are_not_utf_8_work(root: Root) -> None:
    name = os.fsdecode(b"\xff\xfe")
    (_directory(root) / name).write_text("odd")
    assert _read(root, name) == b"odd"


def test_missing_directories_are_made_and_existing_ones_kept(root: Root) -> None:
    for _ in range(2):
        descriptor = make_directories_beneath(root.descriptor, ("sub", "a", "b"))
        assert Path(f"/proc/self/fd/{descriptor}").resolve() == _directory(root) / "sub" / "a" / "b"
        os.close(descriptor)
    assert _read(root, "sub", "file") == b"hello"


def test_a_file_in_the_way_of_a_directory_is_an_error(root: Root) -> None:
    with pytest.raises(NotADirectoryError):
        make_directories_beneath(root.descriptor, ("sub", "file", "x"))


def test_no_descriptor_is_left_open(root: Root) -> None:
    before = _open_descriptors()
    os.close(make_directories_beneath(root.descriptor, ("d", "e")))
    os.close(root.open(("d", "e"), os.O_RDONLY))
    _refusal(root, "d", "missing", "deeper")
    assert _open_descriptors() == before


def test_a_kernel_without_the_call_is_known_by_its_answer() -> None:
    """A number that no system call has is answered as an older kernel answers this one."""
    assert find_openat2(100_000) is None
    assert find_openat2() is not None


def test_an_attempt_that_raced_with_a_rename_is_made_again() -> None:
    races = iter([BlockingIOError(), InterruptedError(), None])

    def racing(directory: int, path: bytes, flags: int, mode: int) -> int:
        if (race := next(races)) is not None:
            raise race
        return 7

    assert open_by_kernel(racing, -1, ("a",), os.O_RDONLY) == 7


def test_races_without_end_are_given_up() -> None:
    def racing(directory: int, path: bytes, flags: int, mode: int) -> int:
        raise BlockingIOError(errno.EAGAIN, "raced")

    with pytest.raises(BlockingIOError):
        open_by_kernel(racing, -1, ("a",), os.O_RDONLY)
