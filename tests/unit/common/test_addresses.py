"""Addresses are shown without what may be secret in them."""

import pytest

from falserefusal.common.addresses import shown_address, shown_message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a/b.csv", "https://host/a/b.csv"),
        ("https://host/a.csv?sig=x", "https://host/a.csv?…"),
        ("https://host?sig=x", "https://host?…"),
        ("https://host/a.csv#x?y", "https://host/a.csv#…"),
        ("https://host/a?to=http://x:y@other/#z", "https://host/a?…"),
        ("https://me:pa@ss@host:80/a@b", "https://…@host:80/a@b"),
        ("/v2/a?key=x\ny", "/v2/a?…"),
        ("//host/a?x", "//host/a?…"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_user_query_and_fragment(url, shown):
    assert shown_address(url) == shown


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("404 for url: https://h/a.csv?sig=x (again)", "404 for url: https://h/a.csv?… (again)"),
        (
            "Max retries exceeded with url: /a.csv?sig='x') (Caused by y)",
            "Max retries exceeded with url: /a.csv?… (Caused by y)",
        ),
        ("from https://me:x@h/a\nto http://h?b", "from https://…@h/a to http://h?…"),
        ("Is it there? Yes: and/or", "Is it there? Yes: and/or"),
    ],
)
def test_a_message_is_shown_without_the_secrets_of_its_addresses(message, shown):
    assert shown_message(message) == shown
