"""What a server's error means: a block for safety, no credit, a parameter that it does not take, or a wait."""

import email.utils
import json
import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import tenacity

from falserefusal.common.addresses import shown_address
from falserefusal.inference.server_reply import MalformedReply, word

RETRIED = (408, 409, 425, 429)  # and every 5xx: the request may succeed later
# Keys of an error, spelled as `word` does, whose value is a code.
CODE_KEYS = {"code", "type", "reason", "reasons", "status", "category", "errorcode", "errortype"}
CODE_KEYS |= {"blockreason", "finishreason", "nativefinishreason"}
BLOCKED_KEYS = ("blockreason", "flaggedinput")  # whatever their value is
WITHHELD = {
    "recitation": re.compile("recitation|copyright|protectedmaterial"),
    "content_filter": re.compile(
        "contentfilter|contentpolicy|contentmanagement|contentviolation|contentblocked|blockedcontent|promptblocked|"
        "policyviolation|moderation|inspection|safety|prohibitedcontent|blocklist|spii|responsibleai|guardrail|"
        "sensitive(content|word|info)|contentsensitive|contentexists?risk|unsafe|flagged|inappropriate|jailbreak|harmful"
    ),
}
NOT_OF_THE_TEXT = re.compile("invalid|unsupported|unavailable|unknown|timeout|notfound|ratelimit")
NO_CREDIT = re.compile(
    "insufficient(user)?(quota|balance|credit|fund)|billing|creditbalance|(no|outof)credits?|paymentrequired|arrear|"
    "exceededcurrentquota|overdue|spendlimit"
)
NOT_TAKEN = re.compile(
    r"unsupported|(not|n't|no longer) (be )?(\w+ )?(support|permit|allow|accept|available|recogni|valid\b|both)|"
    r"cannot both|unknown|unexpected|unrecogni|forbidden|deprecated|extra (input|field)|extraneous|"
    r"invalid (param|arg|field)|only the default|strictly positive|greater than 0|use '?max_",
    re.IGNORECASE,
)


def sent(error: BaseException) -> object:
    """What the server sent with an error, unless the error is the server's own failure."""
    return None if getattr(error, "status_code", 0) >= 500 else getattr(error, "body", None)


def codes(body: object, key: str = "") -> Iterator[str]:
    """Every code in an error, at any depth, spelled as `word` does."""
    if isinstance(body, dict):
        for name, value in body.items():
            yield from codes(value, word(name))
    elif isinstance(body, list | tuple):
        for value in body:
            yield from codes(value, key)
    elif isinstance(body, str) and (key in CODE_KEYS or not (key or " " in body)):
        yield word(body)
    if body and key in BLOCKED_KEYS:
        yield "flagged"


def withheld(error: BaseException) -> str | None:
    """The finish reason for what a provider's filter blocked: content_filter or recitation; None for other errors."""
    found = [code for code in codes(sent(error)) if not NOT_OF_THE_TEXT.search(code)]
    return next((kind for kind, pattern in WITHHELD.items() if any(map(pattern.search, found))), None)


def no_credit(error: BaseException) -> bool:
    """Whether the account has no quota or credit left, so that waiting does not help."""
    return getattr(error, "status_code", 0) == 402 or any(map(NO_CREDIT.search, codes(sent(error))))


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    import openai

    if withheld(error) or no_credit(error):
        return False
    if isinstance(error, openai.APIStatusError):
        return error.status_code in RETRIED or error.status_code >= 500
    transport = type(error).__module__.split(".")[0].startswith(("httpx", "httpcore"))
    # any other APIError was sent by the server in the middle of a stream
    known = (openai.APIError, MalformedReply, OSError, json.JSONDecodeError, UnicodeDecodeError)
    return transport or isinstance(error, known)


def unreachable(error: BaseException) -> bool:
    """Whether no connection was made: no server listens there, or there is no such name or route."""
    # by name, because the package that connects (httpx) has other names in other versions of openai
    return type(error.__cause__ or error).__name__ in ("ConnectError", "ConnectTimeout")


def message_of(error: BaseException) -> str:
    """What an error says; the client leaves out a connection's cause, and a body without a message."""
    import openai

    if isinstance(error, openai.APIConnectionError):
        return str(error.__cause__ or error)
    body = getattr(error, "body", None)
    silent = isinstance(error, openai.APIStatusError) and body and not (isinstance(body, dict) and body.get("message"))
    return f"{error} ({body})" if silent and str(body) not in str(error) else str(error)


def redirected_to(error: BaseException) -> str | None:
    """Where a redirect leads, without user name, password and query; None for other errors."""
    if not 300 <= getattr(error, "status_code", 0) < 400:
        return None
    return shown_address(error.response.headers.get("location", "")) or "an address that it does not name"  # type: ignore[attr-defined]


def refused_parameter(error: BaseException, names: Iterable[str]) -> str | None:
    """The parameter that a server does not take, of the `names` sent; None if the error is about something else."""
    said, body = message_of(error), getattr(error, "body", None)
    if not NOT_TAKEN.search(f"{said} {body}"):
        return None
    named = set(_named(body))
    names = list(names)
    found = [name for name in names if name in named]
    found += [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)]
    return next(iter(found), None)


def _named(body: Any) -> Iterator[str]:
    """What an error names as its parameter: `param`, or the last part of a place such as ["body", "seed"]."""
    if isinstance(body, dict):
        for key, value in body.items():
            if key in ("param", "loc"):
                yield str(value[-1] if isinstance(value, list | tuple) and value else value)
            else:
                yield from _named(value)
    elif isinstance(body, list):
        for value in body:
            yield from _named(value)


def retry_after(headers: Any, now: datetime) -> float:
    """Seconds that a server asks to wait, as a number or until a date; 0 if it asks for none.

    A date is compared with the server's own clock where it sends one, because clocks differ.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, TypeError, ValueError):
            continue
        return 0.0 if math.isnan(seconds) else max(seconds, 0.0)
    until = _date(headers, "retry-after")
    return max((until - (_date(headers, "date") or now)).total_seconds(), 0.0) if until else 0.0


def _date(headers: Any, name: str) -> datetime | None:
    try:
        when = email.utils.parsedate_to_datetime(headers[name])
    except (KeyError, TypeError, ValueError):
        return None
    return when if when.tzinfo else None


def wait_seconds(state: tenacity.RetryCallState, longest: float, now: datetime | None = None) -> float:
    """Seconds to wait: exponential with jitter, and at least as long as the server asks for."""
    response = getattr(state.outcome.exception() if state.outcome else None, "response", None)
    asked = retry_after(getattr(response, "headers", {}), now or datetime.now(UTC))
    waited = tenacity.wait_random_exponential(multiplier=0.5, max=longest)(state)
    return min(max(asked, waited), longest)
