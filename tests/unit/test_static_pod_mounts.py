"""Paths inside a container, and what they are on the node: mounts, subPaths, links, types, single files."""

from __future__ import annotations

from checkers.evidence import FileKind, FileStat, Missing, NotAFile
from checkers.kube.pods.container_view import ContainerView, is_luck, resolve
from checkers.kube.pods.host_tree import Entry, NodeTree, Scratch, clean, follow
from checkers.kube.static_pod import Container, Pod, load_pod

DIR, FILE, LINK = FileKind.DIRECTORY, FileKind.FILE, FileKind.SYMLINK


class Tree:
    """A node's files: a path with `-> target` is a link, one with a slash at its end a folder."""

    def __init__(self, *paths: str) -> None:
        self.entries = {"/": Entry(DIR)}
        for text in paths:
            path, arrow, target = text.partition(" -> ")
            parts = path.strip("/").split("/")
            for length in range(1, len(parts)):
                self.entries.setdefault("/" + "/".join(parts[:length]), Entry(DIR))
            self.entries["/" + "/".join(parts)] = (
                Entry(LINK, target) if arrow else Entry(DIR if path.endswith("/") else FILE)
            )

    def entry(self, path: str) -> Entry | None:
        return self.entries.get(path)

    def read(self, path: str) -> bytes:
        return b"text"

    def is_known(self, path: str) -> bool:
        return path in self.entries


def pod_of(mounts: list[str], volumes: list[str], extra: str = "") -> tuple[Pod, Container]:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    image: kube-apiserver:v1\n"
    text += "    command: [kube-apiserver]\n" + extra + "    volumeMounts:\n"
    text += "".join(f"    - {{{mount}}}\n" for mount in mounts) + "  volumes:\n"
    text += "".join(f"  - {{{volume}}}\n" for volume in volumes)
    pod = load_pod(text.encode(), "/m/a.yaml", "cks")
    return pod, pod.containers[0]


def host(name: str, path: str, kind: str = "") -> str:
    return f'name: {name}, hostPath: {{path: "{path}", type: "{kind}"}}'


def test_the_longest_mount_path_wins_whatever_the_order() -> None:
    pod, container = pod_of(
        ["name: file, mountPath: /etc/k/audit/policy.yaml", "name: all, mountPath: /etc/k/"],
        [host("all", "/opt/spare/"), host("file", "//etc//p.yaml")],
    )
    policy = resolve(pod, container, "/etc/k/audit/policy.yaml")
    assert (policy.host_path, policy.single_file) == ("/etc/p.yaml", True)
    other = resolve(pod, container, "/etc/k/audit/../audit/other.yaml")
    assert (other.host_path, other.single_file) == ("/opt/spare/audit/other.yaml", False)
    assert resolve(pod, container, "/etc/kk/x").mount is None


def test_sub_paths_relative_mounts_and_working_directories() -> None:
    pod, container = pod_of(
        ["name: log, mountPath: var/log/audit, subPathExpr: $(NODE)/audit, readOnly: true"],
        [host("log", "/var/log")],
        "    workingDir: /var\n    env: [{name: NODE, value: n1}]\n",
    )
    found = resolve(pod, container, "log/audit/audit.log")
    assert (found.path, found.host_path, found.read_only) == (
        "/var/log/audit/audit.log",
        "/var/log/n1/audit/audit.log",
        True,
    )


def test_an_empty_dir_stays_inside() -> None:
    pod, container = pod_of(["name: log, mountPath: /log"], ["name: log"])
    found = resolve(pod, container, "/log/audit.log")
    assert found.host_path is None
    assert found.volume is not None
    assert found.volume.kind == "emptyDir"


def test_links_on_the_node_count_in_a_folder_mount_only_inside_of_it() -> None:
    pod, container = pod_of(["name: p, mountPath: /etc/audit"], [host("p", "/etc/audit")])
    inside = ContainerView(pod, container, Tree("/etc/audit/policy.yaml -> v2.yaml", "/etc/audit/v2.yaml"))
    assert inside.locate("/etc/audit/policy.yaml").host_path == "/etc/audit/v2.yaml"
    outside = ContainerView(pod, container, Tree("/etc/audit/policy.yaml -> /opt/p.yaml", "/opt/p.yaml"))
    place = outside.locate("/etc/audit/policy.yaml")
    assert (place.entry, place.error) == (None, "no such file or directory")


