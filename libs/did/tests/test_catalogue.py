"""Every refusal of this library has its row in the catalogue, and its package shows what it promises."""

import re
from pathlib import Path

import didymos_did
from didymos_contracts.errors import CATALOGUE

SOURCES = Path(didymos_did.__file__).parent
CODE = re.compile(r'"((?:platform|key|did|vc|grant|enrolment|seal|wallet)\.[a-z_]+)"')


def test_every_code_is_a_row_of_the_catalogue() -> None:
    codes = {code for source in SOURCES.glob("*.py") for code in CODE.findall(source.read_text())}
    assert len(codes) > 20
    assert codes <= CATALOGUE.keys()


def test_the_package_shows_what_it_promises() -> None:
    assert [name for name in didymos_did.__all__ if not hasattr(didymos_did, name)] == []
    assert len(set(didymos_did.__all__)) == len(didymos_did.__all__)
