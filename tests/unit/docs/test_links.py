"""What the documents point to exists, and the pictures are well-formed."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("tests/vectors/*.md"), *ROOT.glob("*.md")])
PICTURES = sorted(ROOT.glob("docs/*.svg"))


def test_there_are_documents() -> None:
    assert DOCUMENTS
    assert PICTURES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_pictures(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox")
