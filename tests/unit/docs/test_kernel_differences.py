"""The document about the kernel explains every difference that the differential test accepts, and no other."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_the_document_explains_every_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests" / "interop")
    from differences import DECAPSULATION, ENCAPSULATION

    text = (ROOT / "docs" / "kernel-differences.md").read_text(encoding="utf-8")
    names = {rule.name for rule in (*DECAPSULATION, *ENCAPSULATION)}
    assert [name for name in sorted(names) if f"### {name}\n" not in text] == []
    assert text.count("\n### ") == len(names)