def test_a_link_is_followed_on_the_node_where_the_file_itself_is_mounted() -> None:
    pod, container = pod_of(
        ["name: p, mountPath: /etc/audit/policy.yaml"], [host("p", "/etc/audit/policy.yaml", "File")]
    )
    view = ContainerView(pod, container, Tree("/etc/audit/policy.yaml -> /opt/p.yaml", "/opt/p.yaml"))
    assert view.trouble is None
    place = view.locate("/etc/audit/policy.yaml")
    assert place.host_path == "/opt/p.yaml"
    assert place.entry is not None
    assert place.entry.kind is FILE


def test_a_loop_of_links_ends() -> None:
    pod, container = pod_of(["name: p, mountPath: /p"], [host("p", "/p")])
    view = ContainerView(pod, container, Tree("/p/a -> b", "/p/b -> a"))
    assert view.locate("/p/a").error == "too many levels of symbolic links"
    assert follow(Tree("/a -> /b", "/b -> /a"), "/a/x").error == "too many levels of symbolic links"


def trouble_of(kind: str, *paths: str, path: str = "/var/log/audit") -> tuple[str, bool] | None:
    pod, container = pod_of(["name: v, mountPath: /m"], [host("v", path, kind)])
    trouble = ContainerView(pod, container, Tree("/var/log/", *paths)).trouble
    return (trouble.message, trouble.created) if trouble else None


def test_type_checks_speak_as_the_kubelet_does() -> None:
    failed = "hostPath type check failed: /var/log/audit is not "
    for kind, words in (
        ("Directory", "a directory"),
        ("File", "a file"),
        ("Socket", "a socket file"),
        ("CharDevice", "a character device"),
        ("BlockDevice", "a block device"),
    ):
        assert trouble_of(kind) == (failed + words, False)
    assert trouble_of("File", "/var/log/audit/") == (failed + "a file", False)
    assert trouble_of("DirectoryOrCreate", "/var/log/audit") == (failed + "a directory", False)
    assert trouble_of("DirectoryOrCreate") is None
    assert trouble_of("FileOrCreate") is None
    assert trouble_of("FileOrCreate", path="/srv/no/audit.log") == (
        "open /srv/no/audit.log: no such file or directory",
        False,
    )


def test_the_runtime_makes_a_missing_path_and_fails_on_what_it_cannot_make() -> None:
    assert trouble_of("") is None
    dangling = 'failed to mkdir "/var/log/audit": mkdir /var/log/audit: file exists'
    assert trouble_of("", "/var/log/audit -> /srv/audit") == (dangling, False)
    message = trouble_of("", path="var/log/audit")
    assert message is not None
    assert message[1]
    below_a_file = trouble_of("", "/var/log/audit", path="/var/log/audit/x")
    assert below_a_file == ('failed to stat "/var/log/audit/x": stat /var/log/audit/x: not a directory', False)


def test_a_volume_that_nothing_mounts_is_not_checked() -> None:
    pod, container = pod_of(["name: a, mountPath: /a"], [host("a", "/var"), host("b", "/nowhere", "Directory")])
    assert ContainerView(pod, container, Tree("/var/")).trouble is None


def test_a_missing_mount_point_in_a_read_only_mount_is_an_error_of_the_runtime() -> None:
    mounts = ["name: a, mountPath: /etc/k, readOnly: true", "name: b, mountPath: /etc/k/audit"]
    pod, container = pod_of(mounts, [host("a", "/etc/k"), host("b", "/srv")])
    missing = ContainerView(pod, container, Tree("/etc/k/", "/srv/")).trouble
    assert missing is not None
    assert missing.created
    assert "read-only file system" in missing.message
    assert ContainerView(pod, container, Tree("/etc/k/audit/", "/srv/")).trouble is None
    onto_a_file = ContainerView(pod, container, Tree("/etc/k/audit", "/srv/")).trouble
    assert onto_a_file is not None
    assert "vice-versa" in onto_a_file.message


