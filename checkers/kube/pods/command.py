"""Owns what a container runs: its environment and its command line, variables put in, and which word is the server.

Source: pkg/kubelet (makeEnvironmentVariables), third_party/forked/golang/expansion of 1.34.
"""

from __future__ import annotations

from collections.abc import Mapping

from checkers.kube.pods.model import Container, Pod


def environment(pod: Pod, container: Container) -> dict[str, str]:
    """Return the variables that the manifest gives the container; a later one may use an earlier one."""
    env: dict[str, str] = {}
    for variable in container.env:
        if variable.field_path is not None:
            env[variable.name] = _field(pod, variable.field_path)
        else:
            env[variable.name], _ = expand(variable.value, env)
    return env


def _field(pod: Pod, field_path: str) -> str:
    if field_path.startswith(("metadata.labels['", "metadata.annotations['")):
        kind, _, key = field_path.removeprefix("metadata.").partition("['")
        return (pod.labels if kind == "labels" else pod.annotations).get(key.removesuffix("']"), "")
    known = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.nodeName": pod.node,
        "spec.serviceAccountName": "",
    }
    return known.get(field_path, "")


def expand(text: str, env: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Expand `$(NAME)` and `$$` as Kubernetes does; a name that is not there stays as it is.

    Returns the text, and the names that were missing. Source: third_party/forked/golang/expansion.
    """
    if "$" not in text:
        return text, ()
    out: list[str] = []
    missing: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        follows = text[at + 1 : at + 2]
        if char != "$" or not follows:
            out.append(char)
            at += 1
        elif follows == "$":
            out.append("$")
            at += 2
        elif follows == "(" and (end := text.find(")", at)) >= 0:
            name = text[at + 2 : end]
            if name not in env:
                missing.append(name)
            out.append(env.get(name, f"$({name})"))
            at = end + 1
        else:
            out.append(char + follows)
            at += 2
    return "".join(out), tuple(missing)


def argv(pod: Pod, container: Container) -> list[str]:
    """Return the command line that the manifest makes: command and args with the variables put in.

    Without a command the image's own entrypoint comes before the args: what that is, the manifest does not say.
    """
    env = environment(pod, container)
    return [expand(word, env)[0] for word in (*container.command, *container.args)]


def program(words: list[str]) -> int | None:
    """Return which word of a command line is kube-apiserver, None where none is.

    It may stand behind go-runner, env and the like, but not inside a shell's script.
    """
    for index, word in enumerate(words[:8]):
        if word.rpartition("/")[2] == "kube-apiserver":
            return index
    return None


def api_server(pod: Pod) -> Container | None:
    """Return the container that runs kube-apiserver, whatever the file, the pod and the container are called.

    Where none does, the one of kube-apiserver's image: its command is wrong (a shell's script, say).
    """
    for container in pod.containers:
        if program(argv(pod, container)) is not None:
            return container
    for container in pod.containers:
        image = container.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
        if image.startswith("kube-apiserver"):
            return container
    return None
