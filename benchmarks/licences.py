"""List the licence of every package that requirements.lock names, in docs/licences.md.

    .venv/bin/python benchmarks/licences.py

The words are those of the installed package itself. A package for another system, which the lock names but which is not
installed here, is listed without.
"""

import re
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "licences.md"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
NAME = re.compile(r"^[A-Za-z0-9._-]+")
CLASSIFIER = "License :: "
GNU = re.compile(r"GPL|GNU")
LONGEST = 60
INTRODUCTION = """# Licences of the dependencies

The project itself is under the Apache Licence 2.0. It ships none of these packages; `make env` fetches them from their
own place. What each says of its licence, as installed; **bold** are those that the project asks for itself, the others
come with them. Made by `.venv/bin/python benchmarks/licences.py`.

Under a GNU General Public Licence: {gnu}. To use them asks for nothing; whoever passes them on together with this
project, such as in a container image, keeps to that licence for the whole.

| package | version | licence |
|---|---|---|
"""


def licence(package: Distribution) -> str:
    """SPDX expression of a package, else its short licence field, else its classifiers."""
    facts = package.metadata
    field = (facts.get("License") or "").strip()
    if facts.get("License-Expression"):
        return facts["License-Expression"]
    if field not in ("", "UNKNOWN") and "\n" not in field and len(field) <= LONGEST:
        return field
    named = [value.rpartition(" :: ")[2] for value in facts.get_all("Classifier", []) if value.startswith(CLASSIFIER)]
    return ", ".join(named) or "not said; see its files"


def direct_dependencies() -> set[str]:
    """Normalised names of what pyproject.toml asks for."""
    content = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    optional = content["project"]["optional-dependencies"].values()
    wanted = [*content["project"]["dependencies"], *sum(optional, []), *content["dependency-groups"]["dev"]]
    return {NAME.match(text)[0].lower().replace("_", "-") for text in wanted}


def pinned() -> dict[str, str]:
    """Versions by package; some packages have another version for older Pythons."""
    found: dict[str, list[str]] = {}
    for name, version in PINNED.findall((REPOSITORY / "requirements.lock").read_text(encoding="utf-8")):
        found.setdefault(name, []).append(version)
    return {name: ", ".join(versions) for name, versions in found.items()}


def licences() -> dict[str, str]:
    """Words of every pinned package on its licence."""
    found = {}
    for name in pinned():
        try:
            found[name] = licence(distribution(name))
        except PackageNotFoundError:
            found[name] = "not installed here"
    return found


def main() -> None:
    """Write the page."""
    words, direct = licences(), direct_dependencies()
    gnu = ", ".join(name for name, text in words.items() if GNU.search(text))
    rows = "".join(
        f"| {f'**{name}**' if name.lower() in direct else name} | {version} | {words[name]} |\n"
        for name, version in pinned().items()
    )
    PAGE.write_text(INTRODUCTION.format(gnu=gnu) + rows, encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(REPOSITORY)}: {len(words)} packages, under a GNU licence: {gnu}\n")


if __name__ == "__main__":
    main()
