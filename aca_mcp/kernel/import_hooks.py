"""Something to do when code has imported a module, once; nothing is imported for it.

Standard library only.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import FileFinder, PathFinder
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class _ThenCall(Loader):
    def __init__(self, loader: Loader, then: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module must not see that it was loaded in another way.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._then(module)


class ImportHooks(MetaPathFinder):
    """Actions by name of module. Put before the other finders by ``install``."""

    def __init__(self) -> None:
        self._actions: dict[str, Callable[[ModuleType], None]] = {}

    def add(self, name: str, action: Callable[[ModuleType], None]) -> None:
        """Call an action with a module when it is imported; now, if it has been."""
        self._actions[name] = action
        if (module := sys.modules.get(name)) is not None:
            self._act(module)

    def install(self) -> None:
        """Begin to look at what is imported."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module that there is an action for, as it would be found without this."""
        _look_again(path)
        if fullname not in self._actions:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        # That of an archive is no Loader by its class.
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _ThenCall(cast("Loader", spec.loader), self._act)
        return spec

    def _act(self, module: ModuleType) -> None:
        action = self._actions.pop(module.__name__, None)
        with suppress(Exception):  # a default that cannot be set is none
            if action is not None:
                action(module)


def _look_again(path: Sequence[str] | None) -> None:
    """Have the work directory listed anew: code may just have written the module.

    Python lists a directory again when its time of change differs, which is too coarse for that.
    """
    with suppress(OSError):
        here = os.getcwd()  # noqa: PTH109 -- with every import
        for directory in (here,) if path is None else path:
            if directory.startswith(here):
                finder = sys.path_importer_cache.get(directory)
                if isinstance(finder, FileFinder):
                    finder.invalidate_caches()
