"""What prompt templates have in common: places to fill in, the system turn, and which of them ask yes/no questions."""

import re

WHOLE = "{text}"  # the layout of imported prompts, whose question is not known apart from the text
PLACEHOLDER = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\{([Aa])rticle\}( ?)")
_PRINTED_ARTICLE = re.compile(r"\b([Aa]) (?=\{persona\})")
# "would a Black person classify it as ..." is a yes/no question; "how would a Black person ..." is not. In English,
# German and Spanish: what one of them begins such a question with is in no question of the others.
_YES_NO = re.compile(
    r"(?:^|[,.:;] )(?:would|could|should|will|does|do|did|is|are|can|has|have) (?:an? |the )?\{?\w"
    r"|(?:^|[,.:;] )(?:würde|könnte|sollte|wird|ist|sind|kann|hat|hält|findet) (?:eine? |der |die |das )?\{?\w"
    r"|¿(?!(?:qué|cómo|cuál|quién|dónde|cuándo|por qué|como|de qué|con qué|en qué|a qué)\b)\{?\w",
    re.IGNORECASE,
)


def with_article(text: str, article: str, in_place_of_a: bool = False) -> str:
    """Write the persona's article for {article}, and with a capital for {Article}.

    The blank after it goes where the article is empty or ends with an apostrophe, as in "l'infirmière".

    Parameters
    ----------
    text : a template's text.
    article : the article of the persona, "" for none.
    in_place_of_a : whether the article also replaces "a" before {persona}.
    """

    def written(place: re.Match[str]) -> str:
        first = article[:1].upper() if place[1] == "A" else article[:1]
        return first + article[1:] + (place[2] if article and article[-1] not in "'’" else "")

    return _ARTICLE.sub(written, _PRINTED_ARTICLE.sub(r"{\1rticle} ", text) if in_place_of_a else text)


def asks_yes_no(template: str) -> bool:
    """Whether a template's text is grammatically a yes/no question, so that "No." can be an answer to it."""
    return bool(_YES_NO.search(template))


def system_turn(prompt: str | None, system_text: str) -> list[dict[str, str]]:
    """The system turn: the system prompt and then what the template adds, a blank line between; none if both lack."""
    parts = [part for part in (prompt, system_text) if part]
    return [{"role": "system", "content": "\n\n".join(parts)}] if parts else []
