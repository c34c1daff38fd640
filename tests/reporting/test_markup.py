"""Fragments become harmless, fit under one h1, and keep their inner links."""

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from helpers.reporting.markup import prepare, slug


def prepared(html: str) -> BeautifulSoup:
    """Fragment of a notebook that has its own title."""
    return BeautifulSoup(prepare(f"<h1>Title</h1>{html}", prefix="notebook-01", title="Unused").html, "html.parser")


def levels(html: str) -> list[str]:
    page = prepare(html, prefix="nb", title="Unused")
    return [tag.name for tag in BeautifulSoup(page.html, "html.parser").find_all(True)]


def test_headings_go_one_level_down_and_stop_at_the_sixth():
    assert levels("".join(f"<h{n}>H{n}</h{n}>" for n in range(1, 7))) == ["h2", "h3", "h4", "h5", "h6", "h6"]


def test_a_second_title_becomes_a_section_and_no_level_is_skipped():
    assert levels("<h1>A</h1><h4>B</h4><h1>C</h1><h2>D</h2><h5>E</h5>") == ["h2", "h3", "h3", "h3", "h4"]


def test_contents_lists_levels_two_and_three_in_order():
    page = prepare("<h1>A  <em>b</em></h1><h2>C</h2><h3>D</h3><h2>E</h2>", prefix="nb", title="Unused")
    found = [(heading.level, heading.text, heading.anchor) for heading in page.headings]
    assert found == [(2, "A b", "nb"), (3, "C", "nb-c"), (3, "E", "nb-e")]


@pytest.mark.parametrize("html", ["<p>No heading.</p>", "<h2>Section before any title</h2>", ""])
def test_fragment_without_title_gets_one(html):
    page = prepare(html, prefix="nb", title="Data audit")
    assert (page.headings[0].level, page.headings[0].text, page.headings[0].anchor) == (2, "Data audit", "nb")


def test_equal_headings_get_different_ids():
    page = prepare("<h1>T</h1><h2>Checks</h2><h2>Checks</h2><h2>Checks 2</h2>", prefix="nb", title="Unused")
    assert [h.anchor for h in page.headings] == ["nb", "nb-checks", "nb-checks-2", "nb-checks-2-2"]


@given(st.lists(st.text(alphabet="ab -2é漢", min_size=1, max_size=4), max_size=12))
def test_ids_are_unique_whatever_the_headings_say(texts):
    html = "<h1>T</h1>" + "".join(f"<h2>{text}</h2><p id='{slug(text)}'>x</p>" for text in texts)
    soup = BeautifulSoup(prepare(html, prefix="nb", title="Unused").html, "html.parser")
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids)) == 2 * len(texts) + 1


def test_references_follow_their_target():
    soup = prepared(
        '<h2>My Section</h2><a href="#My-Section">x</a><input id="i"><label for="i">y</label>'
        '<p id="d">z</p><p aria-describedby="d i">w</p>'
    )
    assert soup.find("a")["href"] == "#" + soup.find("h3")["id"] == "#notebook-01-my-section"
    assert soup.find("label")["for"] == soup.find("input")["id"]
    assert soup.find(attrs={"aria-describedby": True})["aria-describedby"] == "notebook-01-d notebook-01-i"


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<style>body{display:none}</style>",
        '<iframe src="https://example.org"></iframe>',
        '<link rel="stylesheet" href="https://example.org/a.css">',
        '<meta http-equiv="refresh" content="0;url=https://example.org">',
        '<base href="https://example.org">',
        '<object data="https://example.org/x"></object>',
        '<embed src="https://example.org/x">',
    ],
)
def test_active_elements_are_removed(html):
    assert [tag.name for tag in prepared(f"<p>before</p>{html}<p>after</p>").find_all(True)] == ["h2", "p", "p"]


@pytest.mark.parametrize(
    ("html", "attribute"),
    [
        ('<p onclick="x()">t</p>', "onclick"),
        ('<p style="background:url(https://example.org/a)">t</p>', "style"),
        ('<p style="background:u\\72l(//example.org)">t</p>', "style"),
        ('<svg><image href="https://example.org/a.png"></image></svg>', "href"),
        ('<svg><use xlink:href="https://example.org/a.svg#b"></use></svg>', "xlink:href"),
        ('<video poster="https://example.org/a.png"></video>', "poster"),
        ('<audio src="//example.org/a"></audio>', "src"),
        ('<img alt="t" src="data:image/gif;base64,R0" srcset="https://example.org/a 2x">', "srcset"),
    ],
)
def test_attributes_that_run_or_load_are_removed(html, attribute):
    assert not prepared(html).find_all(attrs={attribute: True})


def test_plain_style_and_embedded_image_stay():
    soup = prepared('<img alt="A spine" src="data:image/webp;base64,AA" style="max-width:100%">')
    assert soup.find("img").attrs == {"alt": "A spine", "src": "data:image/webp;base64,AA", "style": "max-width:100%"}


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("https://doi.org/10.1000/1", "https://doi.org/10.1000/1"),
        ("03_training.ipynb", "#notebook-03"),
        ("../notebooks/03_training.ipynb#4-Training", "#notebook-03"),
        ("javascript:alert(1)", None),
        (" JavaScript:alert(1)", None),
        ("data:text/html,x", None),
        ("../params/default.yaml", None),
        ("//example.org", None),
    ],
)
def test_links_lead_into_the_report_or_to_the_web_or_are_text(href, expected):
    soup = prepared(f'<p><a href="{href}">words</a></p>')
    link = soup.find("a")
    assert (link["href"] if link else None) == expected
    assert "words" in soup.get_text()


@pytest.mark.parametrize(
    "alt", ["", ' alt=""', ' alt="Image"', ' alt="No description has been provided for this image"']
)
def test_image_without_description_says_so_and_where_it_stands(alt):
    soup = prepared(f'<h2>History</h2><img{alt} src="data:image/png;base64,AA">')
    assert soup.find("img")["alt"] == "Figure under “History”; the notebook gives no description of it"


def test_image_from_elsewhere_becomes_its_description():
    soup = prepared('<p><img alt="A spine" src="https://example.org/a.png"></p>')
    assert soup.find("img") is None
    assert soup.find("p").get_text() == "[Image not embedded: A spine]"


def test_every_table_scrolls_in_a_named_container_of_its_own():
    soup = prepared(
        "<h2>Counts</h2><table><tr><td>1</td></tr></table>"
        '<div class="study-table-scroll"><table><caption>By class</caption><tr><td>1</td></tr></table></div>'
    )
    holders = soup.select("div.study-table-scroll")
    assert [holder["aria-label"] for holder in holders] == ["Table under “Counts”", "By class"]
    assert all(holder["tabindex"] == "0" and len(holder.find_all("table")) == 1 for holder in holders)


def test_headings_of_number_columns_are_aligned_with_their_numbers():
    soup = prepared(
        "<table><thead><tr><th>a</th><th>b</th></tr></thead>"
        '<tbody><tr><td>x</td><td class="number">1</td></tr></tbody></table>'
    )
    assert [th.get("class") for th in soup.find_all("th")] == [None, ["number"]]


def test_an_empty_heading_of_a_column_is_a_plain_cell():
    soup = prepared("<table><thead><tr><th> </th><th>b</th></tr></thead></table>")
    assert [cell.name for cell in soup.find("tr").find_all(True)] == ["td", "th"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4 · Where it looks", "4-where-it-looks"), ("κ é", "e"), ("骨折", "section"), ("", "section")],
)
def test_slug(text, expected):
    assert slug(text) == expected
