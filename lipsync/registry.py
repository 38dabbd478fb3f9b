"""Engines by name, imported only when they are used.

The built-in table names ours; packages outside add theirs through the entry point group ``livetalking.engines``. A
bundle names its engine by a key of this table, never by an import path: a foreign bundle cannot make us import code.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from lipsync.bundle import read_manifest
from lipsync.engine import Engine
from lipsync.errors import BundleError, NotFoundError, UnavailableError

GROUP = "livetalking.engines"
DEFAULT = "lipbank"
_TABLE: dict[str, str] = {"lipbank": "lipbank.engine:LipbankEngine"}


def register(name: str, target: str) -> None:
    """Add or change an entry: ``target`` is "module:Class"."""
    _TABLE[name] = target


def unregister(name: str) -> None:
    """Take an entry out again; unknown names are ignored."""
    _TABLE.pop(name, None)


def names() -> list[str]:
    """Every engine name that can be asked for, sorted."""
    return sorted(_targets())


def load_engine_class(name: str) -> type[Engine]:
    """Import the engine called ``name``.

    Raises:
        NotFoundError: No such engine.
        UnavailableError: It cannot be imported here (an extra is missing) or is no engine.
    """
    target = _targets().get(name)
    if target is None:
        raise NotFoundError(f"There is no engine called {name!r}.", f"Choose one of: {', '.join(names())}.")
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UnavailableError(
            f"The engine {name!r} cannot be loaded: {error}", "Install the packages it needs."
        ) from error
    if not (isinstance(found, type) and issubclass(found, Engine)):
        raise UnavailableError(f"{target} is not an engine.", "Correct the entry point.")
    return found


def engine_for(bundle: Path, device: str = "auto", *, verify: bool = True) -> Engine:
    """Load a bundle with the engine its manifest names.

    Args:
        bundle: The bundle's folder.
        device: "auto", "cpu" or "cuda".
        verify: Check every file's sha256 first.

    Raises:
        BundleError: The bundle is damaged or its engine is unknown here.
    """
    manifest = read_manifest(bundle, verify=verify)
    if manifest.kind != "avatar":
        raise BundleError(f"This is a {manifest.kind}, not an avatar.", "Choose an avatar.")
    try:
        cls = load_engine_class(manifest.engine)
    except NotFoundError as error:
        raise BundleError(error.message, error.remedy) from error
    return cls.load(Path(bundle), device)


def _targets() -> dict[str, str]:
    outside = {point.name: point.value for point in entry_points(group=GROUP)}
    return outside | _TABLE
