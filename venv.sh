#!/bin/sh
# Makes a virtualenv at $1 with whatever this machine has for it: Debian's python3 comes without ensurepip.
set -u
venv=$1
python=${PYTHON:-python3}

command -v "$python" >/dev/null 2>&1 || {
    echo "CKS Lab needs Python 3.11 or later, and there is no $python. Install it, or name another: make PYTHON=python3.12 lab" >&2
    exit 2
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "CKS Lab needs Python 3.11 or later; this is $("$python" -V). Name another: make PYTHON=python3.12 lab" >&2
    exit 2
}

works() { "$venv/bin/python" -m pip --version >/dev/null 2>&1; }

"$python" -m venv "$venv" >/dev/null 2>&1 && works && exit 0
rm -rf "$venv"
if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --seed --python "$python" "$venv" && works && exit 0
    rm -rf "$venv"
fi
"$python" -m virtualenv --quiet "$venv" >/dev/null 2>&1 && works && exit 0
rm -rf "$venv"
# A pip that can install into another environment (22.3 and later) is enough.
"$python" -m venv --without-pip "$venv" >/dev/null 2>&1 &&
    "$python" -m pip --quiet --disable-pip-version-check --python "$venv/bin/python" install pip >/dev/null 2>&1 &&
    works && exit 0
rm -rf "$venv"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
echo "This Python cannot make virtual environments (it has no ensurepip, and there is no pip, virtualenv or uv)." >&2
echo "Install the one package it lacks, then try again:  sudo apt install python$version-venv" >&2
exit 2
