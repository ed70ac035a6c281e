from pathlib import Path

import pytest
from didymos_contracts.errors import Problem
from didymos_kit.errors import exit_code
from didymos_kit.settings import Section, Settings, load, names, shown
from pydantic import Field, SecretStr, ValidationError


class Hot(Section):
    url: str = "redis://127.0.0.1:6379"
    secret: SecretStr = SecretStr("")


class HouseExample(Settings):
    origin: str = "http://127.0.0.1:8080"


class TwinExample(Settings, section="twin-state"):
    hot: Hot = Hot()
    drain_seconds: float = Field(default=30, gt=0)
    roles: tuple[str, ...] = ("all",)


def refusal(environ: dict[str, str]) -> Problem:
    with pytest.raises(Problem) as raised:
        load(TwinExample, environ, beside=[HouseExample])
    assert exit_code(raised.value) == 2
    return raised.value


def test_names_nest_and_values_are_typed() -> None:
    found = load(TwinExample, {"DIDYMOS_TWIN_STATE__HOT__URL": "redis://r", "DIDYMOS_TWIN_STATE__DRAIN_SECONDS": "5.5"})
    assert (found.hot.url, found.drain_seconds) == ("redis://r", 5.5)


def test_every_process_reads_what_is_common() -> None:
    assert load(HouseExample, {"DIDYMOS_ORIGIN": "https://a"}).origin == "https://a"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    problem = refusal({"DIDYMOS_TWIN_STATE__HOT__ULR": "x"})
    assert problem.row.code == "platform.unknown_setting"
    assert problem.values == {"name": "DIDYMOS_TWIN_STATE__HOT__ULR", "nearest": "DIDYMOS_TWIN_STATE__HOT__URL"}
    assert refusal({"DIDYMOS_XYZZY": "x"}).values == {"name": "DIDYMOS_XYZZY"}


def test_sections_of_other_services_and_foreign_names_pass() -> None:
    load(TwinExample, {"DIDYMOS_LEDGER__ANYTHING": "x", "PATH": "/bin", "DIDYMOS_FAULT": "ack:3"})


def test_a_bad_value_names_its_setting_and_never_says_it() -> None:
    problem = refusal({"DIDYMOS_TWIN_STATE__DRAIN_SECONDS": "sooo-secret"})
    assert (problem.row.code, problem.values["name"]) == (
        "platform.invalid_setting", "DIDYMOS_TWIN_STATE__DRAIN_SECONDS",
    )  # fmt: skip
    assert "sooo" not in str(problem)
    assert "sooo" not in str(refusal({"DIDYMOS_TWIN_STATE__ROLES": "sooo-secret"}))


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    found = load(TwinExample, {"DIDYMOS_TWIN_STATE__HOT__SECRET_FILE": str(path)})
    assert found.hot.secret.get_secret_value() == "s3cret"


def test_a_file_that_is_away_or_doubled_is_refused(tmp_path: Path) -> None:
    assert (
        refusal({"DIDYMOS_TWIN_STATE__HOT__URL_FILE": str(tmp_path / "no")}).values["detail"].startswith("unreadable")
    )
    both = {"DIDYMOS_TWIN_STATE__HOT__URL_FILE": str(tmp_path), "DIDYMOS_TWIN_STATE__HOT__URL": "x"}
    assert "both" in refusal(both).values["detail"]


def test_settings_never_change() -> None:
    found = load(TwinExample, {})
    with pytest.raises(ValidationError):
        found.drain_seconds = 3
    with pytest.raises(ValidationError):
        found.hot.url = "x"


def test_printing_masks_what_is_secret() -> None:
    printed = shown(load(TwinExample, {"DIDYMOS_TWIN_STATE__HOT__SECRET": "s3cret"}))
    assert printed["DIDYMOS_TWIN_STATE__HOT__SECRET"] == "***"
    assert printed["DIDYMOS_TWIN_STATE__HOT__URL"] == "redis://127.0.0.1:6379"
    assert set(printed) == set(names(TwinExample))


def test_what_is_given_overrides_the_environment() -> None:
    assert load(TwinExample, {"DIDYMOS_TWIN_STATE__DRAIN_SECONDS": "5"}, drain_seconds=9).drain_seconds == 9


def test_nothing_is_read_behind_the_back_of_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIDYMOS_ORIGIN", "https://hidden")
    monkeypatch.setenv("ORIGIN", "https://hidden")
    assert load(HouseExample, {"X": "y"}).origin == "http://127.0.0.1:8080"
    assert HouseExample().origin == "http://127.0.0.1:8080"
