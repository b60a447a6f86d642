"""The arithmetic of money held: purses, the pots in them, what is open, and which change a call makes. Pure.

A purse is one item. It has a pot for each budget whose money lies there, and an entry for each call (or lease) that
holds some of it. Cap = spent + free + what entries of the pot's window hold, to the nano-dollar, after every change;
a change is one conditional write, and its conditions are all that it was planned upon and that others may change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from quintet.gateway.ledger.model import Window
from quintet.store.clock import millis

MOST_OPEN = 512  # entries in one purse: some 50 KB at the worst
MOST_AT_ONCE = 24  # entries that one change touches: DynamoDB takes conditions of 4 KB

_WINDOWS = {window[0]: window for window in Window}


@dataclass(frozen=True, slots=True)
class Pot:
    """One budget's money, or a shard of it. `window` is the one that `free` and `spent` are of.

    `tag` tells the pot from one that had its name before: 16 bits, by chance.
    """

    cap: int
    free: int
    spent: int
    window: int
    tag: int

    def mark(self, number: int) -> int:
        """What an entry says of a window of this pot that it holds money in."""
        return number << 16 | self.tag

    def row(self) -> dict[str, int]:
        return {"c": self.cap, "f": self.free, "s": self.spent, "w": self.window, "g": self.tag}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Pot":
        return cls(int(row["c"]), int(row["f"]), int(row["s"]), int(row["w"]), int(row["g"]))


@dataclass(frozen=True, slots=True)
class Entry:
    """What is held for a call: `bound`, in each of `pots` (its mark), until `expires` (milliseconds).

    A lease is an entry too: `used` is what its calls have been found to cost, `lost` the bounds of those that were
    abandoned. `facts` are what the record of an abandoned call tells of it; `given_up` says that this record is on its
    way, and that no other settles the call any more.
    """

    bound: int
    at: int
    expires: int
    pots: Mapping[str, int]
    lease: bool = False
    used: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    given_up: bool = False

    def row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"b": self.bound, "a": self.at, "x": self.expires, "p": dict(self.pots)}
        if self.lease:
            row |= {"u": self.used, "z": dict(self.lost)}
        if self.facts:
            row["o"] = dict(self.facts)
        if self.given_up:
            row["y"] = 1
        return row

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Entry":
        return cls(
            bound=int(row["b"]),
            at=int(row["a"]),
            expires=int(row["x"]),
            pots={code: int(number) for code, number in row["p"].items()},
            lease="u" in row,
            used=int(row.get("u", 0)),
            lost={call: int(bound) for call, bound in row.get("z", {}).items()},
            facts=row.get("o", {}),
            given_up="y" in row,
        )

    @property
    def at_worst(self) -> int:
        """What closes an entry whose owner has died: a call's bound; of a lease what its records prove."""
        return min(self.bound, self.used + sum(self.lost.values())) if self.lease else self.bound


@dataclass(frozen=True, slots=True)
class Purse:
    """`stamp` changes when a pot comes or goes. `open` is None until the first entry."""

    stamp: int | None = None
    pots: Mapping[str, Pot] = field(default_factory=dict)
    open: Mapping[str, Entry] | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Purse":
        entries = item.get("l_open")
        return cls(
            stamp=item.get("l_stamp"),
            pots={name[2:]: Pot.of(row) for name, row in item.items() if _is_pot(name)},
            open=None if entries is None else {name: Entry.of(row) for name, row in entries.items()},
        )

    def expired(self, now: datetime) -> dict[str, Entry]:
        at = millis(now)
        return {name: entry for name, entry in (self.open or {}).items() if entry.expires <= at}


UNSEEN = Purse(open={})
"""What is assumed of a purse that nobody has looked into: a wrong guess is refused, and the refusal shows the purse."""


@dataclass(frozen=True, slots=True)
class Move:
    """One pot's part of a change. Where `window` is not the one `before`, the pot begins anew."""

    before: int
    window: int
    free: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """To be written if the purse is still as it was planned upon. `taking` says that no pot may fall below nothing."""

    stamp: int | None
    opens: bool = False
    added: Mapping[str, Entry] = field(default_factory=dict)
    replaced: Mapping[str, tuple[Entry, Entry]] = field(default_factory=dict)
    closed: Mapping[str, Entry] = field(default_factory=dict)
    moves: Mapping[str, Move] = field(default_factory=dict)
    taking: bool = False

    @property
    def empty(self) -> bool:
        return not (self.added or self.replaced or self.closed)


class Short(Exception):  # noqa: N818 - an outcome
    """A pot, as it is in the present window, does not have what was asked for: `affordable` is what it has."""

    def __init__(self, code: str, pot: Pot, affordable: int) -> None:
        super().__init__(f"only {affordable} left in {code}")
        self.code, self.pot, self.affordable = code, pot, affordable


class Crowded(Exception):  # noqa: N818 - an outcome
    """Too many entries are open."""


