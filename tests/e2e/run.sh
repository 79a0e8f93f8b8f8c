#!/usr/bin/env bash
# `make e2e`: the tests that need real clusters. Brings Docker, kind and a node image where the recordings' folder has
# the means to; else takes those of this machine. A cluster that cannot be made fails the run.
#   run.sh BIN [PYTEST ARGUMENTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$1
shift
means=${CKS_LAB_SHARED:-../shared}/testbed

if [ -x "$means/kind-up.sh" ]; then
    had_docker=yes
    docker info >/dev/null 2>&1 || had_docker=
    # shellcheck source=/dev/null
    . "$means/versions.sh"
    cleanup() {
        if [ -z "$had_docker" ] && [ -s "$cache/dockerd.pid" ]; then kill "$(cat "$cache/dockerd.pid")" || :; fi
    }
    trap cleanup EXIT
    for step in docker-here kubernetes-binaries node-image; do "$means/$step.sh" >/dev/null; done
    export PATH=$cache/bin:$PATH CKS_LAB_E2E_IMAGE=$image
    export CKS_LAB_E2E_KUBE_APISERVER=$cache/bin/kube-apiserver CKS_LAB_E2E_ETCD=$cache/bin/etcd
fi

"$bin/pytest" -m cluster -n 2 --dist loadscope "$@" tests
