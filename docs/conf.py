"""Sphinx settings, see https://www.sphinx-doc.org/en/master/usage/configuration.html."""

from __future__ import annotations

import os

from trio_wsarecv._version import __version__

project = "trio_wsarecv"
author = "trio_wsarecv contributors"
project_copyright = author
release = __version__
version = release.partition("+")[0]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinxcontrib_trio",
]
default_role = "obj"
exclude_patterns = ["_build", "newsfragments"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
html_title = f"trio_wsarecv {release}"

# Names of other projects become links where the network is sure to be there; elsewhere the build
# must not depend on it, and they stay plain text.
other_projects = {
    "python": "https://docs.python.org/3",
    "trio": "https://trio.readthedocs.io/en/stable",
    "outcome": "https://outcome.readthedocs.io/en/latest",
    "cffi": "https://cffi.readthedocs.io/en/stable",
}
if {"GITHUB_ACTIONS", "READTHEDOCS"} & os.environ.keys():
    intersphinx_mapping = {name: (url, None) for name, url in other_projects.items()}
else:
    nitpick_ignore_regex = [("py:.*", r"(?!trio_wsarecv\b).*")]
