"""Options, fixtures and profiles that all tests share."""

import os
import random
from typing import Any

import hypothesis
import pytest

from helpers.seeds import seed_of

hypothesis.settings.register_profile("brief", max_examples=40, deadline=None, print_blob=True)
hypothesis.settings.register_profile("full", max_examples=1000, deadline=None, print_blob=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("openvtep")
    group.addoption("--full", action="store_true", help="test everything in depth (make test-full)")
    group.addoption("--coverage", action="store_true", help="count what the system tests reach (make coverage)")
    group.addoption("--seed", type=lambda text: int(text, 0), help="seed of the random tests (default: a new one)")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.seed is None:
        # A process of pytest-xdist has the seed that the run prints, not one of its own.
        config.option.seed = getattr(config, "workerinput", {}).get("seed", random.SystemRandom().getrandbits(32))
    # Processes that a test starts, and the parameter lists of test modules, read the depth here.
    if config.option.full:
        os.environ["VTEP_FULL"] = "1"
    else:
        os.environ.pop("VTEP_FULL", None)
    hypothesis.settings.load_profile("full" if config.option.full else "brief")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a process of pytest-xdist the seed of the run."""
    node.workerinput["seed"] = node.config.option.seed


def pytest_report_header(config: pytest.Config) -> str:
    depth = "in depth" if config.option.full else "brief"
    return f"openvtep: {depth}, --seed {config.option.seed:#010x}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked ``full`` out of a brief run, and count them as deselected."""
    if config.option.full:
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.fixture
def full(pytestconfig: pytest.Config) -> bool:
    """Whether this run tests in depth."""
    return pytestconfig.option.full


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Seed of this test, printed: from the run's seed and the test's name, so that it does not depend on the order."""
    base = request.config.option.seed
    value = seed_of(request.node.nodeid, base)
    print(f"seed {value:#010x} (repeat the run with --seed {base:#010x})")
    return value


@pytest.fixture
def rng(seed: int) -> random.Random:
    """Generator seeded with `seed`."""
    return random.Random(seed)
