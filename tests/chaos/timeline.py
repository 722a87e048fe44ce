"""The picture of a run: latency and answers over time, with the faults drawn in."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from chaos.history import Call, FaultSeen, Weight

COLOURS = {
    "2xx": "tab:green",
    "4xx": "tab:blue",
    "503": "tab:orange",
    "504": "tab:red",
    "no answer": "black",
    "5xx": "magenta",
}


def class_of(call: Call) -> str:
    if call.status is None:
        return "no answer"
    return str(call.status) if call.status in (503, 504) else f"{call.status // 100}xx"


def draw(file: Path, title: str, calls: list[Call], faults: list[FaultSeen], weights: list[Weight]) -> None:
    figure = Figure(figsize=(16, 12), layout="constrained")
    FigureCanvasAgg(figure)
    latency, rate, lanes, memory = figure.subplots(4, 1, sharex=True, height_ratios=(3, 2, 3, 1.5))
    figure.suptitle(title)
    end_s = int(max((call.answered_s or call.at_s for call in calls), default=0)) + 1
    below: list[float] = [0.0] * end_s
    for name, colour in COLOURS.items():
        found = [call for call in calls if class_of(call) == name]
        took_s = [(call.answered_s or call.at_s) - call.at_s for call in found]
        latency.scatter([call.at_s for call in found], took_s, s=4, c=colour, label=name)
        counts = [0.0] * end_s
        for call in found:
            counts[int(call.answered_s or call.at_s)] += 1
        rate.bar(range(end_s), counts, width=1, align="edge", bottom=below, color=colour)
        below = [low + count for low, count in zip(below, counts, strict=True)]
    latency.set_ylabel("s until the answer")
    latency.set_yscale("symlog", linthresh=0.1)
    latency.legend(loc="upper right", ncols=len(COLOURS))
    rate.set_ylabel("answers in a second")
    kinds = sorted({fault.kind for fault in faults}, reverse=True)
    for fault in faults:
        lanes.barh(kinds.index(fault.kind), max(fault.end_s - fault.begin_s, 0.2), left=fault.begin_s, color="tab:red")
        for axes in (latency, rate):
            axes.axvspan(fault.begin_s, fault.end_s, color="tab:red", alpha=0.07, linewidth=0)
    lanes.set_yticks(range(len(kinds)), kinds, fontsize=7)
    for process in sorted({weight.process for weight in weights}):
        mine = [weight for weight in weights if weight.process == process]
        colour = "tab:purple" if process.startswith("ingress") else "tab:brown"
        memory.plot([weight.at_s for weight in mine], [weight.rss_mb for weight in mine], color=colour, linewidth=0.8)
    memory.set_ylabel("MB (ingress purple,\nconsumer brown)")
    memory.set_xlabel("s since the start")
    figure.savefig(file, dpi=100)
