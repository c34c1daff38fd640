"""README and the other documents are finished, and the commands in them can be pasted."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
COMMANDS = "run|check|report|phantom|status|sweep|list|compare|verify|export|register-weights"


DOCUMENTS = sorted(
    str(path.relative_to(REPOSITORY))
    for folder in (REPOSITORY, REPOSITORY / "docs")
    for path in folder.glob("*.md")
    if path.name != "CHANGELOG.md"  # speaks of commands, and gives none to paste
)


@pytest.mark.parametrize("name", DOCUMENTS)
class TestDocument:
    def test_no_placeholder_is_left(self, name):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert re.findall(r"^[A-Z][A-Z_ ]+$", text, re.M) == []

    def test_every_command_names_its_environment(self, name):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert re.findall(rf"(?<!\.venv/bin/)\bstudy (?:{COMMANDS})\b", text) == []

    def test_every_file_that_is_linked_exists(self, name):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        files = set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text))
        folder = (REPOSITORY / name).parent
        assert [file for file in sorted(files) if not (folder / file).exists()] == []
