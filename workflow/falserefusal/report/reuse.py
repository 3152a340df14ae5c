"""How to cite a study, and how to make it again: BibTeX, command, and what the numbers depend on."""

from collections.abc import Mapping
from typing import Any

from falserefusal.common.numbers import counted


def bibtex(citation: Mapping[str, Any], year: str) -> list[str]:
    """Return the BibTeX entries of the works that CITATION.cff refers to, and of the repository.

    Parameters
    ----------
    citation : the content of CITATION.cff; empty for none.
    year : of the code, empty if it is unknown.
    """
    if not citation:
        return []
    papers = [
        _entry(
            "inproceedings",
            {
                "title": f"{{{paper['title']}}}",
                "author": _authors(paper),
                "booktitle": paper.get("collection-title"),
                "year": paper.get("year"),
                "pages": f"{paper['start']}--{paper['end']}" if "start" in paper else None,
                "doi": paper.get("doi"),
                "url": paper.get("url"),
            },
        )
        for paper in citation.get("references", [])
    ]
    fields = {"title": f"{{{citation['title']}}}", "author": _authors(citation), "version": citation.get("version")}
    return [*papers, _entry("software", fields | {"year": year, "url": citation.get("repository-code")})]


def _authors(work: Mapping[str, Any]) -> str:
    return " and ".join(
        f"{who['family-names']}, {who['given-names']}" if "family-names" in who else f"{{{who['name']}}}"
        for who in work.get("authors", [])
    )


def _entry(kind: str, fields: Mapping[str, Any]) -> str:
    """Return an entry whose key is the first author's first name part and the year."""
    author = "".join(letter for letter in fields["author"].split(",")[0] if letter.isalnum()).lower()
    key = f"{author[:24]}{fields.get('year') or ''}"
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def facts(provenance: Mapping[str, Any], study: str, published: bool) -> dict[str, str]:
    """Return what a reader needs to make the page again: command, code, date, seed, hardware, versions, checksums."""
    code, config = provenance.get("code", {}), provenance.get("config", {})
    models = provenance.get("models", {}).values()
    weights = {str(about["revision"]) for about in models if about.get("revision")}
    found = {
        "command": f"snakemake --cores 2 {'published' if published else f'--configfile config/{study}.yaml'}",
        "code": f"commit {code['commit']}" if code.get("commit") else "",
        "date of the code": code.get("date", ""),
        "seed": str(config.get("seed", "")),
        "hardware": ", ".join(dict.fromkeys(_hardware(about) for about in models)),
        "time for responses": _time(models),
        "versions": ", ".join(f"{name} {version}" for name, version in provenance.get("versions", {}).items()),
        "weights": ", ".join(sorted(weights)),
        "checksums": f"SHA-256 of {counted(len(provenance['data']), 'data file')}, below"
        if "data" in provenance
        else "",
    }
    return {name: value for name, value in found.items() if value}


def _hardware(about: Mapping[str, Any]) -> str:
    device = about.get("device") or {}
    if isinstance(device, str):  # a remark: all responses came from the store
        return device
    name = "a server" if not device else "CPU" if device.get("name") == "cpu" else str(device.get("name"))
    threads = device.get("threads")
    return f"{name} ({counted(threads, 'thread')})" if threads and name == "CPU" else name


def _time(models) -> str:
    seconds = [about["seconds"] for about in models if about.get("seconds")]
    return f"{sum(seconds) / 60:,.0f} minutes" if seconds else ""
