"""What other packages add by entry points. A name that two claim belongs to neither: it is refused, not guessed."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from didymos_learning.errors import LearningError

T = TypeVar("T")


def installed(group: str, name: str, own: Mapping[str, T], kind: type[T]) -> T | None:
    """The `kind` of this name from `own`, or from the one package with an entry point of `group` for it; None if there
    is none. Nothing is imported but what is named.

    Raises LearningError `training.architecture_unknown`: claimed twice, or not a `kind`.
    """
    claims = [point for point in _points(group) if point.name == name]
    if not claims:
        return own.get(name)
    packages = sorted({point.dist.name if point.dist else "?" for point in claims})
    if name in own or len(claims) > 1:
        packages = [*(["didymos-learning"] if name in own else []), *packages]
        raise _refused(name, f"{group}: {name[:64]} is claimed by {' and '.join(packages)}")
    try:
        found = claims[0].load()
    except (ImportError, AttributeError) as error:
        raise _refused(name, f"{packages[0]}: {error}") from error
    if not isinstance(found, kind):
        raise _refused(name, f"{packages[0]}: {claims[0].value} is no {kind.__name__}")
    return found


def names(group: str) -> list[str]:
    """What packages add to `group`, each name once."""
    return sorted({point.name for point in _points(group)})


@cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


def _refused(name: str, detail: str) -> LearningError:
    return LearningError("training.architecture_unknown", arch=name[:64], detail=detail)
