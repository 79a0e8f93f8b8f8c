"""kube-apiserver's flags: what counts, where it stands, and what is refused."""

from __future__ import annotations

import pytest

from checkers.kube import gotext
from checkers.kube.gocsv import split_csv
from checkers.kube.server.flags import FlagError, Flags, aggregate, parse_flags


def parse(*flags: str, version: tuple[int, int] = (1, 34)) -> Flags:
    return parse_flags(["kube-apiserver", *flags], version)


def refusal(*flags: str, version: tuple[int, int] = (1, 34)) -> str:
    with pytest.raises(FlagError) as caught:
        parse(*flags, version=version)
    return caught.value.text


def test_the_last_of_a_repeated_flag_counts_and_its_place_is_known() -> None:
    flags = parse("--audit-log-path=/a", "--audit-policy-file", "/p", "--audit-log-path", "/b")
    assert flags.get("audit-log-path") == "/b"
    assert flags.position("audit-log-path") == 5
    assert flags.position("audit-policy-file") == 3
    assert flags.position("audit-log-maxage") is None
    assert flags.values == {"audit-log-path": "/b", "audit-policy-file": "/p"}


def test_a_list_of_strings_adds_up_and_drops_its_default() -> None:
    assert parse().get_list("authorization-mode") == ("AlwaysAllow",)
    flags = parse("--authorization-mode=Node", "--authorization-mode=RBAC,Webhook")
    assert flags.get_list("authorization-mode") == ("Node", "RBAC", "Webhook")
    assert flags.get("authorization-mode") == "Node,RBAC,Webhook"


def test_a_string_array_does_not_split_at_commas() -> None:
    assert parse("--service-account-issuer=a,b").get_list("service-account-issuer") == ("a,b",)


@pytest.mark.parametrize(
    ("version", "days", "backups", "size"), [((1, 34), 0, 0, 0), ((1, 35), 0, 0, 0), ((1, 36), 366, 100, 100)]
)
def test_retention_defaults_go_by_the_version(version: tuple[int, int], days: int, backups: int, size: int) -> None:
    log = parse(version=version).audit.log
    assert (log.max_age, log.max_backups, log.max_size) == (days, backups, size)


def test_flags_of_another_version_are_unknown() -> None:
    assert refusal("--cloud-provider=external") == "unknown flag: --cloud-provider"
    assert parse("--cloud-provider=external", version=(1, 32)).get("cloud-provider") == "external"


def test_underscores_are_dashes_and_one_dash_is_a_shorthand() -> None:
    assert parse("--audit_log_path=/a").get("audit-log-path") == "/a"
    assert refusal("-audit-log-path=/a") == "unknown shorthand flag: 'a' in -audit-log-path=/a"
    assert parse("-v", "4").get("v") == parse("-v4").get("v") == parse("-v=4").get("v") == "4"
    assert refusal("-v") == "flag needs an argument: 'v' in -v"
    assert refusal("-vx") == ('invalid argument "x" for "-v, --v" flag: strconv.ParseUint: parsing "x": invalid syntax')


def test_words_that_are_no_flags_are_refused_after_all_flags_are_read() -> None:
    assert refusal("RBAC", "--nope") == "unknown flag: --nope"
    assert refusal("a b", "--allow-privileged", "true") == (
        '"kube-apiserver" does not take any arguments, got ["a b" "true"]'
    )
    assert refusal("–-audit-log-path=/x") == (  # an en dash, as a word processor makes it
        '"kube-apiserver" does not take any arguments, got ["–-audit-log-path=/x"]'
    )
    assert parse("", "").values == {}
    assert refusal("--", "--audit-log-path=/x").endswith('got ["--audit-log-path=/x"]')


