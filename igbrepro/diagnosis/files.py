"""Results as JSON files; numbers that are not finite stand there as NaN and Infinity, which Python and pandas read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from igbrepro.errors import ParameterError


def plain_values(value: Any) -> Any:
    """Plain values: dictionaries with texts for keys, lists, and Python's own numbers for those of NumPy and torch."""
    if isinstance(value, dict):
        return {str(key): plain_values(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(one) for one in value]
    return value.item() if hasattr(value, "item") else value


def write(path: str | os.PathLike, kind: str, value: dict[str, Any]) -> None:
    """Write a file that `read` knows as one of this kind.  Raises ParameterError where it cannot be written."""
    try:
        Path(path).write_text(json.dumps({"kind": kind} | plain_values(value), indent=1) + "\n")
    except OSError as error:
        raise ParameterError(f"path={str(path)!r}: cannot be written ({error}).") from error


def read(path: str | os.PathLike, kind: str) -> dict[str, Any]:
    """What was written.  Raises ParameterError for a file that cannot be read, or is of another kind."""
    try:
        found = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ParameterError(f"path={str(path)!r}: cannot be read ({error}).") from error
    if not isinstance(found, dict) or found.pop("kind", None) != kind:
        raise ParameterError(f"path={str(path)!r}: is no file that {kind}.save wrote.")
    return found
