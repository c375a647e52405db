# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The charts, as SVG text."""

import math
from xml.sax.saxutils import escape

import report
from workloads import WORKLOADS

FONT = "font-family='system-ui, sans-serif'"
INK, GREY, GRID = "#1f2328", "#59636e", "#d1d9e0"
OURS = "#0969da"
COLOURS = {"none": "#8c959f", "db": "#9a6700", "sqlite": "#bc4c00", "sqlite-0": "#cf222e",
           "lmdb": OURS, "lmdb-os": "#54aeff", "lmdb-always": "#0a3069", "nats": "#8250df",
           "rabbitmq": "#1a7f37"}


def text(x, y, words, size=12, colour=INK, anchor="start", weight="normal"):
    return (f"<text x='{x:.1f}' y='{y:.1f}' {FONT} font-size='{size}' fill='{colour}' "
            f"text-anchor='{anchor}' font-weight='{weight}'>{escape(words)}</text>")


def svg(width, height, parts):
    return (f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height:.0f}' "
            f"viewBox='0 0 {width} {height:.0f}' role='img'>\n"
            f"<rect width='{width}' height='{height:.0f}' fill='#ffffff'/>\n" +
            "\n".join(parts) + "\n</svg>\n")


def bar_panel(y, title, unit, bars):
    """Bars: (program name, label, value, remark). Returns the parts and the next free y."""
    left, right, step = 215, 560, 22
    most = max(value for _, _, value, _ in bars) or 1
    parts = [text(16, y + 16, title, 14, weight="600"), text(704, y + 16, unit, 11, GREY, "end")]
    y += 28
    for name, label, value, remark in bars:
        width = max(1.0, (right - left) * value / most)
        parts.append(text(left - 8, y + 13, label, 12, INK, "end",
                          "600" if name.startswith("lmdb") else "normal"))
        parts.append(f"<rect x='{left}' y='{y + 2}' width='{width:.1f}' height='15' rx='2' "
                     f"fill='{COLOURS[name]}'/>")
        parts.append(text(left + width + 6, y + 14, f"{report.number(value)}{remark}", 11, GREY))
        y += step
    return parts, y + 14


def throughput_chart(document):
    """A panel for each workload whose figure is a rate: the median, and its ratio to `none`."""
    parts, y = [], 8
    for workload in WORKLOADS:
        bars = []
        for program in document["programs"]:
            value = report.median(document, workload.name, program["name"], (workload.figure,))
            if value is None:
                continue
            base = report.bases_of(workload)[0]
            found = report.ratio(document, workload.name, program["name"], base,
                                 (workload.figure,))
            remark = f"  × {found:.2f}" if found is not None and program["name"] != base else ""
            bars.append((program["name"], program["title"], value, remark))
        if bars:
            better = "" if workload.better == "higher" else ", less is better"
            panel, y = bar_panel(y, f"({workload.number}) {workload.title}",
                                 f"{workload.unit}, × beside {base}{better}", bars)
            parts += panel
    return svg(720, y, parts) if parts else None


def ticks(low, high, logarithmic):
    if logarithmic:
        return [10.0**power for power in range(math.floor(math.log10(low)),
                                               math.ceil(math.log10(high)) + 1)]
    step = 10 ** math.floor(math.log10(high or 1))
    while high / step < 4:
        step /= 2
    return [step * i for i in range(int(high / step) + 2)]


def short(value):
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{suffix}"
    return f"{value:g}"


def line_panel(y, title, unit, series, logarithmic):
    """Series: (colour name, label, [(x, y)]). With `logarithmic`, both axes are."""
    left, right, top, bottom = 70, 560, y + 30, y + 210
    points = [point for _, _, line in series for point in line]
    floor = 1e-9 if logarithmic else 0
    xs = ticks(min(max(x, floor) for x, _ in points), max(x for x, _ in points), logarithmic)
    ys = ticks(min(max(v, floor) for _, v in points), max(v for _, v in points), logarithmic)

    def place(value, marks, start, end):
        if logarithmic:
            value, first, last = (math.log10(max(v, 1e-9)) for v in (value, marks[0], marks[-1]))
        else:
            first, last = marks[0], marks[-1]
        return start + (end - start) * (value - first) / ((last - first) or 1)

    parts = [text(16, y + 16, title, 14, weight="600"), text(704, y + 16, unit, 11, GREY, "end")]
    for mark in ys:
        at = place(mark, ys, bottom, top)
        parts.append(f"<path d='M{left} {at:.1f}H{right}' stroke='{GRID}'/>")
        parts.append(text(left - 6, at + 4, short(mark), 10, GREY, "end"))
    for mark in xs:
        parts.append(text(place(mark, xs, left, right), bottom + 16, short(mark), 10, GREY,
                          "middle"))
    for i, (name, label, line) in enumerate(series):
        path = " ".join(f"{place(x, xs, left, right):.1f},{place(v, ys, bottom, top):.1f}"
                        for x, v in line)
        colour = COLOURS.get(name, INK)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' "
                     "stroke-width='2'/>")
        parts.append(f"<rect x='{right + 12}' y='{top + 18 * i}' width='10' height='10' "
                     f"fill='{colour}'/>")
        parts.append(text(right + 27, top + 9 + 18 * i, label, 11))
    return parts, bottom + 36


def lines_chart(panels, logarithmic):
    parts, y = [], 8
    for title, unit, series in panels:
        panel, y = line_panel(y, title, unit, series, logarithmic)
        parts += panel
    return svg(720, y, parts) if parts else None


def steady_chart(document):
    """What each program holds, second by second."""
    figures = [("Anonymous memory", "MiB", "anonymous_kib", 1 / 1024),
               ("Store on disk", "MiB", "disk_bytes", 1 / 2**20)]
    runs = [run for run in document["runs"] if run.get("broker_series")]
    panels = []
    for title, unit, key, factor in figures:
        series = [(run["program"], run["program"],
                   [(i, point[key] * factor) for i, point in enumerate(run["broker_series"])])
                  for run in runs]
        if series:
            panels.append((f"(10) {title}", unit, series))
    pauses = [(run["program"], run["program"],
               [(i, point["ack_max_us"] / 1000) for i, point in enumerate(run["seconds_series"])])
              for run in runs]
    if pauses:
        panels.append(("(10) Longest wait for an acknowledgement in each second", "ms", pauses))
    stalls = [(run["program"], run["program"], list(enumerate(run["stall_series_ms"])))
              for run in runs if "stall_series_ms" in run]
    if stalls:
        panels.append(("(10) Longest standstill of the machine itself, beside each", "ms", stalls))
    return lines_chart(panels, False)


def charts_of(document):
    """File name to SVG text."""
    made = {"throughput.svg": throughput_chart(document), "steady.svg": steady_chart(document)}
    for name, study in document["studies"].items():
        if study.get("panels"):
            made[f"{name}.svg"] = lines_chart(study["panels"], True)
    return {name: content for name, content in made.items() if content}
