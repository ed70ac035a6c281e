"""The example of docs/privacy.md runs and prints what it says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs/privacy.md"


def test_the_example_prints_the_sum_that_stands_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out.strip() == re.findall(r"print\(total\)\s+# (.*)", code)[0]
