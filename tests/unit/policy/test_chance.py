"""Random numbers that must be the same on every Python, for ever: a recorded seed is worth nothing otherwise."""

import math
import statistics

from quintet.policy.chance import normals, uniforms


def test_a_seed_always_brings_the_same_numbers() -> None:
    assert uniforms(0, 3) == [0.4515714689619693, 0.25803474497974765, 0.3479818902922107]
    assert uniforms(2**53 - 1, 2) == [0.1260466707185024, 0.6431505428000795]
    assert normals(7, 2) == [-1.1643267547759326, -0.5436418894732942]


def test_the_nth_number_does_not_depend_on_how_many_are_drawn() -> None:
    assert uniforms(5, 20)[:9] == uniforms(5, 9)
    assert normals(5, 20)[:9] == normals(5, 9)


def test_neighbouring_seeds_have_nothing_in_common() -> None:
    drawn = [uniforms(seed, 1)[0] for seed in range(20_000)]
    assert abs(statistics.mean(drawn) - 0.5) < 0.01
    assert abs(statistics.correlation(drawn[:-1], drawn[1:])) < 0.03
    assert min(drawn) >= 0
    assert max(drawn) < 1


def test_normals_are_normal() -> None:
    drawn = normals(1, 20_000)
    assert abs(statistics.mean(drawn)) < 0.03
    assert abs(statistics.stdev(drawn) - 1) < 0.03
    assert abs(sum(abs(each) < 1 for each in drawn) / len(drawn) - math.erf(math.sqrt(0.5))) < 0.01
