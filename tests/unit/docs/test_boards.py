"""The configuration that docs/boards.md gives as an example."""

import re
from pathlib import Path

from vtep_host.config import Limits, loads

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "boards.md"


def test_the_example_for_a_gateway_is_right() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    config = loads(example, limits=Limits(neighbors=2))
    assert [str(tunnel.next_hop) for tunnel in config.tunnels] == ["192.0.2.2", "192.0.2.254"]
