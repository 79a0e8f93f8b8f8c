"""`cks-lab setup`: gets the real kube-apiserver and etcd for the sandbox, with its progress, or removes them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..drivers.sandbox.manifests import KUBERNETES
from ..errors import EXIT_YES
from ..home import Home
from ..setup import ETCD_VERSION, WAYS, Wanted, remove, set_up, version
from ..setup.news import Told, Unit, size
from ..setup.release import Urls
from .run import EXIT_INTERRUPTED
from .talk import examples, out, say

_SAID_AGAIN = 30.0
"""Seconds between two lines where there is no terminal."""


@click.command(
    epilog=examples("cks-lab setup", "cks-lab setup --from source", "cks-lab setup --remove")
    + "\n\n\b\nCKS_LAB_KUBERNETES_URL, CKS_LAB_ETCD_URL name mirrors of the releases;\n"
    "CKS_LAB_KUBE_APISERVER, CKS_LAB_ETCD programs of your own, for which no setup is needed."
)
@click.option(
    "--kubernetes-version", "wanted", metavar="V", default=KUBERNETES, show_default=True, help="Of kube-apiserver."
)
@click.option(
    "--from",
    "way",
    type=click.Choice(WAYS),
    default="auto",
    show_default=True,
    help="release: download what was released; source: build it with Go. auto: the release, where it is reached.",
)
@click.option("--remove", "gone", is_flag=True, help="Remove what was got; labs then have the lite API server.")
def setup(wanted: str, way: str, gone: bool) -> int:
    """Get the real kube-apiserver and etcd for the sandbox.

    They go into your cache folder. From then on a new sandbox lab runs them; `start --apiserver lite` still takes the
    lite one. What was cut off goes on where it was.
    """
    home = Home.of()
    if gone:
        versions, freed = remove(home.cache)
        what = f"kube-apiserver {', '.join(versions)} and etcd are" if versions else "What there was of a setup is"
        say(f"{what} removed: {size(freed)} are free again." if freed else "There is nothing to remove.")
        return EXIT_YES
    asked = Wanted(home.cache, version(wanted), ETCD_VERSION, way, Urls.of())
    try:
        found = set_up(asked, _Shown())
    except KeyboardInterrupt:
        say("\nStopped. What is there is kept; the same command goes on from there.")
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    taken = sum(program.stat().st_size for program in (found.apiserver, found.etcd))
    out(str(found.apiserver.parent))
    say(
        f"kube-apiserver {found.version} and etcd, {size(taken)}: new sandbox labs run them.\n"
        "Try: cks-lab start audit-log --on sandbox"
    )
    return EXIT_YES


class _Shown:
    """Shows a setup: a bar on a terminal, a line now and then elsewhere."""

    def say(self, text: str) -> None:
        """Say it."""
        say(text)

    @contextmanager
    def work(self, label: str, total: int, unit: Unit, done: int = 0) -> Iterator[Told]:
        """Show how far it has got."""
        if not sys.stderr.isatty():
            yield _lines(label, total, unit, done)
            return
        with click.progressbar(
            length=total,
            label=label,
            file=sys.stderr,
            show_percent=True,
            show_eta=True,
            item_show_func=lambda far: far,
            update_min_steps=max(1, total // 500),
        ) as bar:
            bar.pos = far = done

            def told(more: int) -> None:
                nonlocal far
                far += more
                bar.update(more, _far(far, total, unit))

            yield told


def _lines(label: str, total: int, unit: Unit, done: int) -> Told:
    far = done
    began = last = time.monotonic()

    def told(more: int) -> None:
        nonlocal far, last
        far += more
        now = time.monotonic()
        if now < last + _SAID_AGAIN and far < total:
            return
        last = now
        left = (total - far) * (now - began) / max(far - done, 1)
        say(f"{label}: {_far(far, total, unit)}" + (f", about {left:.0f} s left" if far < total else ""))

    return told


def _far(far: int, total: int, unit: Unit) -> str:
    if unit == "packages":
        return f"{far} of {total} packages"
    return f"{size(far)} of {size(total)}" if total else size(far)