def test_a_sub_path_is_made_and_may_not_lead_out() -> None:
    pod, container = pod_of(["name: v, mountPath: /m, subPath: audit"], [host("v", "/var/log")])
    made = ContainerView(pod, container, Tree("/var/log/"))
    assert made.trouble is None
    assert made.locate("/m/audit.log").host_path == "/var/log/audit/audit.log"
    out = ContainerView(pod, container, Tree("/var/log/audit -> /srv", "/srv/")).trouble
    assert out is not None
    assert out.message == "failed to prepare subPath for volumeMount 0 of container a"


def test_a_variable_that_is_missing_for_a_sub_path_is_told() -> None:
    pod, container = pod_of(["name: v, mountPath: /m, subPathExpr: $(NOPE)"], [host("v", "/var")])
    trouble = ContainerView(pod, container, Tree("/var/")).trouble
    assert trouble is not None
    assert (trouble.message, trouble.created) == ("missing value for NOPE", False)


def test_what_is_made_on_the_way_leaves_the_node_alone() -> None:
    tree = Tree("/var/")
    scratch = Scratch(tree)
    assert scratch.make_folders("/var/log/audit") is None
    assert scratch.make_file("/var/log/audit/audit.log") is None
    assert scratch.make_folders("/var/log/audit/audit.log/x") == "not a directory"
    entry = scratch.entry("/var/log/audit/audit.log")
    assert entry is not None
    assert entry.kind is FILE
    assert scratch.read("/var/log/audit/audit.log") == b""
    assert tree.entry("/var/log") is None


class Files:
    """Captured files, as evidence has them."""

    def stat(self, path: str) -> FileStat:
        kinds = {"/a": DIR, "/a/f": FILE, "/a/l": FILE}
        if path not in kinds:
            raise Missing(path)
        return FileStat(kinds[path], 0o640, 7, 0, 3, 0, link="f" if path == "/a/l" else None)

    def list(self, path: str) -> list[str]:
        if path == "/a/f":
            raise NotAFile(path, FILE)
        if path != "/a":
            raise Missing(path)
        return ["dangling", "f", "l"]

    def read(self, path: str, limit: int = 0) -> bytes:
        return b"abc"


def test_captured_files_are_a_tree_with_their_links() -> None:
    tree = NodeTree(Files())  # type: ignore[arg-type]
    assert tree.entry("/a/f") == Entry(FILE, None, 0o640, 7)
    assert tree.entry("/a/l") == Entry(LINK, "f", 0o640, 7)
    assert tree.entry("/a/dangling") == Entry(LINK)
    assert tree.entry("/a/none") is None
    assert follow(tree, "/a/l").path == "/a/f"
    assert follow(tree, "/a/dangling").error == "no such file or directory"
    assert follow(tree, "/a/f/x").error == "not a directory"
    assert (tree.is_known("/a"), tree.is_known("/b"), tree.is_known("/a/f")) == (True, False, False)


def test_clean_paths() -> None:
    assert clean("//a/./b/../c/") == "/a/c"
    assert clean("../..") == "/"
    assert clean("") == "/"


def test_of_two_mounts_at_one_place_the_last_listed_lies_on_top() -> None:
    mounts = ["name: logs, mountPath: /var/log/audit", "name: other, mountPath: /var/log/audit/"]
    pod, container = pod_of(mounts, [host("logs", "/var/log/audit"), host("other", "/opt/other")])
    tree = Tree("/var/log/audit/", "/opt/other/")
    path = "/var/log/audit/audit.log"
    assert ContainerView(pod, container, tree).locate(path).host_path == "/opt/other/audit.log"
    assert resolve(pod, container, path).host_path == "/opt/other/audit.log"
    turned = ContainerView(pod, container, tree, last_on_top=False)
    assert turned.locate(path).host_path == path
    assert turned.ties == ["/var/log/audit"]


def test_more_mounts_than_a_runtime_of_old_keeps_in_order_are_luck() -> None:
    mounts = [f"name: all, mountPath: /srv/{number}" for number in range(8)]
    assert [is_luck(pod_of(mounts[:many], [host("all", "/srv")])[1]) for many in (7, 8)] == [False, True]
