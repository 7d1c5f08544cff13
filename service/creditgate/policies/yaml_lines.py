"""YAML with the line of every key, so that an error can name it."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]
"""The keys and places that lead to a value."""

_NODES_MAX: Final = 10_000
_DEPTH_MAX: Final = 20

_TAG: Final = "tag:yaml.org,2002:"
_STRING: Final = f"{_TAG}str"


class _Scalar(NamedTuple):
    """A kind of plain words: how they look, what they begin with, and what they mean."""

    pattern: re.Pattern[str]
    beginnings: tuple[str, ...]
    read: Callable[[str], object]


_SIGNS_AND_DIGITS: Final = tuple("+-0123456789")
_SCALARS: Final[Mapping[str, _Scalar]] = {
    f"{_TAG}null": _Scalar(re.compile("(~|null|)$"), ("~", "n", ""), lambda _: None),
    f"{_TAG}bool": _Scalar(re.compile("(true|false)$"), ("t", "f"), lambda text: text == "true"),
    f"{_TAG}int": _Scalar(re.compile("[+-]?[0-9]{1,18}$"), _SIGNS_AND_DIGITS, int),
    f"{_TAG}float": _Scalar(re.compile(r"[+-]?[0-9]{1,18}\.[0-9]{1,18}$"), _SIGNS_AND_DIGITS, Decimal),
}
"""What is no text. The rules are those of YAML 1.2, so that `off` and `no` are words, and `12:30` is one."""


class YamlError(ValueError):
    """The text is no YAML, or names a key twice; the message begins with the line.

    Attributes:
        line: where, from 1.
        key: the key that is wrong, or empty.
        what: what is wrong, for people.

    """

    def __init__(self, line: int, what: str, key: str = "") -> None:
        super().__init__(f"line {line}: {f'{key} {what}'.strip()}")
        self.line = line
        self.key = key
        self.what = what


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - in place of what it inherits


for _tag, _kind in _SCALARS.items():
    _Loader.add_implicit_resolver(_tag, _kind.pattern, _kind.beginnings)


class LinedYaml:
    """A document of mappings, lists and scalars. Numbers with decimals are exact.

    Attributes:
        content: the document in plain types; None for an empty one.

    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._nodes = 0
        root = _compose(text)
        self.content: object = self._plain(root, ()) if root is not None else None

    def has(self, path: Path) -> bool:
        """Return whether a value is there."""
        return path in self._lines

    def line_of(self, path: Path) -> int:
        """Return the line, from 1, of a value or, when it is not there, of the nearest thing around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _plain(self, node: yaml.Node, path: Path) -> object:
        line = node.start_mark.line + 1
        self._nodes += 1
        if self._nodes > _NODES_MAX:
            raise YamlError(line, f"the document must have at most {_NODES_MAX} values")
        if len(path) > _DEPTH_MAX:
            raise YamlError(line, f"keys must be at most {_DEPTH_MAX} levels deep")
        self._lines.setdefault(path, line)
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [self._plain(item, (*path, index)) for index, item in enumerate(node.value)]
            case _:
                return _scalar(str(node.tag), str(node.value), line)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Mapping[str, object]:
        content: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError(line, "a key must be a word")
            key = str(key_node.value)
            if key in content:
                raise YamlError(line, "is there twice; remove one of them", ".".join(map(str, (*path, key))))
            self._lines[*path, key] = line
            content[key] = self._plain(value_node, (*path, key))
        return content


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        why = ", ".join(filter(None, (error.context, error.problem)))
        advice = "; indent with blanks, not with tabs" if r"\t" in why else ""
        raise YamlError(line, f"this is not YAML: {why}{advice}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(line, f"this is not YAML: it has the character number {error.character}") from None
    except RecursionError:
        raise YamlError(1, f"keys must be at most {_DEPTH_MAX} levels deep") from None


def _scalar(tag: str, text: str, line: int) -> object:
    if tag == _STRING:
        return text
    kind = _SCALARS.get(tag)
    if kind is None or not kind.pattern.match(text):
        shown = tag.replace(_TAG, "!!")
        raise YamlError(line, f"the tag {shown} must not be there")
    return kind.read(text)
