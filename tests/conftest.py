"""Options of the whole suite."""

from __future__ import annotations

import pytest
from hypothesis import settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=["fake", "real"],
        default="fake",
        help="what answers behind the API: `real` runs the tests marked real_engine on the model",
    )


settings.register_profile("suite", deadline=None)  # a busy machine is no failure
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_engine: also holds for the real model")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With the real engine, only the tests that say they hold for it, and only of the API."""
    if config.getoption("--engine") == "fake":
        return
    wanted = [item for item in items if item.get_closest_marker("real_engine")]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted
