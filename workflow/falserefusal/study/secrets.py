"""Find a parameter of a request that holds a key, a token or a password."""

import re

SECRETS = {
    "accesskey",
    "accesstoken",
    "apikey",
    "apitoken",
    "auth",
    "authentication",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "jwt",
}
SECRETS |= {"passphrase", "passwd", "password", "passwords", "pwd", "secret", "secrets"}
KEYS = {"access", "account", "api", "auth", "encryption", "license", "private", "secret", "service", "signing", "ssh"}
KEYS |= {"subscription"}  # words before "key"; a cache_key or prompt_cache_key is no secret
# words before "token" that make it a token of text, as in eos_token; any other, such as access_token, is a secret
OF_TEXT = {
    "begin",
    "bos",
    "cls",
    "end",
    "eos",
    "first",
    "image",
    "last",
    "mask",
    "max",
    "min",
    "new",
    "num",
    "pad",
    "per",
}
OF_TEXT |= {"sep", "special", "start", "stop", "think", "thinking", "unk"}
VALUE = re.compile(
    r"(Bearer|Basic) +[\w.~+/=-]{6,}|(sk|pk|rk|gsk|xai|hf|ghp|glpat)[-_][\w-]{16,}|eyJ[\w-]+\.[\w-]+\.[\w-]*"
)


def secret_in(value: object, key: str = "") -> str | None:
    """The first key of `value`, at any depth, that is named like a secret or has a value that looks like one."""
    if isinstance(value, dict):
        for name, part in value.items():
            secret = not isinstance(part, bool | None) and _names_a_secret(str(name))
            found = str(name) if secret else secret_in(part, str(name))
            if found is not None:
                return found
    elif isinstance(value, list | tuple):
        return next((found for part in value if (found := secret_in(part, key)) is not None), None)
    elif isinstance(value, str) and VALUE.fullmatch(value.strip()):
        return key
    return None


def _names_a_secret(name: str) -> bool:
    """Whether a key is named like a secret, however it is spelled: api_key, X-Api-Key, apiKey, APIKEY."""
    words = [word.lower() for word in re.findall("[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]*", name)]
    for before, word in zip(["", *words], words, strict=False):
        if word in SECRETS or (word == "key" and before in KEYS):
            return True
    return words[-1:] == ["token"] and not OF_TEXT.intersection(words)
