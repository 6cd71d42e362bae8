"""Builds and simulations of the system tests: each simulator is built once, each group of tests simulated once."""

import sys
from pathlib import Path

import pytest

from helpers.seeds import seed_of

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

ROOT = Path("build/system").absolute()
COUNTED = Path("build/coverage/system").absolute()


def pytest_configure(config: pytest.Config) -> None:
    # Known also where pytest-xdist is not installed.
    config.addinivalue_line("markers", "xdist_group(name): tests that share a simulation run in one process")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run where pytest-xdist overlooks the groups: each build would be simulated in every process."""
    if getattr(session.config.option, "loadgroup", False):
        for item in session.items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid.rpartition("]")[2]:
                raise pytest.UsageError(
                    f"{item.nodeid} has a group that this pytest-xdist did not take: see pyproject.toml"
                )


def root_of(config: pytest.Config) -> Path:
    """Folder of all builds; those that count what the tests reach have one of their own."""
    return COUNTED if config.option.coverage else ROOT


class Simulations:
    """Runs all tests of one build in one simulation, when the first of them is asked for."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.results: dict = {}

    def outcome(self, build, module: str, name: str):
        """Result of one cocotb test (a `vtep_sim.cocotb.build.Result`)."""
        from vtep_sim.cocotb.build import simulate

        if (module, name) not in self.results.get(build.name, {}):
            config = self.session.config
            wanted = {(module, name)}
            for item in self.session.items:
                params = item.callspec.params if hasattr(item, "callspec") else {}
                if params.get("build") is build:
                    wanted.add((params["module"], params["name"]))
            coverage = config.option.coverage
            folder = build.prepare(root_of(config), coverage=coverage)
            results = simulate(
                build.parameters,
                folder,
                [f"vtep_cases.{module}" for module in sorted({module for module, _ in wanted})],
                sorted(name for _, name in wanted),
                # Each build has its own, or all would draw the same values.
                seed=seed_of(build.name, config.option.seed),
                python_path=[HERE],
                top=build.top,
                environment=build.environment | ({"VTEP_DEEP": "1"} if build.deep or config.option.full else {}),
                coverage=coverage,
            )
            self.results[build.name] = {key: results[key[1]] for key in wanted}
        return self.results[build.name][module, name]


@pytest.fixture(scope="session")
def system_root(pytestconfig: pytest.Config) -> Path:
    """Folder of all builds of the system tests."""
    return root_of(pytestconfig)


@pytest.fixture(scope="session")
def here() -> Path:
    """Folder that holds ``vtep_cases``."""
    return HERE


@pytest.fixture(scope="session")
def simulations(request) -> Simulations:
    return Simulations(request.session)
