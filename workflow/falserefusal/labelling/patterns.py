"""Load the patterns of the structured labeller from their YAML file and compile them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from falserefusal.common.errors import InputError
from falserefusal.labelling.grammar import Grammar, load_grammar, with_spellings

_BLANK = re.compile(r"(\[(?:\\.|[^\]\\])*\])| +([*?+]?)")
_NOTHING = re.compile(r"[^\w\W]")
_NAME = re.compile(r"<([a-z_]+)>")


@dataclass(frozen=True)
class Group:
    """One way of refusing; the file of patterns explains the fields.

    Three things make labelling several times faster. Speakers and starts of clauses are searched once, and patterns
    that begin with them are tried only there. Every other pattern is searched only in responses with the words that it
    needs (`cues`). And none begins with an assertion such as "\\b", so that `re` can skip to possible first characters.
    """

    name: str
    recognises: str
    ignores: str
    by_speaker: re.Pattern | None
    at_start: re.Pattern | None
    anywhere: tuple[re.Pattern, ...]
    reason: str
    alone: bool
    hedge_only: bool
    undecided: bool
    chat_only: bool
    with_options: bool
    last_resort: bool
    chat: str
    needs: re.Pattern | None
    unless: re.Pattern | None
    unless_before: re.Pattern | None


class _Parts(dict[str, re.Pattern]):
    """Expressions by name; a part that a language leaves out matches nothing."""

    def __missing__(self, name: str) -> re.Pattern:
        return _NOTHING


@dataclass(frozen=True)
class Patterns:
    """The compiled patterns of the structured labeller."""

    speaker: re.Pattern
    start: re.Pattern
    groups: tuple[Group, ...]
    reasons: tuple[tuple[str, re.Pattern], ...]
    forms: dict[str, list[str]]
    undecided_options: tuple[str, ...]
    giving: dict[str, re.Pattern]
    filler: frozenset[str]
    not_said: dict[str, re.Pattern]
    says_no: re.Pattern
    replies: re.Pattern
    at_work: re.Pattern
    closing: re.Pattern
    offers: re.Pattern
    frequent: re.Pattern
    grammar: Grammar


def load_patterns(path: str | Path) -> Patterns:
    """Read and compile a file of patterns; InputError names a wrong regular expression or a missing key."""
    with _naming(path):
        return _patterns(_read(path), str(path))


def read_grammar(path: str | Path) -> Grammar:
    """Only the section `grammar` of a file of patterns, in a tenth of the time."""
    with _naming(path):
        return _grammar(_read(path), str(path))


def _read(path: str | Path) -> dict:
    data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    return with_spellings(data, data["grammar"]["spellings"])


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Turn the errors of reading a file of patterns into an InputError that names it."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not a YAML file ({error})") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: a part of the file is missing or misplaced ({error})") from None


def _grammar(data: dict, path: str) -> Grammar:
    unfolded = {name: _unfold(part) if isinstance(part, str) else part for name, part in data["grammar"].items()}
    return load_grammar(unfolded, f"{path}: grammar")


def _patterns(data: dict, path: str) -> Patterns:
    words: dict[str, str] = {}
    for name, text in data["words"].items():
        words[name] = _expand(_unfold(text), words, f"{path}: words: {name}")
    compiler = _Compiler(path, words)
    giving = {name: text for name, text in data["giving"].items() if name != "filler"}
    return Patterns(
        speaker=_compile(words["i"], f"{path}: words: i"),
        start=_compile(words["start"], f"{path}: words: start"),
        groups=tuple(compiler.group(name, group) for name, group in data["groups"].items()),
        reasons=tuple(
            (reason["category"], compiler.any_of(_lines(reason["patterns"]), f"reasons: {reason['category']}"))
            for reason in data["reasons"]
        ),
        forms=data["forms"],
        undecided_options=tuple(data["undecided_options"]),
        giving=_Parts(
            (name, _compile(_expand(_unfold(text), words, f"{path}: giving"), f"{path}: giving: {name}"))
            for name, text in giving.items()
        ),
        filler=frozenset(data["giving"]["filler"].split()),
        not_said=_Parts(
            (name, _compile(_unfold(text), f"{path}: not_said: {name}", re.DOTALL | re.MULTILINE))
            for name, text in data["not_said"].items()
        ),
        says_no=compiler.any_of(_lines(data["says_no"]), "says_no"),
        replies=compiler.any_of(_lines(data["replies"]), "replies"),
        at_work=_compile(_unfold(data["at_work"]), f"{path}: at_work"),
        offers=compiler.any_of(_lines(data["offers"]), "offers"),
        closing=compiler.any_of(_lines(data["closing"]), "closing"),
        frequent=_compile(data["frequent"], f"{path}: frequent"),
        grammar=_grammar(data, path),
    )


@dataclass(frozen=True)
class _Compiler:
    """Compiles the lines of a file of patterns, in which <name> stands for one of `words`."""

    path: str
    words: dict[str, str]

    def any_of(self, lines: list[str], where: str) -> re.Pattern:
        """One pattern for all lines; InputError names the place of a wrong one."""
        parts = [_expand(line, self.words, f"{self.path}: {where}") for line in lines]
        if not parts:
            raise InputError(f"{self.path}: {where}: there is no pattern")
        for part in parts:
            _compile(part, f"{self.path}: {where}: {part}")
        return re.compile("|".join(f"(?:{part})" for part in parts))

    def group(self, name: str, group: dict) -> Group:
        """A group, with its lines divided by how they begin."""
        where, lines = f"groups: {name}", _lines(group["patterns"])
        speaker = [line for line in lines if line.startswith("<i>")]
        start = [line.removeprefix("<start>") for line in lines if line.startswith("<start>")]
        return Group(
            name=name,
            recognises=group["recognises"],
            ignores=group["ignores"],
            by_speaker=self.any_of(speaker, where) if speaker else None,
            at_start=self.any_of(start, where) if start else None,
            anywhere=tuple(self.any_of([line], where) for line in lines if not line.startswith(("<i>", "<start>"))),
            reason=group["reason"],
            alone=group.get("alone", False),
            hedge_only=group.get("hedge_only", False),
            undecided=group.get("undecided", False),
            chat_only=group.get("chat_only", False),
            with_options=group.get("with_options", False),
            last_resort=group.get("last_resort", False),
            chat=group.get("chat", "start"),
            needs=self.optional(group, "needs", where),
            unless=self.optional(group, "unless", where),
            unless_before=self.optional(group, "unless_before", where),
        )

    def optional(self, group: dict, key: str, where: str) -> re.Pattern | None:
        """The pattern under a key of a group, if it has that key."""
        return self.any_of([_unfold(group[key])], f"{where}: {key}") if key in group else None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _unfold(text: str) -> str:
    """Join the lines of a long list of alternatives, which may be broken after a bar."""
    return re.sub(r"\|\s+", "|", text)


def _expand(text: str, words: dict[str, str], where: str) -> str:
    """Insert the named expressions and make a blank match any white space."""

    def word(match: re.Match) -> str:
        if match[1] not in words:
            raise InputError(f"{where}: <{match[1]}> is not defined under words")
        return words[match[1]]

    def blank(match: re.Match) -> str:
        if match[1]:
            return match[1].replace(" ", r"\s")
        return r"\s*" if match[2] in ("*", "?") else r"\s+"

    return _NAME.sub(word, _BLANK.sub(blank, text))


def _compile(text: str, where: str, flags: int = 0) -> re.Pattern:
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise InputError(f"{where}: not a regular expression ({error})") from None
