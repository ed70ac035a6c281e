"""What helm makes of every example, beside its values; the chart's README. `make chart-generate` writes all of it.

The dashboards and the rules are left out of the renders: they are files of the chart, and lie there once already.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tools import chart_topics, values_schema
from tools.chart_tools import CHART, render

EXAMPLES: Final = CHART / "examples"
APIS: Final[Mapping[str, tuple[str, ...]]] = {
    "operators": (
        "keda.sh/v1alpha1", "gateway.networking.k8s.io/v1", "kafka.strimzi.io/v1beta2", "monitoring.coreos.com/v1",
    ),
}  # fmt: skip
ELSEWHERE: Final = ("templates/dashboards.yaml", "templates/prometheusrule.yaml")
README: Final = CHART / "README.md"
KEY: Final = re.compile(r"^( *)([A-Za-z][A-Za-z0-9-]*):(?: (.*))?$")


def examples() -> list[str]:
    """`small`, `three-organisations/clinic` and so on."""
    return sorted(str(path.parent.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("values.yaml"))


def rendered(example: str, *arguments: str) -> str:
    """All of it, as helm prints it."""
    apis = [word for api in APIS.get(example, ()) for word in ("--api-versions", api)]
    return render([EXAMPLES / example / "values.yaml"], *apis, *arguments, release=example.rpartition("/")[2])


def without_files(text: str) -> str:
    kept = [part for part in text.split("\n---\n") if not any(f"/{name}\n" in part for name in ELSEWHERE)]
    return "\n---\n".join(kept).rstrip("\n") + "\n"


def golden(example: str) -> dict[Path, str]:
    """File to content, for one example: its install, and the hooks before an upgrade."""
    folder = EXAMPLES / example / "rendered"
    upgrade = rendered(example, "--is-upgrade", "-s", "templates/migrate.yaml")
    return {folder / "install.yaml": without_files(rendered(example)), folder / "upgrade.yaml": upgrade}


def rows() -> Iterator[tuple[str, str, str]]:
    """Dotted key, default and description of each value, from the comments in values.yaml that begin with `-- `."""
    path: list[tuple[int, str]] = []
    said: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            said = [text.removeprefix("# -- ")]
        elif text.startswith("# ") and said:
            said.append(text.removeprefix("# "))
        elif found := KEY.match(line):
            depth = len(found[1])
            path = [*[step for step in path if step[0] < depth], (depth, found[2])]
            if said:
                yield ".".join(name for _, name in path), (found[3] or "").partition("  #")[0].strip(), " ".join(said)
            said = []


def readme() -> str:
    lines = [
        "# Didymos, the chart", "",
        "All services of Didymos, a gateway for their one origin, and the stores they need, in the chart or outside.",
        "How to install, upgrade and remove it: `docs/guides/deploy.md`. What an upgrade asks of you: `UPGRADING.md`.",
        "This file is made from `values.yaml` by `tools/chart_golden.py`.", "",
        "| example | for |", "|---|---|",
    ]  # fmt: skip
    for example in examples():
        first = (EXAMPLES / example / "values.yaml").read_text().partition("\n")[0].removeprefix("# ")
        lines.append(f"| [{example}](examples/{example}/values.yaml) | {first} |")
    lines += ["", "| value | default | what it says |", "|---|---|---|"]
    for key, default, said in rows():
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{key}` | {shown} | {said.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Topics and schema first: helm reads them."""
    chart_topics.TARGET.write_text(chart_topics.text())
    values_schema.TARGET.write_text(values_schema.text())
    README.write_text(readme())
    for example in examples():
        for path, text in golden(example).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    main()
