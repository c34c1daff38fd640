"""docs/dependencies.md gives a reason for each package that pyproject.toml asks for, and for no other."""

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
REASON = re.compile(r"^\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def test_every_dependency_has_its_reason():
    page = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = [name for names, _ in REASON.findall(page) for name in names.split(", ") if name != "package"]
    content = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [
        content["project"]["dependencies"],
        *content["project"]["optional-dependencies"].values(),
        *content["dependency-groups"].values(),
    ]
    wanted = [re.match(r"[A-Za-z0-9._-]+", text)[0] for group in groups for text in group]
    assert sorted(explained) == sorted(wanted)
