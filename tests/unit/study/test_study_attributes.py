"""Attributes of crossed personas: how a personas file gives them, and one message for each mistake."""

import pytest

import falserefusal as fr
from falserefusal.common.errors import InputError
from falserefusal.study.attributes import attribute_names, load_attributes
from falserefusal.study.materials import load_personas
from falserefusal.study.study import Study

HEADER = "persona,surface,race,gender"
ROWS = ["bm,Black man,Black,man", "bw,Black woman,Black,woman", "wm,white man,white,man", "ww,white woman,white,woman"]


def write(path, header=HEADER, rows=ROWS):
    file = path / "personas.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def test_further_columns_are_attributes(tmp_path):
    file = write(tmp_path)
    assert attribute_names(file) == ("race", "gender")
    assert list(load_attributes(file)["gender"]) == ["man", "woman", "man", "woman"]
    assert list(load_personas(file).columns) == ["persona", "surface", "group", "printed", "article"]
    assert attribute_names(tmp_path / "none.csv") == ()


def test_a_file_of_a_spreadsheet_and_numbers_as_levels(tmp_path):
    file = tmp_path / "personas.csv"
    rows = [row.replace("Black,", " 20 ,").replace("white,", "30,") for row in ROWS]
    file.write_text("\n".join([HEADER, *rows]), encoding="utf-8-sig")
    assert list(load_attributes(file)["race"]) == ["20", "20", "30", "30"]


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (HEADER, [*ROWS[:3], "ww,white woman,white,"], "line 5, column 'gender': the persona 'ww' has no level"),
        (HEADER, [*ROWS[:3], "ww,white woman,white,womn"], "line 5, .*only the persona 'ww' has the level 'womn'"),
        (HEADER, [row.replace("woman", "man") for row in ROWS], "column 'gender' has only the level 'man'"),
        (HEADER, [*ROWS[:3], ROWS[1].replace("bw", "x")], "only the persona 'wm' has the level 'white'"),
        (
            HEADER,
            [*ROWS[:3], "am,Asian man,Asian,man", "an,Asian person,Asian,man", "b,b,Black,man"],
            "only the persona 'bw'",
        ),
        (HEADER, [*ROWS, "am,Asian man,Asian,man", "an,Asian guy,Asian,man"], r"no persona is \(race=Asian, gender=wo"),
        (HEADER, [*ROWS, "bn,Black guy,Black,man"], r"2 personas are \(race=Black, gender=man\), and 1 is"),
        (HEADER, [*ROWS[:3], "ww,white woman,White,woman"], "the levels 'white' and 'White' look alike"),
        ("persona,surface,race,artcile", ROWS, "unknown column 'artcile'; did you mean 'article'"),
        ("persona,surface,race,task", ROWS, "column 'task' is a word that the workflow uses itself"),
        ("persona,surface,race,Race", ROWS, "the columns 'race' and 'Race' look alike"),
        ("persona,surface,race,", ROWS, "a column has no name"),
        ("persona,surface,printed,gender", ROWS, "'gender' is the only attribute"),
    ],
)
def test_a_mistake_has_a_message(tmp_path, header, rows, message):
    with pytest.raises(InputError, match=message):
        load_attributes(write(tmp_path, header, rows))


def test_the_example_is_a_study_and_mistakes_stop_it_at_once(root):
    study = fr.load_study(root / "config/crossed/study.yaml")
    assert study.attributes == ("race", "gender", "disability")
    config = study.config.model_dump(exclude_unset=True) | {"personas": list(study.personas[:-1])}
    with pytest.raises(InputError, match=r"no persona is .race=white, gender=woman, disability=blind"):
        Study.load(config, root)


def test_only_a_study_with_attributes_has_their_tables_and_figures(root):
    crossed, plain = (fr.load_study(root / f"config/{name}/study.yaml") for name in ("crossed", "template"))
    named = {"rates_attribute", "effects_attribute"}
    for study, has in ((crossed, True), (plain, False)):
        tables = {path.split("/")[-1].removesuffix(".csv") for path in study.reported_tables}
        assert (named <= tables) is has and bool(named & tables) is has
        figures = {figure.name for figure in study.figures}
        assert ({"attributes", "attribute_interactions"} <= figures) is has
