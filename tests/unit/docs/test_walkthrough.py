"""The bytes in docs/walkthrough.md are those of the captures and of the golden model."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
DOCUMENT = DOCS / "walkthrough.md"


@pytest.fixture(scope="module")
def walkthrough() -> ModuleType:
    spec = importlib.util.spec_from_file_location("walkthrough", DOCS / "walkthrough.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_document_is_up_to_date(walkthrough: ModuleType) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert walkthrough.refresh(text) == text


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("| 14 | `45` |", "| 14 | `46` |"),
        ("| 46 | `00 00 64` |", "| 46 | `00 00 65` |"),
        ("  48  64 00", "  48  65 00"),
        ("hash   0x", "hash   0x1"),
        ("inverted:          ", "inverted:          0"),
    ],
)
def test_a_wrong_byte_is_found(walkthrough: ModuleType, true: str, false: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert true in text
    assert walkthrough.refresh(text.replace(true, false, 1)) == text


def test_a_table_that_leaves_bytes_out_is_refused(walkthrough: ModuleType) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    without = re.sub(r"\n\| 0 \| `02 00 00 00 00 01`.*", "", text, count=1)
    assert without != text
    with pytest.raises(ValueError, match="offset 0"):
        walkthrough.refresh(without)


def test_numbers_of_the_prose(walkthrough: ModuleType) -> None:
    """The lengths and addresses that the sentences name."""
    config = walkthrough.load(walkthrough.CAPTURE / "vtep.toml")
    frames = walkthrough.frames(config)
    assert {name: len(frame) for name, frame in frames.items()} == {
        "decap-in": 97,
        "decap-out": 47,
        "encap-in": 47,
        "encap-out": 97,
    }
    for name, inner in (("decap-in", "decap-out"), ("encap-out", "encap-in")):
        outer = frames[name]
        assert int.from_bytes(outer[16:18], "big") == 83
        assert int.from_bytes(outer[38:40], "big") == 63
        assert outer[50:] == frames[inner]
    sent, given = frames["encap-out"], frames["encap-in"]
    text = DOCUMENT.read_text(encoding="utf-8")
    port = int.from_bytes(sent[34:36], "big")
    assert f"= {port} = 0x{port:04x}\n" in text
    assert f"inverted:          {sent[24:26].hex()}\n" in text
    assert (given[26:30], given[30:34]) == (bytes([198, 18, 0, 1]), bytes([198, 18, 0, 10]))
    assert (int.from_bytes(given[34:36], "big"), int.from_bytes(given[36:38], "big")) == (5001, 5002)
