"""Self-contained pages: where their templates lie. No page has a script or fetches anything."""

from typing import TYPE_CHECKING

from lacbench.errors import MissingError

if TYPE_CHECKING:
    from jinja2 import Template


def load_template(name: str) -> "Template":
    """A template of `lacbench/templates`; what it is handed is escaped. Raises MissingError without Jinja."""
    try:
        import jinja2
    except ImportError as error:
        raise MissingError("the report needs Jinja; run: pip install 'lacbench[report]'") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lacbench"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)
