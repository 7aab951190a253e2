"""The picture of the results: how much of the bare driver's throughput the library reaches."""

from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.plan import RATES, REPLAYS
from benchmarks.results import Campaign

LIBRARY, GOAL, LIMIT = "#3b6ea5", "#d1495b", "#444444"


class Bar(NamedTuple):
    """One ratio, with the least and the largest of its runs."""

    label: str
    least: float
    ratio: float
    largest: float
    goal: float | None


def bars(campaign: Campaign) -> list[Bar]:
    """Return a bar for each row of the table of throughput."""
    found = []
    for outcome in campaign.of(("W1", "W2", "W3", "W4", "W5", "W7")):
        case = outcome.case
        for words, name in REPLAYS if case.workload == "W4" else RATES:
            notes = ", ".join(filter(None, (case.place, case.note, words)))
            ratios = outcome.ratios(name)
            found.append(
                Bar(
                    f"{case.workload} {notes or 'no database'}",
                    ratios[0],
                    outcome.ratio(name),
                    ratios[-1],
                    case.goal,
                )
            )
    return found


def draw(campaign: Campaign, path: Path) -> None:
    """Write the plot as a PNG file; it needs matplotlib, of the extra ``bench``."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    drawn = bars(campaign)
    figure, axes = pyplot.subplots(figsize=(9, 1.6 + 0.27 * len(drawn)), layout="constrained")
    _draw_bars(axes, drawn)
    axes.axvline(1, color=LIMIT, linewidth=1, label="bare driver")
    axes.set_title("Throughput over that of the bare driver, with the same durability")
    axes.set_xlabel("ratio; the thin lines go from the smallest to the largest of the runs")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def _draw_bars(axes: Any, drawn: list[Bar]) -> None:
    places = range(len(drawn))
    axes.barh(places, [bar.ratio for bar in drawn], color=LIBRARY, height=0.7, label="library")
    axes.hlines(places, [b.least for b in drawn], [b.largest for b in drawn], LIMIT, linewidth=1)
    goals = [(place, bar.goal) for place, bar in enumerate(drawn) if bar.goal is not None]
    axes.plot(
        [goal for _, goal in goals],
        [place for place, _ in goals],
        linestyle="none",
        marker="|",
        markersize=11,
        markeredgewidth=2,
        color=GOAL,
        label="goal",
    )
    axes.set_yticks(places, [bar.label for bar in drawn], fontsize=8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_xlim(left=0)
