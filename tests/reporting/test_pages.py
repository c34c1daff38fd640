import jinja2
import pytest

from helpers.reporting.pages import own_source, page_environment


def test_values_are_escaped_and_percent_signs_stay_with_their_numbers(hostile):
    shown = page_environment().from_string("{{ text | unbroken }}").render(text=f"5 % {hostile}")
    assert shown == "5\N{NO-BREAK SPACE}% &lt;script&gt;alert(1)&lt;/script&gt;"


def test_an_unknown_name_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        page_environment().from_string("{{ absent }}").render()


def test_own_files_are_inserted_as_they_are():
    environment = page_environment()
    source = own_source(environment, "report.css")
    assert ".contents > details" in environment.from_string("{{ css }}").render(css=source)
