"""Markup that is escaped already, from the extra ``pages``: a page that cannot be made is missed in one line.

Raises:
    ConfigError: on import, when markupsafe is not installed; jinja2 brings it.
"""

from __future__ import annotations

from prometheus.v10.base.errors import ConfigError
from prometheus.v10.base.extras import hint_for

try:
    from markupsafe import Markup, escape
except ImportError as error:
    raise ConfigError("a page needs jinja2", hint=hint_for("pages")) from error

__all__ = ["Markup", "escape"]
