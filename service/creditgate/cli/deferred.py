"""Modules that take long to import (gRPC, protobuf, the server), imported when a command first uses them.

Help, completion and a mistyped command so come in a fraction of the time.
"""

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING


def _deferred(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(name=name)
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from creditgate import bootstrap, settings
    from creditgate.cli import connection, tables
else:
    bootstrap = _deferred("creditgate.bootstrap")
    connection = _deferred("creditgate.cli.connection")
    settings = _deferred("creditgate.settings")
    tables = _deferred("creditgate.cli.tables")

__all__ = ["bootstrap", "connection", "settings", "tables"]
