"""The paths of a study: each in one place, apart from each other, and the same with wildcards as with names."""

import inspect

from falserefusal.study.files import Files


def paths(files, **names):
    """Every path of a study, by method; arguments by name, a look left out where it may be."""
    found = {}
    for name, member in inspect.getmembers(type(files)):
        if name.startswith("_") or name in ("home", "study"):
            continue
        if isinstance(member, property):
            found[name] = getattr(files, name)
            continue
        wanted = list(inspect.signature(member).parameters.values())[1:]
        given = {p.name: names[p.name] for p in wanted}
        found[name] = getattr(files, name)(**given)
        if wanted[-1].name == "look" and wanted[-1].default is None:
            found[f"{name} in all"] = getattr(files, name)(**{k: v for k, v in given.items() if k != "look"})
    return found


NAMES = {"task": "t", "model": "m", "part": "1-of-2", "judge": "j", "classifier": "c", "look": "0", "name": "n"}
NAMES |= {"ending": "e", "use": "u"}


def test_no_two_files_share_a_path():
    found = paths(Files("s"), **NAMES)
    assert len(found) > 30 and len(set(found.values())) == len(found)


def test_a_path_with_wildcards_is_that_with_names():
    wild = paths(Files("{study}"), **{name: f"{{{name}}}" for name in NAMES})
    assert {name: path.format(study="s", **NAMES) for name, path in wild.items()} == paths(Files("s"), **NAMES)


def test_what_people_labelled_is_kept_outside_results():
    files = Files("s")
    assert files.annotation_key == "annotations/s/key.csv" and files.annotation("key.csv").startswith("results/")
