"""The picture of latency against offered load."""

from collections.abc import Mapping
from pathlib import Path

from bench.measured import Run


def draw_offered_loads(offered: Mapping[str, list[tuple[float, Run]]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    for service, points in offered.items():
        rates = [rate for rate, _ in points]
        (line,) = axes.plot(rates, [run.p50_ms for _, run in points], marker="o", label=f"{service}, p50")
        axes.plot(rates, [run.p99_ms for _, run in points], marker=".", ls="--", color=line.get_color(), label="p99")
    axes.set(
        yscale="log",
        xlabel="single-order requests offered each second (Poisson)",
        ylabel="ms from when a request was due to its answer",
        title="Latency against offered load",
    )
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
