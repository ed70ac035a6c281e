"""The report of a demo run: one self-contained page, drawn from what the run measured."""

from didymos_cli.report.facts import Curve, Difference, Hop, Person, Report
from didymos_cli.report.page import render, standalone

__all__ = ["Curve", "Difference", "Hop", "Person", "Report", "render", "standalone"]
