# Types of the little of Amaranth that mypy would otherwise misread; all the rest of it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