@dataclass(frozen=True, slots=True)
class Want:
    """An entry to be: `bound` and `expires` are fixed, its windows are those of the moment of the change."""

    name: str
    bound: int
    expires: int
    lease: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


def plan(
    purse: Purse,
    now: datetime,
    *,
    want: Want | None = None,
    costs: Mapping[str, int] | None = None,
    shrunk: Mapping[str, int] | None = None,
    revised: Mapping[str, Entry] | None = None,
) -> Change:
    """One change for all: takes what is wanted, closes entries at their `costs`, shrinks others to what they cost.

    Shrinking frees the rest of a call's bound at once; its record closes it. An entry that is wanted and there already
    grows to what is wanted. `revised` are entries as they are to be. Raises Short and Crowded.
    """
    entries = purse.open or {}
    closing = {name: min(cost, entries[name].bound) for name, cost in (costs or {}).items() if name in entries}
    numbers = {code: max(pot.window, _WINDOWS[code[-1]].number(now)) for code, pot in purse.pots.items()}
    free, spent = dict.fromkeys(numbers, 0), dict.fromkeys(numbers, 0)

    def account(entry: Entry, by_free: int, by_spent: int) -> None:
        for code, mark in entry.pots.items():
            pot = purse.pots.get(code)
            if pot is not None and pot.window == numbers[code] and mark == pot.mark(pot.window):
                free[code] += by_free
                spent[code] += by_spent

    for name, cost in closing.items():
        account(entries[name], entries[name].bound - cost, cost - entries[name].used)
    replaced: dict[str, tuple[Entry, Entry]] = {}
    changed = {name: entry for name, entry in (revised or {}).items() if name in entries}
    for name, cost in (shrunk or {}).items():
        if name in entries and cost < entries[name].bound and not entries[name].given_up:
            changed[name] = replace(entries[name], bound=cost)
    for name, after in changed.items():
        before = entries[name]
        if before != after and name not in closing:
            account(before, before.bound - after.bound, after.used - before.used)
            replaced[name] = (before, after)
    added: dict[str, Entry] = {}
    if want is not None:
        held = entries.get(want.name)
        if held is None:
            _room(entries, closing)
            marks = {code: purse.pots[code].mark(number) for code, number in numbers.items()}
            added[want.name] = Entry(want.bound, millis(now), want.expires, marks, want.lease, facts=want.facts)
            for code in numbers:
                free[code] -= want.bound
        else:
            grown = replace(
                held,
                bound=max(held.bound, want.bound),
                expires=max(held.expires, want.expires),
                facts=want.facts or held.facts,
            )
            if grown != held:
                account(held, held.bound - grown.bound, 0)
                replaced[want.name] = (held, grown)
        _afford(purse, numbers, free, want.bound)
    moves = {
        code: Move(purse.pots[code].window, number, free[code], spent[code])
        for code, number in numbers.items()
        if free[code] or spent[code] or number != purse.pots[code].window or added
    }
    return Change(
        stamp=purse.stamp,
        opens=bool(added) and purse.open is None,
        added=added,
        replaced=replaced,
        closed={name: entries[name] for name in closing},
        moves=moves,
        taking=want is not None,
    )


def _room(entries: Mapping[str, Entry], closing: Mapping[str, int]) -> None:
    if len(entries) - len(closing) >= MOST_OPEN:
        raise Crowded


def _afford(purse: Purse, numbers: Mapping[str, int], free: Mapping[str, int], wanted: int) -> None:
    """Raises Short for the tightest pot of those that lack something."""
    short = []
    for code, number in numbers.items():
        pot = purse.pots[code]
        has = pot.free if pot.window == number else pot.cap
        if free[code] < 0 and has + free[code] < 0:
            short.append((has + free[code], code))
    if short:
        missing, code = min(short)
        raise Short(code, as_of(purse.pots[code], numbers[code]), max(0, wanted + missing))


def applied(purse: Purse, change: Change) -> Purse:
    """The purse after a change: all of it if nobody else wrote in between, else what one knows of it."""
    entries = {**(purse.open or {}), **change.added, **{name: after for name, (_, after) in change.replaced.items()}}
    for name in change.closed:
        entries.pop(name, None)
    pots = dict(purse.pots)
    for code, move in change.moves.items():
        if code in pots:
            pot = as_of(pots[code], move.window)
            pots[code] = replace(pot, free=pot.free + move.free, spent=pot.spent + move.spent)
    return Purse(purse.stamp, pots, None if purse.open is None and not entries else entries)


def as_of(pot: Pot, number: int) -> Pot:
    """The pot as it is in a window: begun anew if it is of an earlier one."""
    return pot if pot.window >= number else replace(pot, free=pot.cap, spent=0, window=number)


def _is_pot(name: str) -> bool:
    return name.startswith("l_") and name not in {"l_open", "l_stamp", "l_held"}
