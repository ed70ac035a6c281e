"""States as bytes and back, for the store that keeps them before anything is sent. JSON of a closed set of classes."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from didymos_privacy import coordinator_states as coordinator
from didymos_privacy import messages, opening, plan, site_round, site_setup
from didymos_privacy.errors import PrivacyError

_SHARED: Final = (messages, opening, plan, site_setup)


def _classes(*modules: Any) -> Mapping[str, type]:  # noqa: ANN401 - modules
    found = (value for module in modules for value in vars(module).values())
    return {value.__name__: value for value in found if isinstance(value, type) and is_dataclass(value)}


_SITE: Final = _classes(*_SHARED, site_round)
_COORDINATOR: Final = _classes(*_SHARED, coordinator)


def site_state_bytes(state: site_round.State) -> bytes:
    """Secrets in clear: the store is the site's own, and overwrites what it deletes."""
    return json.dumps(_plain(state), separators=(",", ":")).encode()


def site_state(raw: bytes) -> site_round.State:
    """Raises PrivacyError `privacy.state_malformed`."""
    state: site_round.State = _read(raw, _SITE)
    return state


def coordinator_state_bytes(state: coordinator.State) -> bytes:
    return json.dumps(_plain(state), separators=(",", ":")).encode()


def coordinator_state(raw: bytes) -> coordinator.State:
    """Raises PrivacyError `privacy.state_malformed`."""
    state: coordinator.State = _read(raw, _COORDINATOR)
    return state


def _plain(value: object) -> Any:  # noqa: ANN401 - what JSON can say
    match value:
        case bytes():
            return {"b": b64encode(value).decode()}
        case tuple():
            return [_plain(each) for each in value]
        case None | bool() | int() | str():
            return value
        case _ if is_dataclass(value):
            return {"is": type(value).__name__} | {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    raise TypeError(f"no state holds a {type(value).__name__}")


def _read(raw: bytes, known: Mapping[str, type]) -> Any:  # noqa: ANN401 - one of the known classes
    try:
        found = _value(json.loads(raw), known)
    except (ValueError, TypeError, KeyError) as error:
        raise PrivacyError("privacy.state_malformed", "not a state that was kept here") from error
    if not is_dataclass(found):
        raise PrivacyError("privacy.state_malformed", "not a state that was kept here")
    return found


def _value(said: Any, known: Mapping[str, type]) -> Any:  # noqa: ANN401 - what `_plain` wrote
    match said:
        case {"is": name, **rest}:
            return known[name](**{str(key): _value(value, known) for key, value in rest.items()})
        case {"b": text}:
            return b64decode(text, validate=True)
        case list():
            return tuple(_value(each, known) for each in said)
    return said
