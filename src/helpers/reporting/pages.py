"""What all HTML pages of the project share: templates, stylesheet, and how numbers keep their signs beside them."""

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from helpers.reporting.notebooks import TEMPLATES
from helpers.reporting.wording import code_spans, in_pieces, unbroken


@cache  # templates are compiled once
def page_environment() -> Environment:
    """Templates that escape every value and refuse a name that they do not know."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"unbroken": unbroken, "in_pieces": in_pieces, "code_spans": code_spans}
    return environment


def own_source(environment: Environment, name: str) -> Markup:
    """Text of one of our own files, such as the stylesheet, to be inserted as it is."""
    return Markup(environment.loader.get_source(environment, name)[0])  # noqa: S704 (our own file)
