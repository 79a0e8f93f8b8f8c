"""A class of learners as bundles: real captures of a few answers, each varied as the work of many people is."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

POLICY = "root/etc/kubernetes/audit/policy.yaml"
MANIFEST = "root/etc/kubernetes/manifests/kube-apiserver.yaml"
LOG = "root/var/log/audit/audit.log"
_AUDIT_ID = re.compile(rb'"auditID":"[0-9a-f]{8}')


def vary(captures: Sequence[Path], folder: Path, count: int, *, log: tuple[int, int] = (200_000, 2_000_000)) -> None:
    """Write `count` bundles into a folder. No two have the same policy, manifest or log.

    `log`: the least and the most bytes that a log is grown to, where there is one. The same captures give the same.
    """
    dice = random.Random(4)
    contents = [list(_members(capture)) for capture in captures]
    for number in range(count):
        grown = round(log[0] * (log[1] / log[0]) ** dice.random())
        with (
            (folder / f"learner-{number:05}.tar.gz").open("wb") as file,
            gzip.GzipFile("", "wb", 4, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for member, content in contents[number % len(contents)]:
                own = _vary(member.name, content, number, grown, dice)
                entry = tarfile.TarInfo(member.name)
                entry.type, entry.mode, entry.mtime = member.type, member.mode, member.mtime
                entry.linkname, entry.size = member.linkname, len(own)
                tar.addfile(entry, io.BytesIO(own))


def _members(capture: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(capture) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            yield member, file.read() if file else b""


def _vary(name: str, content: bytes, number: int, grown: int, dice: random.Random) -> bytes:
    if name == POLICY:
        return b"# the policy of learner %d\n" % number * dice.randint(1, 3) + content
    if name == MANIFEST:
        return content + b"# learner %d\n" % number
    if name == "facts.json":
        facts = json.loads(content)
        facts["node"]["name"] = f"learner-{number:05}"
        return json.dumps(facts, indent=1, sort_keys=True).encode()
    if name == LOG and content:
        lines = content.splitlines(keepends=True)
        # Before it comes more of what the server did; the probes, which only the end has, are sent once.
        usual = [line for line in lines if b"cks-lab-" not in line] or lines
        more: list[bytes] = []
        size = len(content)
        while size < grown:
            line = _AUDIT_ID.sub(b'"auditID":"%08x' % dice.getrandbits(32), dice.choice(usual))
            more.append(line)
            size += len(line)
        return b"".join(more) + content
    return content
