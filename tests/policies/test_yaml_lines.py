"""YAML as the policy file is read: what words mean, where they stand, and what is refused."""

from decimal import Decimal

import pytest

from creditgate.policies.yaml_lines import LinedYaml, YamlError


def why_not(text: str) -> str:
    with pytest.raises(YamlError) as caught:
        LinedYaml(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("off", "off"),
        ("no", "no"),
        ("On", "On"),
        ("true", True),
        ("false", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("5", 5),
        ("-5", -5),
        ("010", 10),
        ("1.50", Decimal("1.50")),
        ("123456789012345.67", Decimal("123456789012345.67")),
        ("1e3", "1e3"),
        ("1_000", "1_000"),
        ("1,000.00", "1,000.00"),
        ("0x1F", "0x1F"),
        ("12:30", "12:30"),
        ("2026-11-25", "2026-11-25"),
        (".5", ".5"),
        ("'5'", "5"),
        ("9" * 19, "9" * 19),
    ],
)
def test_words_mean_what_people_mean_by_them(word: str, meaning: object) -> None:
    content = LinedYaml(f"key: {word}").content
    assert content == {"key": meaning}
    assert isinstance(content, dict)
    assert type(content["key"]) is type(meaning)


def test_decimals_are_exact() -> None:
    content = LinedYaml("[1.10, 0.1]").content
    assert str(content) == "[Decimal('1.10'), Decimal('0.1')]"


def test_keys_are_words_whatever_they_look_like() -> None:
    assert LinedYaml("5: a\ntrue: b\nnull: c").content == {"5": "a", "true": "b", "null": "c"}


def test_an_empty_document() -> None:
    assert LinedYaml("").content is None
    assert LinedYaml("# nothing\n---\n").content is None


def test_an_alias_stands_for_what_it_names() -> None:
    assert LinedYaml("a: &x {b: 1}\nc: *x").content == {"a": {"b": 1}, "c": {"b": 1}}


def test_lines() -> None:
    lined = LinedYaml("# comment\na:\n  b: 1\n  c:\n    - x\n    -   d: 2\n")
    assert [lined.line_of(path) for path in ((), ("a",), ("a", "b"), ("a", "c"))] == [2, 2, 3, 4]
    assert lined.line_of(("a", "c", 0)) == 5
    assert lined.line_of(("a", "c", 1, "d")) == 6
    assert lined.line_of(("a", "c", "nothing", "below")) == 4
    assert lined.line_of(("nothing",)) == 2
    assert lined.has(("a", "b"))
    assert not lined.has(("a", "d"))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_of_a_file_from_windows(newline: str) -> None:
    lined = LinedYaml(newline.join(["\ufeffa: 1", "b: 2", ""]))
    assert lined.content == {"a": 1, "b": 2}
    assert lined.line_of(("b",)) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: a is there twice; remove one of them"),
        ("a:\n  b: 1\n  b: 2\n", "line 3: a.b is there twice; remove one of them"),
        ("? [a]\n: b", "line 1: a key must be a word"),
        ("a: !!python/object:os.system x", "line 1: the tag !!python/object:os.system must not be there"),
        ("a: !mine x", "line 1: the tag !mine must not be there"),
        ("a: !!int x", "line 1: the tag !!int must not be there"),
        ("b: 1\na: !!timestamp 2026-11-25", "line 2: the tag !!timestamp must not be there"),
        ("a: 1\nb: c: d", "line 2: this is not YAML: mapping values are not allowed here"),
        ("a: *nothing", "line 1: this is not YAML: found undefined alias 'nothing'"),
        ("x\n\x00y", "line 2: this is not YAML: it has the character number 0"),
    ],
)
def test_what_is_refused_names_its_line(text: str, why: str) -> None:
    assert why_not(text) == why


def test_tabs_are_named() -> None:
    assert why_not("a:\n\tb: 1").startswith("line 2: this is not YAML: ")
    assert why_not("a:\n\tb: 1").endswith("; indent with blanks, not with tabs")


def test_there_is_one_document() -> None:
    assert why_not("a: 1\n---\nb: 2").startswith("line 2: this is not YAML: expected a single document")


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "[" * 5000, "[" * 22 + "]" * 22])
def test_depth_is_bounded(text: str) -> None:
    assert why_not(text) == "line 1: keys must be at most 20 levels deep"
    LinedYaml("[" * 21 + "]" * 21)


def test_size_is_bounded_however_it_is_written() -> None:
    LinedYaml("a: [" + "1, " * 9_997 + "1]")
    assert why_not("a: [" + "1, " * 9_998 + "1]") == "line 1: the document must have at most 10000 values"
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert why_not(bomb).endswith("the document must have at most 10000 values")
