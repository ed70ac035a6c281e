"""Dashboards as data: panels, the few shapes of query they ask, and how they become Grafana's JSON.

A dashboard is a list of rows, a row a list of panels, a panel its queries. What no panel may do without (title,
description, unit, the templated datasource) is a field here, so it cannot be left out.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the kit points at its next kind of dashboard at import
    from grafana_foundation_sdk.builders import dashboard as grafana
    from grafana_foundation_sdk.builders import prometheus, stat, timeseries
    from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions, VizTooltipOptions
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, TooltipDisplayMode
    from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef

WINDOW: Final = "$__rate_interval"
RANGE: Final = "$__range"
HERE: Final = 'namespace=~"$namespace"'
WIDTH: Final = 24  # columns of Grafana's grid
DATASOURCE: Final = "${datasource}"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, and how a line of the answer is called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`span` in columns of 24. `one` shows a number instead of lines. `needs`: a back end without which it is empty."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    span: int = 8
    one: bool = False
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`name` is the file, and the end of the uid."""

    name: str
    title: str
    description: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)


def select(metric: str, labels: str = "") -> str:
    """The series of a metric in the namespaces that are chosen."""
    return f"{metric}{{{HERE}{', ' if labels else ''}{labels}}}"


def per_second(metric: str, by: str = "", labels: str = "") -> str:
    """The rate of a counter, added up over all processes but for the labels `by`."""
    return f"sum{f' by ({by})' if by else ''} (rate({select(metric, labels)}[{WINDOW}]))"


def quantile(share: float, histogram: str, by: str = "", labels: str = "") -> str:
    """Below which value `share` of what a histogram saw lies."""
    over = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({over}) (rate({select(f'{histogram}_bucket', labels)}[{WINDOW}])))"


def ratio(part: str, whole: str) -> str:
    """Two expressions over the same labels. Where nothing happened the share is 0, not nothing."""
    return f"({part}) / ({whole} > 0) or ({whole}) * 0"


def highest(gauge: str, by: str = "", labels: str = "") -> str:
    """The worst of all processes."""
    return f"max{f' by ({by})' if by else ''} ({select(gauge, labels)})"


def total(gauge: str, by: str = "", labels: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} ({select(gauge, labels)})"


def counted(counter: str, labels: str = "") -> str:
    """How much a counter grew within the time that is shown."""
    return f"sum (increase({select(counter, labels)}[{RANGE}]))"


def lines(title: str, description: str, unit: str, *queries: tuple[str, str], span: int = 8, needs: str = "") -> Panel:
    """A panel of lines: each query with its legend."""
    return Panel(title, description, unit, tuple(Query(*query) for query in queries), span, needs=needs)


def number(title: str, description: str, unit: str, expr: str, *, span: int = 4, needs: str = "") -> Panel:
    """A panel of one number."""
    return Panel(title, description, unit, (Query(expr, title),), span, one=True, needs=needs)


def quantiles(title: str, description: str, histogram: str, by: str = "", *, span: int = 8) -> Panel:
    """Median and 99th percentile of a histogram of seconds."""
    label = f"{{{{{by}}}}} " if by else ""
    return lines(
        title, description, "s", (quantile(0.5, histogram, by), f"{label}p50"),
        (quantile(0.99, histogram, by), f"{label}p99"), span=span,
    )  # fmt: skip


def _source() -> DataSourceRef:
    return DataSourceRef(type_val="prometheus", uid=DATASOURCE)


def _built(panel: Panel) -> stat.Panel | timeseries.Panel:
    made: Any = stat.Panel() if panel.one else timeseries.Panel()  # two classes with the same methods and no parent
    made.title(panel.title).description(panel.description).unit(panel.unit).span(panel.span).datasource(_source())
    if panel.one:
        made.height(4).reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    else:
        legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        made.height(8).min(0).fill_opacity(8).legend(legend.show_legend(show_legend=True))
        made.tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    for at, query in enumerate(panel.queries):
        asked = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + at))
        made.with_target(asked.datasource(_source()))
    built: stat.Panel | timeseries.Panel = made
    return built


def to_json(said: Dashboard) -> str:
    """As Grafana imports it; the same text for the same dashboard."""
    built = grafana.Dashboard(said.title).uid(f"didymos-{said.name.replace('_', '-')}").description(said.description)
    built.tags(["didymos"]).refresh("30s").time("now-1h", "now").timezone("browser").tooltip(DashboardCursorSync(1))
    built.editable()
    source = grafana.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    spaces = (
        grafana.QueryVariable("namespace").label("Namespace").query("label_values(didymos_process_ready, namespace)")
    )
    spaces.datasource(_source()).include_all(include_all=True).all_value(".*").multi(multi=True)
    built.with_variable(source).with_variable(spaces)
    for row in said.rows:
        built.with_row(grafana.Row(row.title))
        for panel in row.panels:
            built.with_panel(_built(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def fits(row: Row) -> bool:
    """Whether the panels of a row fill whole lines of the grid."""
    return sum(panel.span for panel in row.panels) % WIDTH == 0


def all_queries(panels: Sequence[Panel]) -> tuple[str, ...]:
    return tuple(query.expr for panel in panels for query in panel.queries)
