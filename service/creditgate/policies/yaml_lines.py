"""YAML with the line of every key, so that an error can name it."""

from collections.abc import Mapping
from typing import Final, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]
"""The keys and places that lead to a value."""

_NODES_MAX: Final = 10_000


class YamlError(ValueError):
    """The text is no YAML, or names a key twice; the message begins with the line."""


class LinedYaml:
    """A document of mappings, lists and scalars.

    Attributes:
        content: the document in plain types; None for an empty one.

    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
            raise YamlError(f"line {line}: {error.problem}") from None
        except yaml.YAMLError as error:
            raise YamlError(f"line 1: {error}") from None
        self._nodes = 0
        self.content: object = self._plain(root, ()) if root is not None else None

    def line_of(self, path: Path) -> int:
        """Return the line, from 1, of a value or, when it is not there, of the nearest thing around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _plain(self, node: yaml.Node, path: Path) -> object:
        self._nodes += 1
        if self._nodes > _NODES_MAX:
            raise YamlError(f"line {node.start_mark.line + 1}: the document has more than {_NODES_MAX} values")
        self._lines.setdefault(path, node.start_mark.line + 1)
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [self._plain(item, (*path, index)) for index, item in enumerate(node.value)]
            case _:
                return yaml.SafeLoader("").construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Mapping[str, object]:
        content: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError(f"line {line}: a key must be a word")
            key = str(key_node.value)
            if key in content:
                raise YamlError(f"line {line}: {key} is there twice")
            self._lines[*path, key] = line
            content[key] = self._plain(value_node, (*path, key))
        return content
