"""``python scripts/simulate_scaling.py``: 1,000 queued trainings on 1 to 64 workers, as docs/scaling.md shows them.

A discrete-event simulation: each worker takes the first job of the queue, fetches the take, trains, sends the bundle;
at random a worker dies, and its job is begun anew when its lease has ended. Trainings take 3 to 20 minutes (most near
the middle); fetching and sending share one line to the store; all of these are arguments.
"""

from __future__ import annotations

import argparse
import heapq
import random
from dataclasses import dataclass

COUNTS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Outcome:
    """Hours until the last job is done, median and 95th percentile of hours until a job is done, and more."""

    hours: float
    median_h: float
    p95_h: float
    busy: float
    deaths: int


def simulate(workers: int, args: argparse.Namespace) -> Outcome:
    """Run the queue empty on ``workers`` workers."""
    chance = random.Random(args.seed)
    lengths = [60 * chance.triangular(3, 20, 8) for _ in range(args.jobs)]
    carried = 8 * args.megabytes / args.megabits  # seconds on the line for one job, both ways
    waiting = list(range(args.jobs))  # by order of arrival, as the table has them
    lost: list[tuple[float, int]] = []  # (its lease ends at, job): comes back to its place then
    free = [(0.0, w) for w in range(workers)]
    line, deaths, worked = 0.0, 0, 0.0
    done: list[float] = []
    while waiting or lost:
        begins, worker = heapq.heappop(free)
        if not waiting:
            begins = max(begins, lost[0][0])
        while lost and lost[0][0] <= begins:
            heapq.heappush(waiting, heapq.heappop(lost)[1])
        job = heapq.heappop(waiting)
        line = max(line, begins) + carried
        ends = line + args.start + lengths[job]
        dies = begins + chance.expovariate(1 / (3600 * args.hours_between_deaths))
        if dies < ends:
            deaths += 1
            heapq.heappush(lost, (dies + args.lease, job))
            heapq.heappush(free, (dies + args.restart, worker))
            continue
        worked += lengths[job]
        done.append(ends)
        heapq.heappush(free, (ends, worker))
    done.sort()
    last = done[-1]
    return Outcome(
        last / 3600,
        done[len(done) // 2] / 3600,
        done[int(0.95 * (len(done) - 1))] / 3600,
        worked / (workers * last),
        deaths,
    )


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--megabytes", type=float, default=120, help="take and bundle together, for one job")
    parser.add_argument("--megabits", type=float, default=400, help="of the line to the store, a second")
    parser.add_argument("--start", type=float, default=5, help="seconds from a lease to the first step")
    parser.add_argument("--lease", type=float, default=15, help="seconds until a dead worker's job is taken again")
    parser.add_argument("--restart", type=float, default=10, help="seconds until a dead worker is back")
    parser.add_argument("--hours-between-deaths", type=float, default=48, help="of one worker, on average")
    args = parser.parse_args(arguments)
    print("| workers | all done, h | half done, h | 95 % done, h | faster | busy | worker deaths |")
    print("|---|---|---|---|---|---|---|")
    alone = simulate(COUNTS[0], args).hours
    for count in COUNTS:
        found = simulate(count, args)
        print(
            f"| {count} | {found.hours:.1f} | {found.median_h:.1f} | {found.p95_h:.1f} "
            f"| {alone / found.hours:.1f} x | {100 * found.busy:.0f} % | {found.deaths} |"
        )


if __name__ == "__main__":
    main()
