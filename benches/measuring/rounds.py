"""Interleaved rounds of two sides, and the figures they give."""

import statistics


class Figure:
    """The measurements of one kind of work on one side, one per round.

    The work of a round consists of `count` items, and the times are per item.
    """

    def __init__(self, count=1):
        self.count, self.clock, self.cpu, self.extra = count, [], [], []

    def add(self, clock, cpu, extra=None):
        self.clock.append(clock / self.count)
        self.cpu.append(cpu / self.count)
        self.extra.append(extra)

    def divide(self, count):
        """Divides all times by a number of items."""
        self.clock = [clock / count for clock in self.clock]
        self.cpu = [cpu / count for cpu in self.cpu]

    def least(self):
        return min(self.clock)

    def median(self):
        return statistics.median(self.clock)

    def least_cpu(self):
        return min(self.cpu)


def interleaved(rounds, ours, theirs, warm=True):
    """Runs both sides in each round and returns their figures.

    The sides take turns in going first, so that a drift of the machine's speed affects both equally. Each is
    a function that does the work once and returns the arguments of `Figure.add`. With `warm`, a round that
    is not counted warms the caches.
    """
    figures, sides = (Figure(), Figure()), (ours, theirs)
    for number in range(-1 if warm else 0, rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            measured = sides[side]()
            if number >= 0:
                figures[side].add(*measured)
    return figures


def rotated(names, number):
    """Returns the names in the order of a round, in which another one goes first."""
    start = number % len(names)
    return names[start:] + names[:start]
