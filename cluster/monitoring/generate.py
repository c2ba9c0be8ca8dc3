"""Writes dashboards/*.json, which are committed. Needs grafana-foundation-sdk, a development dependency.

python -m cluster.monitoring.generate
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, StackingMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableOption, VariableRefresh, VariableSort

from cluster.monitoring.panels import SINGLE, STRATEGIES, Panel

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH, HEIGHT = 12, 8  # cells; a dashboard is 24 wide
STACKED_OPACITY, PLAIN_OPACITY = 60, 5  # percent


def dashboards() -> Mapping[str, str]:
    """Names of files, and what is in them."""
    return {
        "strategies.json": _json("dist-alexnet: strategies", "dist-alexnet-strategies", STRATEGIES),
        "run.json": _json("dist-alexnet: a run", "dist-alexnet-run", SINGLE),
    }


def _json(title: str, uid: str, rows: Sequence[tuple[str, Sequence[Panel]]]) -> str:
    builder = dashboard.Dashboard(title).uid(uid).tags(["dist-alexnet"]).refresh("10s").time("now-1h", "now").timezone("browser").editable()
    builder.with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("Prometheus"))
    builder.with_variable(_variable("strategy", "Strategy", "label_values(dist_alexnet_step, strategy)"))
    builder.with_variable(_variable("run", "Run", 'label_values(dist_alexnet_step{strategy=~"$strategy"}, run)'))
    for name, panels in rows:
        builder.with_row(dashboard.Row(name))
        for panel in panels:
            builder.with_panel(_panel(panel))
    encoder: Any = JSONEncoder(sort_keys=True, indent=1)
    return f"{encoder.encode(builder.build())}\n"


def _variable(name: str, label: str, query: str) -> Any:
    """Of which several may be chosen, and all are to begin with."""
    everything = VariableOption(selected=True, text="All", value="$__all")
    variable = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(query).multi(True).include_all(True).all_value(".*")
    return variable.current(everything).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


def _panel(panel: Panel) -> Any:
    builder = timeseries.Panel().title(panel.title).unit(panel.unit).datasource(SOURCE).span(WIDTH).height(HEIGHT)
    if panel.text:
        builder.description(panel.text)
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
    builder.legend(legend).fill_opacity(STACKED_OPACITY if panel.stacked else PLAIN_OPACITY)
    if panel.stacked:
        builder.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    for number, (query, name) in enumerate(panel.queries):
        builder.with_target(prometheus.Dataquery().expr(query).legend_format(name).ref_id(chr(ord("A") + number)).range())
    return builder


def main() -> None:
    """Write them."""
    for name, text in dashboards().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
