"""The journal of the lite API server's objects: what survives, what grows, what a watch can look back on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.drivers.sandbox.lite import store as store_module
from lab.drivers.sandbox.lite.border import Json
from lab.drivers.sandbox.lite.store import Change, Key, Store

A = Key("/configmaps", "dev", "a")
B = Key("/configmaps", "dev", "b")


def config_map(name: str, **data: str) -> Json:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "dev"}, "data": data}


def test_objects_and_versions_survive_a_restart(tmp_path: Path) -> None:
    first = Store(tmp_path)
    first.put(A, config_map("a", k="v"))
    first.put(B, config_map("b"))
    first.delete(B)
    second = Store(tmp_path)
    found = second.get(A)
    assert found is not None
    assert found["data"] == {"k": "v"}
    assert not second.exists(B)
    assert second.revision == 3
    assert second.put(B, config_map("b"))["metadata"]["resourceVersion"] == "4"


def test_a_kill_in_the_middle_of_a_line_loses_only_that_line(tmp_path: Path) -> None:
    first = Store(tmp_path)
    first.put(A, config_map("a"))
    first.put(B, config_map("b"))
    journal = tmp_path / "objects.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    second = Store(tmp_path)
    assert second.exists(A)
    assert not second.exists(B)
    second.put(B, config_map("b"))
    assert Store(tmp_path).exists(B)


def test_the_journal_is_rewritten_when_it_has_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "GROWTH", 2000)
    store = Store(tmp_path)
    for number in range(200):
        store.put(A, config_map("a", n=str(number)))
    assert (tmp_path / "objects.jsonl").stat().st_size < 4000
    again = Store(tmp_path).get(A)
    assert again is not None
    assert again["data"] == {"n": "199"}
    assert again["metadata"]["resourceVersion"] == "200"


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.put(A, config_map("a", k="old"))

    def no_space(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", no_space)
        with pytest.raises(OSError, match="No space"):
            store.put(A, config_map("a", k="new"))
    found = store.get(A)
    assert found is not None
    assert found["data"] == {"k": "old"}
    store.put(B, config_map("b"))
    again = Store(tmp_path)
    assert again.exists(B)
    assert again.get(A) == found


def test_what_is_read_is_a_copy(tmp_path: Path) -> None:
    store = Store()
    store.put(A, config_map("a", k="v"))
    found = store.get(A)
    assert found is not None
    found["data"]["k"] = "changed"
    assert store.get(A) != found


def test_listeners_hear_every_write_with_before_and_after() -> None:
    store = Store()
    heard: list[Change] = []
    store.listen(heard.append)
    store.put(A, config_map("a"))
    store.delete(A)
    store.unlisten(heard.append)
    store.put(B, config_map("b"))
    assert [(c.key, c.before is None, c.after is None) for c in heard] == [(A, True, False), (A, False, True)]


def test_history_is_bounded_and_knows_how_far_back_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    for number in range(store_module.HISTORY + 5):
        store.put(A, config_map("a", n=str(number)))
    assert store.oldest() == 5
    assert [c.revision for c in store.since(store.revision - 2, A.kind)] == [store.revision - 1, store.revision]


def test_after_a_restart_watches_start_from_the_last_version(tmp_path: Path) -> None:
    first = Store(tmp_path)
    first.put(A, config_map("a"))
    second = Store(tmp_path)
    assert second.oldest() == second.revision == 1
