"""A short memory."""

from quintet.identity.recent import Recent


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_remembers_for_its_time_and_no_longer() -> None:
    watch = Watch()
    recent = Recent[str, int](8, 60, watch)
    recent.put("a", 1)
    watch.seconds = 59.9
    assert recent.get("a") == 1
    watch.seconds = 60
    assert recent.get("a") is None


def test_what_was_used_longest_ago_makes_room() -> None:
    recent = Recent[str, int](2, 60)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.get("a")
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_forgets_when_told() -> None:
    recent = Recent[str, int](2, 60)
    recent.put("a", 1)
    recent.forget("a")
    recent.forget("b")
    assert recent.get("a") is None
