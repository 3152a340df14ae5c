"""Write LaTeX: escaped texts, names of macros, tabulars and floats."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\le}",
    "≥": r"\ensuremath{\ge}",
    "→": r"\ensuremath{\rightarrow}",
    "·": r"\ensuremath{\cdot}",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "…": r"\dots{}",
    "\u00a0": "~",
}
DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def escape(text: str) -> str:
    """Return `text` so that LaTeX prints it as it is; letters of other scripts stay, and need LuaLaTeX or XeLaTeX."""
    return "".join(SPECIAL.get(sign, sign) for sign in " ".join(str(text).split()))


def letters(name: str) -> str:
    r"""Return a name in ASCII letters only, as LaTeX wants it in a macro: "Llama2-7B" becomes LlamaTwoSevenB.

    Digits become words, words begin with a capital, and accents are dropped. A name without a letter or digit becomes
    the words of its code points.
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    words = re.findall(r"[A-Za-z]+|[0-9]", re.sub(r"(?<=\d)\.(?=\d)", " Point ", plain))
    found = "".join(DIGITS[int(word)] if word.isdigit() else word[0].upper() + word[1:] for word in words)
    return found or "".join(DIGITS[int(digit)] for sign in name for digit in str(ord(sign)))


def distinct(names: Iterable[str]) -> list[str]:
    """Return the names with B, C and so on after the second, third and further one of equal names."""
    found: list[str] = []
    for name in names:
        choices = (name + _letter(number) for number in range(len(found) + 1))
        found.append(next(choice for choice in choices if choice not in found))
    return found


def _letter(number: int) -> str:
    """Return nothing for 0, then B, C to Z, ZB, ZC and so on."""
    return "" if number == 0 else chr(ord("A") + number) if number < 26 else "Z" + _letter(number - 25)


class Tabular(NamedTuple):
    """A table of LaTeX texts.

    Attributes
    ----------
    columns : the argument of tabular, such as "lrr"
    head : the lines of the head, without the final backslashes
    rows : the cells of each row; a row of one text is a heading, and an empty row is a rule
    """

    columns: str
    head: list[str]
    rows: list[list[str]]

    def text(self) -> str:
        """Return the tabular, in the style of booktabs and without a caption."""
        lines = [rf"\begin{{tabular}}{{@{{}}{self.columns}}}", r"\toprule", *self.head, r"\midrule"]
        for i, row in enumerate(self.rows):
            if not row:
                lines.append(r"\midrule")
            elif len(row) == 1:
                space = [r"\addlinespace"] if i and self.rows[i - 1] else []
                lines += [*space, rf"\multicolumn{{{self.width}}}{{@{{}}l}}{{\textit{{{row[0]}}}}} \\"]
            else:
                lines.append(" & ".join(row) + r" \\")
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(re.findall("[lcrp]", re.sub(r"(?<=[@p>])\{[^}]*\}", "", self.columns)))


def floating(body: str, caption: str, label: str, wide: bool, kind: str) -> str:
    """Return a float with a caption in LaTeX; `kind` is table or figure, `wide` means both columns of the page."""
    name = f"{kind}*" if wide else kind
    lines = [rf"\begin{{{name}}}[tp]", r"\centering", body, rf"\caption{{{caption}}}", rf"\label{{{label}}}"]
    return "\n".join([*lines, rf"\end{{{name}}}", ""])
