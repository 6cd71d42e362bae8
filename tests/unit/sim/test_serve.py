"""``vtep-sim serve`` and ``vtep-ctl`` together, as two programs: the real core, with traffic, behind a socket."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CAPTURES = Path(__file__).resolve().parents[2] / "vectors" / "ipv4"
CONFIG = CAPTURES / "vtep.toml"
COMMANDS = Path(sys.executable).parent
PATIENCE = 300
"""Seconds in which the core must be there; it may have to be compiled."""

Control = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """Calls ``vtep-ctl`` on a served core; ends the server with Ctrl-C, which must leave no socket behind."""
    folder = tmp_path_factory.mktemp("serve")
    server = subprocess.Popen(
        [COMMANDS / "vtep-sim", "serve", "--underlay-in", CAPTURES / "underlay-in.pcap", "--rate", "400"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, a shell has them ignore Ctrl-C, and so would the server.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + PATIENCE
    while not (folder / "vtep.sock").exists():
        assert server.poll() is None, server.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.1)

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMANDS / "vtep-ctl", *arguments],
            cwd=folder,
            env=os.environ | {"VTEP_VIA": "unix:vtep.sock"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    yield call
    assert server.poll() is None, server.communicate()[1]
    server.send_signal(signal.SIGINT)
    _, told = server.communicate(timeout=30)
    assert (server.returncode, "ended" in told) == (0, True), told
    assert not (folder / "vtep.sock").exists()


@pytest.mark.slow
def test_a_served_core_is_applied_counted_and_verified(control: Control) -> None:
    before = control("verify", CONFIG)
    assert before.returncode == 1, before
    applied = control("apply", CONFIG)
    assert applied.returncode == 0, applied
    verified = control("verify", CONFIG)
    assert verified.returncode == 0, verified
    shown = control("show", "--json", "--names", CONFIG)
    assert shown.returncode == 0, shown
    assert json.loads(shown.stdout)["tunnel"]

    def delivered() -> int:
        counted = control("counters", "--json", "--names", CONFIG)
        assert counted.returncode == 0, counted
        return int(json.loads(counted.stdout)["tenant_tx_frames"])

    first = delivered()
    end = time.monotonic() + 30
    while delivered() <= first:
        assert time.monotonic() < end, "no traffic"


@pytest.mark.slow
def test_what_is_refused_is_told_and_changes_nothing(control: Control, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(CONFIG.read_text() + '\n[[fdb]]\nvni = 16777216\nmac = "02:00:00:00:00:09"\ntunnel = "none"\n')
    refused = control("apply", bad)
    assert refused.returncode == 2
    assert "vni" in refused.stderr
    assert control("apply", CONFIG).returncode == 0
