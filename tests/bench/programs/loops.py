"""The event loops that an asyncio program can have on Windows, by name."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run(name: str, main: Coroutine[Any, Any, None]) -> None:
    """Run on asyncio's own loop (on Windows the proactor), or on winloop's."""
    if name == "asyncio":
        asyncio.run(main)
        return
    winloop: Any = importlib.import_module("winloop")
    loop = winloop.new_event_loop()
    try:
        loop.run_until_complete(main)
    finally:
        loop.close()
