"""Settings of a process: environment names under `DIDYMOS_`, files for what is secret, and no name that nobody reads.

`class TwinStateSettings(Settings, section="twin-state")` with a field `hot: HotSettings` reads
`DIDYMOS_TWIN_STATE__HOT__URL`, or the file that `DIDYMOS_TWIN_STATE__HOT__URL_FILE` names.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Final, TypeVar, Union, get_args, get_origin

from didymos_contracts.errors.platform import PLATFORM_INVALID_SETTING, PLATFORM_UNKNOWN_SETTING
from didymos_contracts.metrics import SERVICES
from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX: Final = "DIDYMOS_"
FILE: Final = "_FILE"
MASK: Final = "***"
_TESTS_ONLY: Final = frozenset({"DIDYMOS_FAULT"})  # fault points of the chaos tests


class Section(BaseModel):
    """A group of settings inside a class of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(BaseSettings):
    """Base of a service's settings. Units are in the names: `_seconds`, `_bytes`. Read by `load`, never by itself."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_nested_delimiter="__")
    env_prefix: ClassVar[str] = PREFIX

    def __init_subclass__(cls, section: str = "", **given: Any) -> None:  # noqa: ANN401 - of the framework
        super().__init_subclass__(**given)
        cls.env_prefix = PREFIX + (f"{section.upper().replace('-', '_')}__" if section else "")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        """Nothing is read behind the back of `load`."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


S = TypeVar("S", bound=Settings)


def load(
    cls: type[S], environ: Mapping[str, str] | None = None, *, beside: Iterable[type[Settings]] = (), **given: object
) -> S:
    """The settings of this process. `beside`: other classes it reads; `given` overrides the environment.

    Names in the sections of other services pass: pods may share one environment. Raises PLATFORM_UNKNOWN_SETTING with
    the nearest name, PLATFORM_INVALID_SETTING; both end a process with 2.
    """
    given_names = os.environ if environ is None else environ
    found = {name: text for name, text in given_names.items() if name.startswith(PREFIX)}
    classes: tuple[type[Settings], ...] = (cls, *beside)
    known = {name for each in classes for name in names(each)}
    for name in sorted(found):
        if _base(name) not in known and name not in _TESTS_ONLY and not _elsewhere(name, classes):
            raise PLATFORM_UNKNOWN_SETTING.problem(name=name, **_nearest(name, known))
    source = EnvSettingsSource(cls, case_sensitive=False, env_prefix=cls.env_prefix, env_nested_delimiter="__")
    source.env_vars = {name.lower(): text for name, text in _resolved(found).items()}
    try:
        return cls(**{**source(), **given})
    except ValidationError as error:
        raise _invalid(cls, error) from None
    except ValueError as error:  # a nested value that should be JSON and is not
        raise PLATFORM_INVALID_SETTING.problem(name=cls.env_prefix, detail=str(error).partition(":")[0]) from None


def names(cls: type[BaseModel], prefix: str | None = None) -> Iterator[str]:
    """Every environment name that `cls` reads."""
    start = prefix if prefix is not None else getattr(cls, "env_prefix", PREFIX)
    for field, info in cls.model_fields.items():
        name = start + field.upper()
        inner = _section(info.annotation)
        if inner is None:
            yield name
        else:
            yield from names(inner, f"{name}__")


def shown(settings: BaseModel, prefix: str | None = None) -> dict[str, str]:
    """Environment name to effective value, secrets as `***`: what `didymos settings` prints."""
    start = prefix if prefix is not None else getattr(type(settings), "env_prefix", PREFIX)
    said: dict[str, str] = {}
    for field in type(settings).model_fields:
        value, name = getattr(settings, field), start + field.upper()
        if isinstance(value, BaseModel):
            said.update(shown(value, f"{name}__"))
        else:
            said[name] = MASK if isinstance(value, SecretStr | SecretBytes) else str(value)
    return said


def _section(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - an annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType):
        return next((found for found in map(_section, get_args(annotation)) if found), None)
    return None


def _base(name: str) -> str:
    return name.removesuffix(FILE)


def _elsewhere(name: str, classes: Iterable[type[Settings]]) -> bool:
    """Whether the name lies in the section of a service that this process is not."""
    ours = {each.env_prefix for each in classes}
    sections = (PREFIX + service.upper().replace("-", "_") + "__" for service in SERVICES)
    return any(name.startswith(section) and section not in ours for section in sections)


def _nearest(name: str, known: Iterable[str]) -> dict[str, str]:
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return {"nearest": near[0]} if near else {}


def _resolved(found: Mapping[str, str]) -> dict[str, str]:
    """Names with the content of their files. A name that is given both ways is refused: one of them is stale."""
    resolved = {name: text for name, text in found.items() if not name.endswith(FILE)}
    for name, path in found.items():
        if not name.endswith(FILE):
            continue
        if _base(name) in resolved:
            raise PLATFORM_INVALID_SETTING.problem(name=name, detail="given both by value and by file")
        try:
            resolved[_base(name)] = Path(path).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise PLATFORM_INVALID_SETTING.problem(name=name, detail=f"unreadable: {type(error).__name__}") from None
    return resolved


def _invalid(cls: type[Settings], error: ValidationError) -> Exception:
    first = error.errors(include_input=False, include_url=False)[0]
    name = cls.env_prefix + "__".join(str(step).upper() for step in first["loc"])
    return PLATFORM_INVALID_SETTING.problem(name=name, detail=first["msg"])
