"""The one table: every error that can be raised has a row, and the rest say nothing."""

from __future__ import annotations

import inspect

import pytest

from memory_store import errors as store
from service import errors
from service.engine import protocol as engine
from service.errors import TABLE, ApiError, envelope, problem_of


def subclasses(base: type[Exception], module: object) -> list[type[Exception]]:
    return [
        cls
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, base) and cls is not base
    ]


def test_every_error_has_a_row() -> None:
    raised = subclasses(ApiError, errors) + subclasses(store.StoreError, store)
    raised += subclasses(engine.EngineError, engine)
    assert set(raised) - set(TABLE) == {store.DataDirLocked}  # it stops a start


def test_the_drawing_names_every_error() -> None:
    assert errors.__doc__ is not None
    for cls in subclasses(ApiError, errors):
        assert f" {cls.__name__} " in errors.__doc__ or f" {cls.__name__}\n" in errors.__doc__


@pytest.mark.parametrize("row", TABLE.values(), ids=[cls.__name__ for cls in TABLE])
def test_statuses_and_codes_are_what_a_client_can_rely_on(row: tuple[int, str, str]) -> None:
    status, code, message = row
    assert 400 <= status < 600
    assert code == code.lower()
    assert message


def test_the_unforeseen_says_nothing() -> None:
    problem = problem_of(RuntimeError("password=hunter2"))
    assert (problem.status, problem.code) == (500, "internal_error")
    assert "hunter2" not in str(envelope(problem, "r"))


def test_texts_that_may_repeat_what_was_sent_are_not_shown() -> None:
    for cls in (store.TenantNotFound, store.FactNotFound, store.IdempotencyKeyReused):
        assert "hunter2" not in problem_of(cls("hunter2")).message
    assert "page 3" in problem_of(store.PageCorrupt("page 3")).message


def test_what_can_be_tried_again_says_when() -> None:
    assert problem_of(store.StoreUnavailable()).headers["Retry-After"]
    assert problem_of(engine.QueueFull(7)).headers["Retry-After"] == "7"
    assert problem_of(errors.Draining()).headers["Connection"] == "close"
    assert "Retry-After" not in problem_of(store.PageCorrupt("x")).headers
