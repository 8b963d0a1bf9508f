"""Sphinx settings, see https://www.sphinx-doc.org/en/master/usage/configuration.html."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes

from trio_wsarecv._version import __version__

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import figures, pages, results

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "trio_wsarecv"
author = "trio_wsarecv contributors"
project_copyright = author
release = __version__
version = release.partition(".dev")[0]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinxcontrib.svgbob",
    "sphinxcontrib.towncrier.ext",
    "sphinxcontrib_trio",
]
default_role = "obj"
exclude_patterns = ["_build"]

# What the next release will say stands above the releases.
towncrier_draft_autoversion_mode = "draft"
towncrier_draft_working_directory = Path(__file__).parents[1]

# sphinxcontrib_trio extends the classes that autodoc consisted of before Sphinx 9.
autodoc_use_legacy_class_based = True
# Indexed, an attribute ``bytes`` would be what every ``bytes`` leads to.
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
html_title = f"trio_wsarecv {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]

# Names of other projects become links where the network is sure to be there; elsewhere the build
# must not depend on it, and they stay plain text.
other_projects = {
    "python": "https://docs.python.org/3",
    "trio": "https://trio.readthedocs.io/en/stable",
    "outcome": "https://outcome.readthedocs.io/en/latest",
    "cffi": "https://cffi.readthedocs.io/en/stable",
}
nitpick_ignore_regex = [
    # Names that no project's documentation has a place for.
    ("py:class", r"AncillaryData|Buffer|trio\.TaskStatus"),
    ("py:obj", r"trio\.socket\.SocketType\.accept"),
    # A sentence where autodoc looks for an exception.
    ("py:exc", ".* .*"),
]
if {"GITHUB_ACTIONS", "READTHEDOCS"} & os.environ.keys():
    intersphinx_mapping = {name: (url, None) for name, url in other_projects.items()}
else:
    nitpick_ignore_regex += [("py:.*", r"(?!trio_wsarecv\b).*")]


measurements = results.read(results.OUTPUT)

# The pages include the tables of the results from here.
tables = Path(__file__).parent / "_build" / "tables"
tables.mkdir(parents=True, exist_ok=True)
for name, text in pages.make(measurements).items():
    (tables / f"{name}.inc").write_text(text, "utf-8")


def measured(
    name: str, source: str, text: str, line: int, inliner: Any, *_: object
) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """Return the figure for the role ``measured``."""
    try:
        return [nodes.Text(figures.evaluate(text, measurements))], []
    except LookupError:
        message = inliner.reporter.error(f"nothing was measured as {text!r}", line=line)
        return [inliner.problematic(source, source, message)], [message]


def setup(app: Sphinx) -> None:
    """Add the role."""
    app.add_role("measured", measured)
