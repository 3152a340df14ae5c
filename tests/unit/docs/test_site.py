"""The documentation builds as a site without broken links, loads nothing from other hosts, and is complete."""

import re
import shutil
import subprocess
import tomllib

import pytest


@pytest.fixture(scope="module")
def mkdocs(root):
    """The interpreter that has MkDocs; `make docs` installs it."""
    python = root / ".venv-docs/bin/python"
    if not python.exists():
        pytest.skip("no MkDocs: run `make docs` once to install it")
    return python


def build(python, config, site):
    command = [python, "-m", "mkdocs", "build", "--strict", "--config-file", config, "--site-dir", site]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(mkdocs, root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = build(mkdocs, root / "mkdocs.yml", folder)
    assert built.returncode == 0, built.stderr
    return folder


def test_pages_load_nothing_from_other_hosts(site):
    loaded = re.compile(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//[^>]*>""")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    assert not [(page.name, found) for page in pages for found in loaded.findall(page.read_text(encoding="utf-8"))]
    assert not [sheet for sheet in site.rglob("*.css") if re.search(r"url\(\s*[\"']?(https?:)?//", sheet.read_text())]


def test_a_browser_asks_no_other_host(site):
    executable = shutil.which("chromium")
    if not executable:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    asked = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "methods", "glossary"):
            page.goto((site / f"{name}.html").as_uri())
            page.wait_for_load_state("networkidle")
        browser.close()
    assert asked and not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


def test_the_glossary_has_every_name_that_a_report_explains(site):
    from falserefusal.report import glossary

    page = (site / "glossary.html").read_text(encoding="utf-8")
    names = [*glossary.COLUMNS, *glossary.VERDICTS, *glossary.CATEGORIES, *glossary.LABELLERS]
    assert not [name for name in names if f"<code>{name}</code>" not in page]
    assert "gold label" in page


def test_every_page_is_in_the_navigation(site, root):
    home = (site / "index.html").read_text(encoding="utf-8")
    pages = [page.relative_to(root / "docs") for page in (root / "docs").rglob("*.md")]
    assert not [page for page in pages if page.name != "index.md" and f'"{page.with_suffix(".html")}"' not in home]


@pytest.mark.parametrize("link", ["../config/no_such_file.csv", "no_such_page.md", "methods.md#no-such-heading"])
def test_a_broken_link_is_an_error(mkdocs, root, tmp_path, link):
    for part in ("docs", "workflow/falserefusal/report/glossary.py", "mkdocs.yml", "CONTRIBUTING.md"):
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (root / part).is_dir() else shutil.copy)(root / part, tmp_path / part)
    for page in (tmp_path / "docs").rglob("*.md"):
        page.write_text(re.sub(r"\]\([^)]*\)", "]", page.read_text(encoding="utf-8")), encoding="utf-8")
    index = tmp_path / "docs/index.md"
    assert build(mkdocs, tmp_path / "mkdocs.yml", tmp_path / "good").returncode == 0
    index.write_text(index.read_text(encoding="utf-8") + f"\n[broken]({link})\n", encoding="utf-8")
    built = build(mkdocs, tmp_path / "mkdocs.yml", tmp_path / "bad")
    assert built.returncode != 0 and link.split("/")[-1].split("#")[-1] in built.stderr


def test_the_page_on_dependencies_names_all_of_them(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = [re.split(r"[><=\[]", name)[0] for name in listed]
    page = (root / "docs/dependencies.md").read_text(encoding="utf-8")
    assert not [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)]
