"""Draws docs/dashboard.png: what packaging/grafana-dashboard.json shows of a server, by the answers of a Prometheus.

Usage: dashboard.py http://localhost:9090 MINUTES docs/dashboard.png

Not part of the gate. It needs matplotlib. Grafana itself is not needed: the panels, their places, queries, legends and
units are read from the dashboard's file. A query that Prometheus refuses ends the run, and so does a panel without an
answer, but for those of several nodes.
"""

import json
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import EngFormatter, PercentFormatter

DASHBOARD = Path(__file__).parent.parent / "packaging" / "grafana-dashboard.json"
STEP_SECONDS = 5
RATE_INTERVAL = "20s"
# The size of a cell of the dashboard's grid.
INCHES_PER_COLUMN, INCHES_PER_ROW = 0.62, 0.34
# For the title, and the minutes of the panel above.
ROWS_BETWEEN = 2
# What need not have happened.
MAY_BE_EMPTY = {"Broker", "Through the broker", "Entries appended"}
FORMATS = {
    "s": EngFormatter(unit="s"),
    "bytes": EngFormatter(unit="B"),
    "Bps": EngFormatter(unit="B/s"),
    "ops": EngFormatter(unit="/s"),
    "percentunit": PercentFormatter(1),
}


def query(prometheus, expr, start, end):
    expr = expr.replace("$__rate_interval", RATE_INTERVAL).replace("$instance", ".*")
    fields = {"query": expr, "start": start, "end": end, "step": STEP_SECONDS}
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(fields)}"
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["data"]["result"]


def legend(pattern, labels):
    for name, value in labels.items():
        pattern = pattern.replace("{{" + name + "}}", value)
    return pattern


def draw(panel, axes, prometheus, start, end):
    count = 0
    for target in panel["targets"]:
        for series in query(prometheus, target["expr"], start, end):
            times = [float(at) - start for at, _ in series["values"]]
            values = [float(value) for _, value in series["values"]]
            label = legend(target.get("legendFormat", ""), series["metric"])
            axes.plot(times, values, linewidth=1, label=label)
            count += 1
    if not count and panel["title"] not in MAY_BE_EMPTY:
        sys.exit(f"panel {panel['title']}: no series")
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    scale = defaults.get("custom", {}).get("scaleDistribution", {})
    if scale.get("type") == "symlog":
        axes.set_yscale("symlog", base=scale["log"], linthresh=scale["linearThreshold"])
    axes.set_title(panel["title"], fontsize=9, loc="left")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, end - start)
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=7)
    axes.yaxis.set_major_formatter(FORMATS.get(defaults.get("unit"), EngFormatter()))
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds / 60:.0f} min")
    if count:
        axes.legend(fontsize=6, loc="best", framealpha=0.4)


def main():
    prometheus, minutes, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    end = time.time()
    start = end - 60 * minutes
    panels = json.loads(DASHBOARD.read_text())["panels"]
    places = [panel["gridPos"] for panel in panels]
    columns = max(place["x"] + place["w"] for place in places)
    rows = max(place["y"] + place["h"] for place in places)
    pyplot.style.use("dark_background")
    figure = pyplot.figure(figsize=(columns * INCHES_PER_COLUMN, rows * INCHES_PER_ROW))
    grid = figure.add_gridspec(rows, columns, left=0.04, right=0.99, top=0.98, bottom=0.02, hspace=0, wspace=8)
    for panel, place in zip(panels, places):
        across = slice(place["x"], place["x"] + place["w"])
        down = slice(place["y"], place["y"] + place["h"] - ROWS_BETWEEN)
        draw(panel, figure.add_subplot(grid[down, across]), prometheus, start, end)
    figure.savefig(out, dpi=75)


main()