def test_bad_syntax_and_values_name_the_entry_to_blame() -> None:
    with pytest.raises(FlagError) as caught:
        parse("--allow-privileged", "--audit-log-maxage", "7d")
    assert caught.value.index == 3
    assert caught.value.line == (
        'Error: invalid argument "7d" for "--audit-log-maxage" flag: strconv.ParseInt: parsing "7d": invalid syntax'
    )
    assert refusal("--=x") == "bad flag syntax: --=x"
    assert refusal("---x") == "bad flag syntax: ---x"
    assert refusal("--bind-address=localhost").endswith('flag: failed to parse IP: "localhost"')
    assert refusal("--tls-sni-cert-key=a").endswith("flag: expected comma separated certificate and key file paths")


def test_help_wins_over_stray_words_but_not_over_bad_flags() -> None:
    assert parse("--help", "stray").help
    assert parse("-h").help
    assert parse("-hv3").get("v") == "3"
    assert refusal("--help", "--nope") == "unknown flag: --nope"
    assert parse("--version").print_version == "true"
    assert parse("--version=false").print_version is None


def test_feature_gates_are_refused_in_the_log_not_as_a_usage_error() -> None:
    with pytest.raises(FlagError) as caught:
        parse("--feature-gates=AllAlpha=true,AdvancedAuditing=true")
    assert caught.value.logged
    assert caught.value.line is None
    assert caught.value.text == "unrecognized feature gate: AdvancedAuditing"
    assert refusal("--feature-gates=AllAlpha") == "missing bool value for AllAlpha"
    assert parse("--feature-gates=kube:AllAlpha=true").given("feature-gates")


def test_options_are_judged_in_the_servers_order_and_only_where_the_backend_is_on() -> None:
    bad = ["--audit-log-maxage=-1", "--audit-log-format=x", "--audit-log-mode=y"]
    assert parse(*bad).validate_audit() == ()
    assert aggregate(parse("--audit-log-path=-", *bad).validate_audit()) == (
        '[invalid audit log mode y, allowed modes are "batch,blocking,blocking-strict", '
        'invalid audit log format x, allowed formats are "legacy,json", '
        "--audit-log-maxage -1 can't be a negative number]"
    )
    assert parse("--authorization-mode=rbac").validate()[-3:] == (
        "service-account-issuer is a required flag",
        "either `--service-account-key-file` or `--service-account-signing-endpoint` must be set",
        'authorization-mode "rbac" is not a valid mode',
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("0x10", 16), ("010", 8), ("0o17", 15), ("1_000", 1000), ("-1", -1), ("+7", 7), ("0", 0), ("0b11", 3)],
)
def test_integers_are_read_with_gos_base_zero(text: str, value: int) -> None:
    assert gotext.parse_int(text) == value


@pytest.mark.parametrize("text", ["", "1.5", "08", "1__0", "_1", "0x", " 1", "1e3", "٣"])
def test_integers_go_refuses(text: str) -> None:
    with pytest.raises(gotext.GoValueError, match="invalid syntax"):
        gotext.parse_int(text)


def test_an_integer_out_of_range() -> None:
    with pytest.raises(gotext.GoValueError, match="value out of range"):
        gotext.parse_int("9223372036854775808")


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("1h2m3.5s", 3723.5), ("0", 0), ("-1m", -60), ("100ms", 0.1), (".5s", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert gotext.parse_duration(text) / 1e9 == seconds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5", 'time: missing unit in duration "5"'),
        ("7d", 'time: unknown unit "d" in duration "7d"'),
        ("", 'time: invalid duration ""'),
        ("s", 'time: invalid duration "s"'),
    ],
)
def test_durations_go_refuses(text: str, words: str) -> None:
    with pytest.raises(gotext.GoValueError) as caught:
        gotext.parse_duration(text)
    assert str(caught.value) == words


def test_lists_are_split_as_csv() -> None:
    assert split_csv('a,"b,c",d') == ["a", "b,c", "d"]
    assert split_csv("") == []
    assert split_csv("a,") == ["a", ""]
    assert split_csv('"a""b"') == ['a"b']
    assert split_csv('\n\n"a\n,b",c\nd') == ["a\n,b", "c"]
    with pytest.raises(gotext.GoValueError, match='bare " in non-quoted-field'):
        split_csv('a"b')
    with pytest.raises(gotext.GoValueError, match="extraneous or missing"):
        split_csv('"a')
