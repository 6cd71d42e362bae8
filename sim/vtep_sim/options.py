"""What the commands of `vtep-sim` have in common: options, exit codes, and how refusals are told."""

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from vtep_host.config import ConfigError

from .captures import CaptureError
from .console import message
from .harness import BuildError, SimulationError
from .runner import UsageError

__all__ = ["BROKEN", "DIFFERENT", "OK", "REFUSED", "ModeOption", "exit_codes", "literals", "path_option", "refusals"]

OK, DIFFERENT, REFUSED, BROKEN = range(4)
"""Exit codes."""


def exit_codes(*, done: str = "done", different: str = "", broken: str = "") -> str:
    """Tell what the exit codes of a command mean; ``different``: 1, if it has that."""
    broken = broken or "the model could not be built, or the simulated core hung or broke the rules of a port"
    return (
        f"Exit codes: 0 {done}; {f'1 {different}; ' if different else ''}2 bad options, configuration or capture: "
        f"nothing was run and no file touched; 3 {broken}."
    )


ModeOption = typer.Option(help="When a frame may start to leave, in both directions.")


def literals(texts: Sequence[str]) -> dict[str, object]:
    """Read what --parameter was given: NAME=VALUE texts."""
    return dict(_literal(text) for text in texts)


def _literal(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--parameter {text!r}: not NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        raise UsageError(f"--parameter {text!r}: {value!r} is neither a number nor True, False or None") from None


def path_option(help_text: str) -> typer.models.OptionInfo:
    """Make an option that names a file."""
    return typer.Option(help=help_text, dir_okay=False, show_default=False)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what can go wrong into a message on stderr and an exit code."""
    try:
        yield
    except (UsageError, CaptureError, ConfigError) as error:
        message(f"error: {error}")
        raise typer.Exit(REFUSED) from None
    except (BuildError, SimulationError) as error:
        message(f"error: {error}")
        raise typer.Exit(BROKEN) from None
    except OSError as error:
        message(f"error: {error.filename or 'output'}: {error.strerror or error}")
        raise typer.Exit(REFUSED) from None
