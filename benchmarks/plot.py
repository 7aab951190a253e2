"""The picture of the results: how much of the bare driver's throughput the library reaches, and how
far it stays below its limits.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.plan import GROWTH, LONG, MEMORY, RATES, REPLAYS
from benchmarks.results import Campaign, Outcome, Spread

LIBRARY, GOAL, LIMIT = "#3b6ea5", "#d1495b", "#444444"


class Bar(NamedTuple):
    """One measure, of all runs, and what is its goal."""

    label: str
    spread: Spread
    goal: float | None


def ratios(campaign: Campaign) -> Iterator[Bar]:
    """Yield a bar for each row of the table of throughput."""
    for outcome in campaign.of(("W1", "W2", "W3", "W4", "W5", "W7")):
        for words, name in REPLAYS if outcome.case.workload == "W4" else RATES:
            yield Bar(_label(outcome, words), outcome.ratio(name), outcome.case.goal)


def limits(campaign: Campaign) -> Iterator[Bar]:
    """Yield a bar for each figure that is to stay below a limit: as a share of that limit."""
    for outcome, words, spread, limit in _limited(campaign):
        if limit is not None:
            yield Bar(_label(outcome, words), spread.times(1 / limit), 1)


def _limited(campaign: Campaign) -> Iterator[tuple[Outcome, str, Spread, float | None]]:
    for outcome in campaign.of(("W4",)):
        for words, name in MEMORY:
            yield outcome, f"memory, {words}", outcome.kilobytes(name), outcome.case.memory
    for workload, figures, kind in (
        ("W4L", LONG, "memory"),
        ("W4S", (("", "times"),), "snapshot"),
        ("W9", GROWTH, "large store"),
        ("W10", (("", "import_over_sqlalchemy"),), "import"),
    ):
        for outcome in campaign.of((workload,)):
            for words, name in figures:
                about = ", ".join(filter(None, (kind, words)))
                yield outcome, about, outcome.library(name), outcome.case.goal


def _label(outcome: Outcome, words: str) -> str:
    case = outcome.case
    notes = ", ".join(filter(None, (case.place, case.note, words)))
    return f"{case.workload} {notes or 'no database'}"


def draw(campaign: Campaign, path: Path) -> None:
    """Write the plot as a PNG file; it needs matplotlib, of the extra ``bench``."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    above, below = list(ratios(campaign)), list(limits(campaign))
    figure, (top, bottom) = pyplot.subplots(
        2,
        figsize=(9, 3 + 0.27 * (len(above) + len(below))),
        height_ratios=(len(above) + 2, len(below) + 2),
        layout="constrained",
    )
    _draw_bars(top, above, "Throughput over that of the bare driver, with the same durability")
    top.axvline(1, color=LIMIT, linewidth=1, label="bare driver")
    top.set_xlabel("ratio; the thin lines go from the smallest to the largest of the runs")
    _draw_bars(bottom, below, "What is to stay below a limit, over that limit")
    bottom.set_xlabel("shorter is better; the goal is 1")
    for axes in (top, bottom):
        axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def _draw_bars(axes: Any, drawn: list[Bar], title: str) -> None:
    places, spreads = range(len(drawn)), [bar.spread for bar in drawn]
    axes.barh(places, [s.median for s in spreads], color=LIBRARY, height=0.7, label="library")
    least, largest = [s.least for s in spreads], [s.largest for s in spreads]
    axes.hlines(places, least, largest, LIMIT, linewidth=1)
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
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
