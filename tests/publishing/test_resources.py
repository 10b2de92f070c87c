"""What a job asks for, by what its chapter says of its size."""

from types import SimpleNamespace

import pytest

from igbrepro.publishing import Entry, load_preset
from igbrepro.publishing.resources import resources, resources_of


@pytest.mark.parametrize(
    ("size", "asked"),
    [
        (Entry(0.1), {"runtime": 11, "mem_mb": 4000, "gpu": 0}),
        (Entry(3000, memory_gb=1.5, gpu=1), {"runtime": 9010, "mem_mb": 1500, "gpu": 1}),
        (Entry(7.4, memory_gb=0.0004), {"runtime": 33, "mem_mb": 1, "gpu": 0}),
    ],
)
def test_a_job_asks_for_three_times_its_minutes_and_ten_and_for_its_memory(size, asked):
    assert resources(size.minutes, size.memory_gb, size.gpu) == asked
    by_wildcards = resources_of({"a": size}.__getitem__)
    assert {name: value("a") for name, value in by_wildcards.items()} == asked
    assert all(isinstance(number, int) for number in asked.values())


def test_other_sizes_than_a_chapter_s_are_welcome():
    run = SimpleNamespace(minutes=2, memory_gb=1, gpu=0)
    assert resources_of(lambda wildcards: run)["runtime"](None) == resources(2)["runtime"] == 16


def test_only_the_paper_s_trainings_ask_for_a_gpu():
    trained = {
        name
        for name, entry in load_preset("paper").items()
        if {"steps", "head_steps", "cnn_steps"} & set(entry.parameters)
    }
    assert {name for name, entry in load_preset("paper").items() if entry.gpu} == trained
    assert not [name for preset in ("smoke", "laptop") for name, entry in load_preset(preset).items() if entry.gpu]
