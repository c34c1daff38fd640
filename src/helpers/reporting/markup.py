"""Make the HTML of one notebook fit into a larger page: harmless, one level deeper, unique ids, described images.

All work is done on a parsed tree (BeautifulSoup), never on text.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from bs4 import BeautifulSoup, Tag

from helpers.reporting.pictures import reserve_space

ACTIVE_TAGS = (
    "script", "style", "iframe", "frame", "frameset", "object", "embed", "applet", "link", "meta", "base", "noscript",
    "template",
)  # fmt: skip
LOADING_ATTRIBUTES = frozenset(
    {"srcset", "poster", "action", "formaction", "ping", "background", "srcdoc", "manifest", "data", "imagesrcset"}
)
REFERENCES = ("for", "headers", "aria-labelledby", "aria-describedby", "aria-controls", "aria-details", "aria-owns")
LINK_SCHEMES = ("http://", "https://", "mailto:")
NO_DESCRIPTION = ("", "image", "no description has been provided for this image")
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
CONTENTS_LEVELS = (2, 3)


@dataclass(frozen=True)
class Heading:
    """A heading of the report: its level in the page, its text, and the id that a link goes to."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Page:
    """One notebook as a fragment of the report.

    Parameters
    ----------
    anchor
        Id of its first heading.
    html
        The fragment, safe to insert.
    headings
        Headings of level 2 and 3, in order.
    """

    anchor: str
    html: str
    headings: tuple[Heading, ...]


def prepare(html: str, *, prefix: str, title: str) -> Page:
    """Make a rendered notebook ready for the report.

    Parameters
    ----------
    html
        Fragment as nbconvert gives it.
    prefix
        The first heading gets this id, and every other id in the fragment starts with it.
    title
        Heading for a fragment that does not begin with one.
    """
    soup = BeautifulSoup(html, "html.parser")
    _remove_active_content(soup)
    _ensure_title(soup, title)
    _level_headings(soup)
    _rename_ids(soup, prefix)
    _restrict_links(soup)
    _describe_images(soup)
    _contain_tables(soup)
    headings = tuple(
        Heading(int(tag.name[1]), _text(tag), tag["id"])
        for tag in soup.find_all([f"h{level}" for level in CONTENTS_LEVELS])
    )
    return Page(anchor=prefix, html=str(soup), headings=headings)


def slug(text: str) -> str:
    """Words of `text` in lower-case ASCII letters and digits, joined by hyphens; `section` if nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain)) or "section"


def _text(tag: Tag) -> str:
    return " ".join(tag.get_text().split())


def _remove_active_content(soup: BeautifulSoup) -> None:
    """Nothing in the report runs code or asks another machine for anything."""
    for tag in soup.find_all(ACTIVE_TAGS):
        tag.decompose()
    for tag in soup.find_all("form"):
        tag.unwrap()
    for tag in soup.find_all(True):
        for name in [name for name in tag.attrs if _is_harmful(tag, name)]:
            del tag[name]


def _is_harmful(tag: Tag, name: str) -> bool:
    value = str(tag[name]).strip().lower()
    if name.startswith("on") or name in LOADING_ATTRIBUTES:
        return True
    if name == "src" or (name in ("href", "xlink:href") and tag.name != "a"):
        return not value.startswith(("#", "data:image/"))
    return name == "style" and ("url(" in value or "expression(" in value or "\\" in value)


def _ensure_title(soup: BeautifulSoup, title: str) -> None:
    first = soup.find(HEADINGS)
    if first is None or first.name != "h1":
        heading = soup.new_tag("h1")
        heading.string = title
        soup.insert(0, heading)


def _level_headings(soup: BeautifulSoup) -> None:
    """One level down, as the page has the only h1; the title alone stands at level 2, and no level is skipped."""
    level = 1
    for place, tag in enumerate(soup.find_all(HEADINGS)):
        wanted = 2 if place == 0 else max(int(tag.name[1]) + 1, 3)
        level = min(wanted, level + 1, 6)
        tag.name = f"h{level}"


def _rename_ids(soup: BeautifulSoup, prefix: str) -> None:
    """Give ids that are unique in the whole report, and let references follow; headings are named by their text."""
    taken, renamed = {prefix}, {}
    first = soup.find("h2")
    for tag in soup.find_all(lambda tag: tag.has_attr("id") or tag.name in HEADINGS):
        old = tag.get("id") or slug(_text(tag))
        new = prefix if tag is first else _free(f"{prefix}-{slug(old)}", taken)
        taken.add(new)
        for key in (old, slug(_text(tag))):
            renamed.setdefault(key, new)
        tag["id"] = new
    for tag in soup.find_all(True):
        _follow(tag, renamed)


def _free(wanted: str, taken: set[str]) -> str:
    number, candidate = 1, wanted
    while candidate in taken:
        number += 1
        candidate = f"{wanted}-{number}"
    return candidate


def _follow(tag: Tag, renamed: Mapping[str, str]) -> None:
    for name in REFERENCES:
        if tag.has_attr(name):
            parts = tag[name].split() if isinstance(tag[name], str) else tag[name]
            tag[name] = " ".join(renamed.get(part, part) for part in parts)
    href = tag.get("href", "")
    if href.startswith("#"):
        old = href[1:]
        # JupyterLab links to a heading by its text with hyphens for spaces
        tag["href"] = "#" + (renamed.get(old) or renamed.get(slug(old)) or old)


def _restrict_links(soup: BeautifulSoup) -> None:
    """Links to another notebook stay in the report; links to files that are not in it become plain text."""
    for tag in soup.find_all("a"):
        target = tag.get("href", "").strip()
        notebook = re.search(r"(?:^|/)(\d\d)_\w+\.ipynb(?:#.*)?$", target)
        if notebook and "://" not in target:
            tag["href"] = f"#notebook-{notebook[1]}"
        elif target.lower().startswith(LINK_SCHEMES):
            tag["rel"] = "noopener noreferrer"
        elif not target.startswith("#"):
            tag.unwrap()


def _describe_images(soup: BeautifulSoup) -> None:
    for tag in soup.find_all("img"):
        described = str(tag.get("alt", "")).strip()
        if described.lower() in NO_DESCRIPTION:
            heading = tag.find_previous(HEADINGS)
            where = f"under “{_text(heading)}”" if heading else "of the notebook"
            described = tag["alt"] = f"Figure {where}; the notebook gives no description of it"
        if not tag.get("src"):
            tag.replace_with(f"[Image not embedded: {described}]")
        else:
            reserve_space(tag)


def _contain_tables(soup: BeautifulSoup) -> None:
    """Wide tables scroll inside a container that the keyboard can reach."""
    for table in soup.find_all("table"):
        holder = table.parent
        if holder is None or "study-table-scroll" not in holder.get("class", []):
            holder = table.wrap(soup.new_tag("div", attrs={"class": "study-table-scroll"}))
        caption, heading = table.find("caption"), table.find_previous(HEADINGS)
        label = _text(caption) if caption else f"Table under “{_text(heading)}”" if heading else "Table"
        holder.attrs |= {"tabindex": "0", "role": "group", "aria-label": label}
        _align_header(table)
        for cell in table.find_all("th"):
            if not _text(cell):  # an empty heading is announced as one
                cell.name = "td"


def _align_header(table: Tag) -> None:
    """Headings of columns of numbers stand above their numbers."""
    head, body = table.find("thead"), table.find("tbody")
    first = body.find("tr") if body else None
    if head is None or first is None:
        return
    for name, cell in zip(head.find_all("th"), first.find_all(["th", "td"]), strict=False):
        if "number" in cell.get("class", []):
            name["class"] = "number"
