"""REST: strict input, callers, problems, and what routes are made of."""

from didymos_kit.access import Principal
from didymos_kit.http.body import Strict, accepts, form, require_media
from didymos_kit.http.principal import PUBLIC, Caller
from didymos_kit.http.problems import problems

__all__ = ["PUBLIC", "Caller", "Principal", "Strict", "accepts", "form", "problems", "require_media"]
