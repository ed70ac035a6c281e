"""Cut the forecast picture out of a demo's report, with its colours, for the README: docs/img/forecast.svg."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STYLE = ROOT / "cli/src/didymos_cli/report/page.css"
RULES = re.compile(r"^(:root|@media|\.axis|\.dot)", re.MULTILINE)


def main() -> int:
    report = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/demo/report.html").read_text()
    found = re.search(r"<svg.*?</svg>", report, re.DOTALL)
    if found is None:
        print("picture: the report holds none", file=sys.stderr)
        return 1
    rules = "".join(line for line in STYLE.read_text().splitlines() if RULES.match(line))
    opened, closed = found[0].split(">", 1)
    if "xmlns=" not in opened:
        opened += ' xmlns="http://www.w3.org/2000/svg"'
    style = f"<style>{rules}</style><rect width='100%' height='100%' rx='10' style='fill:var(--card)'/>"
    target = ROOT / "docs/img/forecast.svg"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{opened}>{style}{closed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
