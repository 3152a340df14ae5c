"""Every sentence about results: titles of figures, cards of the page, remarks. One template each, with examples.

A sentence that names a level takes a `Separation`, and names only what is separated. Templates are Jinja's. The test of
this file renders all examples and fails if a branch of a template has none.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jinja2

from falserefusal.common import numbers
from falserefusal.common.separation import MIN_REFUSALS, Separation


class Sentence(NamedTuple):
    """A template, and examples of values with the text that they give."""

    text: str
    examples: list[tuple[dict[str, Any], str]]


NONE = Separation(3, 0, 3, 0, "", "", "", "", 0.0, -0.02, 0.02, "")
FEW = NONE._replace(refusals=4, difference=0.03, lo=-0.05, hi=0.11)
ALIKE = Separation(15, 754, 105, 0, "", "", "", "", 0.0556, -0.0634, 0.1752, "")
ONE = Separation(1, 754, 0, 0, "", "", "", "", float("nan"), float("nan"), float("nan"), "")
PAIR = Separation(15, 754, 105, 3, "", "", "“a”", "“b”", 0.0821, 0.0034, 0.1608, "")
TOP = PAIR._replace(clear=14, highest="“a”")
BOTTOM = PAIR._replace(clear=14, lowest="“b”")
ENDS = PAIR._replace(clear=27, highest="“a”", lowest="“b”")
TWO = Separation(2, 754, 1, 1, "“a”", "“b”", "“a”", "“b”", 0.0821, 0.0034, 0.1608, "“a” > “b”")

_DIFFER = (
    "{% if s.levels < 2 %}There is only one {{ noun }}, so nothing is compared"
    "{% elif not s.refusals %}No refusals: nothing to compare"
    "{% elif s.refusals < least %}{{ s.refusals | counted('refusal') }}: too few to compare {{ noun }}s (largest "
    "difference {{ s.difference | points(s.lo, s.hi, false) }} points, interval {{ span(s.lo, s.hi) }})"
    "{% elif not s.clear %}No {{ noun }} {{ verb }} clearly more often than another: largest difference "
    "{{ s.difference | points(s.lo, s.hi, false) }} points (interval {{ span(s.lo, s.hi) }}), "
    "{{ s.refusals | counted('refusal') }}"
    "{% else %}"
    "{% if s.levels == 2 %}{{ s.higher }} {{ verb }} more often than {{ s.lower }}"
    "{% elif s.highest and s.lowest %}{{ s.highest }} {{ verb }} most often, {{ s.lowest }} least often"
    "{% elif s.highest %}{{ s.highest }} {{ verb }} most often"
    "{% elif s.lowest %}{{ s.lowest }} {{ verb }} least often"
    "{% else %}{{ s.higher }} {{ verb }} more often than {{ s.lower }}"
    "{% endif %}: {% if s.levels > 2 %}{{ s.higher }} minus {{ s.lower }} "
    "{% endif %}{{ s.difference | points(s.lo, s.hi) }} points ({{ span(s.lo, s.hi) }}){% if s.levels > 2 %}; "
    "{{ s.clear }} of {{ s.pairs }} pairs differ clearly{% endif %}{% endif %}"
)
_IS = {"noun": "persona", "verb": "is refused"}

SENTENCES: dict[str, Sentence] = {
    "levels differ": Sentence(
        _DIFFER,
        [
            ({"s": ONE, **_IS}, "There is only one persona, so nothing is compared"),
            ({"s": NONE, **_IS}, "No refusals: nothing to compare"),
            (
                {"s": FEW, **_IS},
                "4 refusals: too few to compare personas (largest difference 3.0 points, interval −5.0 to +11.0)",
            ),
            (
                {"s": ALIKE, **_IS},
                "No persona is refused clearly more often than another: largest difference 6 points (interval −6 "
                "to +18), 754 refusals",
            ),
            (
                {"s": ENDS, **_IS},
                "“a” is refused most often, “b” least often: “a” minus “b” +8.2 points (+0.3 to +16.1); 27 of 105 "
                "pairs differ clearly",
            ),
            (
                {"s": TOP, **_IS},
                "“a” is refused most often: “a” minus “b” +8.2 points (+0.3 to +16.1); 14 of 105 pairs differ clearly",
            ),
            (
                {"s": BOTTOM, **_IS},
                "“b” is refused least often: “a” minus “b” +8.2 points (+0.3 to +16.1); 14 of 105 pairs differ clearly",
            ),
            (
                {"s": PAIR, **_IS},
                "“a” is refused more often than “b”: “a” minus “b” +8.2 points (+0.3 to +16.1); 3 of 105 pairs "
                "differ clearly",
            ),
            (
                {"s": TWO, "noun": "model", "verb": "refuses"},
                "“a” refuses more often than “b”: +8.2 points (+0.3 to +16.1)",
            ),
        ],
    ),
    "attributes differ": Sentence(
        "{% if refusals < least %}{{ refusals | counted('refusal') }}: too few to compare the levels of attributes"
        "{% elif not found | map('last') | sum('clear') %}Attributes {{ found | map('first') | list | listing }}: no "
        "level is refused clearly more often than another{% else %}{% for attribute, s in found %}{{ attribute }}: "
        "{% if not s.clear %}no level is refused clearly more often than another{% else %}{{ s.higher }} "
        "is refused more often than {{ s.lower }} ({{ s.difference | points(s.lo, s.hi) }} points, interval "
        "{{ span(s.lo, s.hi) }}{{ '; ' ~ s.clear ~ ' of ' ~ s.pairs ~ ' pairs differ clearly' if s.levels > 2 }})"
        "{% endif %}{{ '; ' if not loop.last }}{% endfor %}{% endif %}",
        [
            (
                {"found": [("race", FEW), ("gender", FEW)], "refusals": 4},
                "4 refusals: too few to compare the levels of attributes",
            ),
            (
                {"found": [("race", ALIKE), ("gender", ALIKE)], "refusals": 754},
                "Attributes race and gender: no level is refused clearly more often than another",
            ),
            (
                {"found": [("race", PAIR), ("gender", ALIKE)], "refusals": 754},
                "race: “a” is refused more often than “b” (+8.2 points, interval +0.3 to +16.1; 3 of 105 pairs differ "
                "clearly); gender: no level is refused clearly more often than another",
            ),
            (
                {"found": [("race", TWO), ("gender", TWO)], "refusals": 754},
                "race: “a” is refused more often than “b” (+8.2 points, interval +0.3 to +16.1); gender: “a” is "
                "refused more often than “b” (+8.2 points, interval +0.3 to +16.1)",
            ),
        ],
    ),
    "attributes interact": Sentence(
        "{% if refusals < least %}{{ refusals | counted('refusal') }}: too few to tell whether effects of attributes "
        "add up{% else %}The refusal rate departs clearly from the sum of main effects in {{ clear or 'none' }} of "
        "{{ effects }} combinations of levels: largest {{ 'of these departures' if clear else 'departure' }} "
        "{{ difference | points(lo, hi) }} points (95% interval {{ span(lo, hi) }}){% endif %}",
        [
            (
                {"refusals": 4, "effects": 4, "clear": 0, "difference": 0.01, "lo": -0.02, "hi": 0.04},
                "4 refusals: too few to tell whether effects of attributes add up",
            ),
            (
                {"refusals": 754, "effects": 20, "clear": 4, "difference": -0.041, "lo": -0.062, "hi": -0.02},
                "The refusal rate departs clearly from the sum of main effects in 4 of 20 combinations of levels: "
                "largest of these departures −4.1 points (95% interval −6.2 to −2.0)",
            ),
            (
                {"refusals": 754, "effects": 4, "clear": 0, "difference": 0.011, "lo": -0.012, "hi": 0.034},
                "The refusal rate departs clearly from the sum of main effects in none of 4 combinations of levels: "
                "largest departure +1.1 points (95% interval −1.2 to +3.4)",
            ),
        ],
    ),
    "tasks by model": Sentence(
        "{% if tasks < 2 %}{{ 'Refusal rate' if models == 1 else 'Refusal rates' }} of "
        "{{ models | counted('model') }} in one task: {{ spread(lowest, highest) }}{% elif not enough %}Fewer than "
        "{{ least }} refusals in every model: too few to compare tasks{% elif enough == 1 %}"
        "{{ most | first if most else 'No task' }} is clearly refused most often{% elif not most %}No task is clearly "
        "refused most often in any of {{ enough }} models with {{ least }} refusals or more{% else %}Task "
        "that is clearly refused most often: {% for task, count in most.items() %}{{ task }} in {{ count }}"
        "{{ ', ' if not loop.last }}{% endfor %} of {{ enough | counted('model') }} with {{ least }} refusals or more"
        "{% endif %}",
        [
            (
                {"tasks": 1, "models": 2, "lowest": 0.00001, "highest": 0.412, "enough": 0, "most": {}},
                "Refusal rates of 2 models in one task: <0.01% to 41.2%",
            ),
            (
                {"tasks": 3, "models": 2, "lowest": 0, "highest": 0.4, "enough": 0, "most": {}},
                "Fewer than 30 refusals in every model: too few to compare tasks",
            ),
            (
                {"tasks": 3, "models": 2, "lowest": 0, "highest": 0.4, "enough": 1, "most": {}},
                "No task is clearly refused most often",
            ),
            (
                {"tasks": 3, "models": 2, "lowest": 0, "highest": 0.4, "enough": 1, "most": {"NLI": 1}},
                "NLI is clearly refused most often",
            ),
            (
                {"tasks": 1, "models": 1, "lowest": 0.1, "highest": 0.1, "enough": 1, "most": {}},
                "Refusal rate of 1 model in one task: 10.0%",
            ),
            (
                {"tasks": 3, "models": 2, "lowest": 0, "highest": 0.4, "enough": 2, "most": {}},
                "No task is clearly refused most often in any of 2 models with 30 refusals or more",
            ),
            (
                {
                    "tasks": 3,
                    "models": 2,
                    "lowest": 0,
                    "highest": 0.4,
                    "enough": 7,
                    "most": {"NLI": 4, "politeness": 1},
                },
                "Task that is clearly refused most often: NLI in 4, politeness in 1 of 7 models with 30 refusals or "
                "more",
            ),
        ],
    ),
    "persona or none": Sentence(
        "{{ task }}: {% if not known %}the persona rate is above the baseline rate in {{ up }} and below it in "
        "{{ down }} of {{ models | counted('model') }} (no test: the paper prints no sample size of the baseline)"
        "{% elif not up and not down %}naming a persona does not clearly change the refusal rate "
        "{% if models == 1 %}of the model{% else %}of any of {{ models }} models{% endif %}{% else %}naming a "
        "persona clearly raises the refusal rate in {{ up }} and lowers it in {{ down }} of "
        "{{ models | counted('model') }}{% endif %}",
        [
            (
                {"task": "NLI", "known": False, "up": 9, "down": 7, "models": 16},
                "NLI: the persona rate is above the baseline rate in 9 and below it in 7 of 16 models (no test: the "
                "paper prints no sample size of the baseline)",
            ),
            (
                {"task": "NLI", "known": True, "up": 0, "down": 0, "models": 1},
                "NLI: naming a persona does not clearly change the refusal rate of the model",
            ),
            (
                {"task": "NLI", "known": True, "up": 0, "down": 0, "models": 4},
                "NLI: naming a persona does not clearly change the refusal rate of any of 4 models",
            ),
            (
                {"task": "NLI", "known": True, "up": 2, "down": 0, "models": 4},
                "NLI: naming a persona clearly raises the refusal rate in 2 and lowers it in 0 of 4 models",
            ),
        ],
    ),
    "shrunken effects": Sentence(
        "Shrunken persona effects are between {{ low | points }} and {{ high | points }} points, raw ones between "
        "{{ raw_low | points }} and {{ raw_high | points }}",
        [
            (
                {"low": -0.01, "high": 0.082, "raw_low": -0.034, "raw_high": 0.151},
                "Shrunken persona effects are between −1.00 and +8.20 points, raw ones between −3.40 and +15.1",
            )
        ],
    ),
    "personas by model": Sentence(
        "Mean rates over tasks: {{ spread(low, high) }}; personas {% if models == 1 %}"
        "{{ 'differ clearly' if differ else 'do not differ clearly' }}{% else %}differ clearly in "
        "{{ differ or 'none' }} of {{ models }} models{% endif %}",
        [
            (
                {"low": 0, "high": 0.765, "differ": 3, "models": 16},
                "Mean rates over tasks: 0% to 76.5%; personas differ clearly in 3 of 16 models",
            ),
            (
                {"low": 0.01, "high": 0.02, "differ": 0, "models": 1},
                "Mean rates over tasks: 1.00% to 2.00%; personas do not differ clearly",
            ),
            (
                {"low": 0.01, "high": 0.02, "differ": 1, "models": 1},
                "Mean rates over tasks: 1.00% to 2.00%; personas differ clearly",
            ),
            (
                {"low": 0.01, "high": 0.02, "differ": 0, "models": 2},
                "Mean rates over tasks: 1.00% to 2.00%; personas differ clearly in none of 2 models",
            ),
        ],
    ),
    "personas by model in a task": Sentence(
        "{{ task }}: rates of {{ spread(low, high) }}; personas {% if models == 1 %}"
        "{{ 'differ clearly' if differ else 'do not differ clearly' }}{% else %}differ clearly in "
        "{{ differ or 'none' }} of {{ models }} models{% endif %}",
        [
            (
                {"task": "NLI", "low": 0, "high": 0.765, "differ": 3, "models": 16},
                "NLI: rates of 0% to 76.5%; personas differ clearly in 3 of 16 models",
            ),
            (
                {"task": "NLI", "low": 0, "high": 0, "differ": 0, "models": 1},
                "NLI: rates of 0%; personas do not differ clearly",
            ),
            (
                {"task": "NLI", "low": 0, "high": 0.5, "differ": 1, "models": 1},
                "NLI: rates of 0% to 50.0%; personas differ clearly",
            ),
            (
                {"task": "NLI", "low": 0, "high": 0.5, "differ": 0, "models": 2},
                "NLI: rates of 0% to 50.0%; personas differ clearly in none of 2 models",
            ),
        ],
    ),
    "formats by model": Sentence(
        "{{ task }}: {% if formats < 2 %}there is only one response format{% elif not enough %}fewer than {{ least }}"
        " refusals in every model: too few to compare response formats{% elif enough == 1 %}"
        "{{ most | first if most else 'no response format' }} is clearly refused most often{% elif not most %}no "
        "response format is clearly refused most often in any of {{ enough }} models with {{ least }} refusals or "
        "more{% else %}response format that is clearly refused most often: {% for name, count in most.items() %}"
        "{{ name }} in {{ count }}{{ ', ' if not loop.last }}{% endfor %} of {{ enough | counted('model') }} with "
        "{{ least }} refusals or more{% endif %}",
        [
            ({"task": "NLI", "formats": 1, "enough": 3, "most": {}}, "NLI: there is only one response format"),
            (
                {"task": "NLI", "formats": 3, "enough": 1, "most": {"forced": 1}},
                "NLI: forced is clearly refused most often",
            ),
            (
                {"task": "NLI", "formats": 3, "enough": 1, "most": {}},
                "NLI: no response format is clearly refused most often",
            ),
            (
                {"task": "NLI", "formats": 3, "enough": 0, "most": {}},
                "NLI: fewer than 30 refusals in every model: too few to compare response formats",
            ),
            (
                {"task": "NLI", "formats": 3, "enough": 2, "most": {}},
                "NLI: no response format is clearly refused most often in any of 2 models with 30 refusals or more",
            ),
            (
                {"task": "NLI", "formats": 3, "enough": 7, "most": {"unforced": 5, "forced": 1}},
                "NLI: response format that is clearly refused most often: unforced in 5, forced in 1 of 7 models "
                "with 30 refusals or more",
            ),
        ],
    ),
    "importance": Sentence(
        "{% if not s.levels %}All responses have the same verdict, so importance is not defined"
        "{% elif s.levels == 1 %}There is only one factor, so nothing is compared{% elif s.refusals < least %}"
        "{{ s.refusals | counted('refusal') }}: too few to compare the importance of factors{% elif not intervals %}"
        "Too few refused texts for intervals, so factors are not ranked{% elif '>' in s.order %}Importance: "
        "{{ s.order }} (“>”: clearly larger){% elif s.clear %}{{ s.higher }} is clearly more important than "
        "{{ s.lower }}; the order of the other factors is not clear{% else %}No factor is clearly more important than "
        "another{% endif %}{% if noise %}; not above the noise floor: {{ noise | listing }}{% endif %}",
        [
            ({"s": ONE, "intervals": True, "noise": []}, "There is only one factor, so nothing is compared"),
            (
                {"s": NONE._replace(levels=0), "intervals": True, "noise": []},
                "All responses have the same verdict, so importance is not defined",
            ),
            (
                {"s": FEW, "intervals": True, "noise": []},
                "4 refusals: too few to compare the importance of factors",
            ),
            (
                {"s": ALIKE, "intervals": False, "noise": []},
                "Too few refused texts for intervals, so factors are not ranked",
            ),
            (
                {"s": ALIKE, "intervals": True, "noise": ["persona"]},
                "No factor is clearly more important than another; not above the noise floor: persona",
            ),
            (
                {"s": TWO._replace(order="model > task, persona"), "intervals": True, "noise": []},
                "Importance: model > task, persona (“>”: clearly larger)",
            ),
            (
                {"s": PAIR._replace(higher="model", lower="task", order="model, persona, task")}
                | {"intervals": True, "noise": []},
                "model is clearly more important than task; the order of the other factors is not clear",
            ),
        ],
    ),
    "importance by model": Sentence(
        "{% if not models %}Importance of {{ factor }} is not defined: in each model all verdicts are the same{% "
        "else %}Importance of "
        "{{ factor }} within a model: above the 95% noise floor in {{ above }} of {{ models | counted('model') }} "
        "with refusals (expected without effect: 5% of models){% endif %}",
        [
            (
                {"factor": "persona", "above": 0, "models": 0},
                "Importance of persona is not defined: in each model all verdicts are the same",
            ),
            (
                {"factor": "persona", "above": 3, "models": 16},
                "Importance of persona within a model: above the 95% noise floor in 3 of 16 models with refusals "
                "(expected without effect: 5% of models)",
            ),
        ],
    ),
    "coefficients": Sentence(
        "{% if not personas %}Coefficients of the factors that vary{% elif not clear %}No coefficient of a persona "
        "differs clearly from the reference{% if reference %} “{{ reference }}”{% endif %} ("
        "{{ personas | counted('coefficient') }}, Bonferroni){% else %}{{ clear }} of "
        "{{ personas | counted('coefficient') }} of personas {{ 'differs' if clear == 1 else 'differ' }} clearly "
        "from the reference{% if reference %} “{{ reference }}”{% endif %} (Bonferroni){% endif %}{% if odd %}; "
        "outliers of the printed values: {{ odd | listing }}{% endif %}",
        [
            ({"personas": 0, "clear": 0, "reference": "", "odd": []}, "Coefficients of the factors that vary"),
            (
                {"personas": 14, "clear": 0, "reference": "atheist", "odd": []},
                "No coefficient of a persona differs clearly from the reference “atheist” (14 coefficients, "
                "Bonferroni)",
            ),
            (
                {"personas": 14, "clear": 2, "reference": "atheist", "odd": ["Qwen2"]},
                "2 of 14 coefficients of personas differ clearly from the reference “atheist” (Bonferroni); outliers "
                "of the printed values: Qwen2",
            ),
            (
                {"personas": 1, "clear": 1, "reference": "", "odd": []},
                "1 of 1 coefficient of personas differs clearly from the reference (Bonferroni)",
            ),
        ],
    ),
    "planted rates": Sentence(
        "{% if not known %}All planted rates are 0 or 1, which every interval contains{% else %}{{ inside | "
        "thousands }} "
        "of {{ known | counted('interval') }} contain{{ 's' if known == 1 }} the planted rate ("
        "{{ (inside / known) | percent }}; nominal 95%){% endif %}{% if certain %}; not "
        "counted: {{ certain | counted('cell') }} with a planted rate of 0 or 1{% endif %}",
        [
            ({"known": 0, "inside": 0, "certain": 0}, "All planted rates are 0 or 1, which every interval contains"),
            (
                {"known": 700, "inside": 672, "certain": 20},
                "672 of 700 intervals contain the planted rate (96.0%; nominal 95%); not counted: 20 cells with a "
                "planted rate of 0 or 1",
            ),
            (
                {"known": 1, "inside": 1, "certain": 1},
                "1 of 1 interval contains the planted rate (100%; nominal 95%); not counted: 1 cell with a planted "
                "rate of 0 or 1",
            ),
        ],
    ),
    "printed values": Sentence(
        "Printed values and claims of the paper: {% for result, count in counts.items() %}{{ count | thousands }} "
        "{{ result }}{{ ', ' if not loop.last }}{% endfor %}",
        [
            (
                {"counts": {"reproduced": 39, "not reproduced": 4, "not testable": 1200}},
                "Printed values and claims of the paper: 39 reproduced, 4 not reproduced, 1,200 not testable",
            )
        ],
    ),
    "claims": Sentence(
        "Of {{ (counts.values() | sum) | counted('claim') }}: {% for word, count in counts.items() %}{{ count }} "
        "{{ word }}{{ ', ' if not loop.last }}{% endfor %}",
        [({"counts": {"supported": 2, "not testable": 5}}, "Of 7 claims: 2 supported, 5 not testable")],
    ),
    "interim looks": Sentence(
        "{{ models | counted('model') }} gave {% if fewest == most %}{{ most | thousands }} responses"
        "{% if models > 1 %} each{% endif %}{% else %}{{ fewest | thousands }} to {{ most | thousands }} responses"
        "{% endif %} in at most {{ looks | counted('interim look') }}",
        [
            (
                {"models": 1, "fewest": 640, "most": 640, "looks": 2},
                "1 model gave 640 responses in at most 2 interim looks",
            ),
            (
                {"models": 2, "fewest": 640, "most": 640, "looks": 1},
                "2 models gave 640 responses each in at most 1 interim look",
            ),
            (
                {"models": 4, "fewest": 640, "most": 1280, "looks": 3},
                "4 models gave 640 to 1,280 responses in at most 3 interim looks",
            ),
        ],
    ),
    "no as an answer": Sentence(
        "{% if not models %}No model refuses, so no refusal can be “No” as an answer{% else %}“No” as an answer "
        "could explain more than half of the refusals in {{ half }} of {{ models | counted('model') }} with refusals"
        "{% if shares %}, and {{ shares[0] | percent }} to {{ shares[1] | percent }} of them in the other "
        "{{ (models - half) | counted('model') }}{% endif %}{% endif %}",
        [
            ({"models": 0, "half": 0, "shares": None}, "No model refuses, so no refusal can be “No” as an answer"),
            (
                {"models": 14, "half": 12, "shares": (0.071, 0.22)},
                "“No” as an answer could explain more than half of the refusals in 12 of 14 models with refusals, and "
                "7.10% to 22.0% of them in the other 2 models",
            ),
            (
                {"models": 1, "half": 1, "shares": None},
                "“No” as an answer could explain more than half of the refusals in 1 of 1 model with refusals",
            ),
        ],
    ),
    "labellers differ": Sentence(
        "{% if labellers < 2 %}There is only one labeller{% elif not gap %}Labellers do not differ in {{ what }}"
        "{% else %}Labellers differ by up to {{ gap }}{{ ' ' ~ unit if unit }} in {{ what }}{% endif %}",
        [
            ({"labellers": 1, "gap": "", "what": "rates", "unit": "points"}, "There is only one labeller"),
            ({"labellers": 2, "gap": "", "what": "rates", "unit": "points"}, "Labellers do not differ in rates"),
            (
                {"labellers": 2, "gap": "12.3", "what": "rates", "unit": "points"},
                "Labellers differ by up to 12.3 points in rates",
            ),
            (
                {"labellers": 2, "gap": "0.04", "what": "the importance of a factor", "unit": ""},
                "Labellers differ by up to 0.04 in the importance of a factor",
            ),
        ],
    ),
    "claims by labeller": Sentence(
        "{{ same }} of {{ claims | counted('claim') }} {{ 'has' if claims == 1 else 'have' }} the same conclusion "
        "under every labeller",
        [
            ({"same": 5, "claims": 7}, "5 of 7 claims have the same conclusion under every labeller"),
            ({"same": 1, "claims": 1}, "1 of 1 claim has the same conclusion under every labeller"),
        ],
    ),
    "corrections": Sentence(
        "{% if not outside %}{{ 'The' if rates == 1 else 'Every' }} uncorrected rate is inside the 95% interval of "
        "the corrected rate{% else %}{{ outside }} of {{ rates | counted('uncorrected rate') }} "
        "{{ 'is' if rates == 1 else 'are' }} outside the 95% interval of the corrected rate{% endif %}{% if gap %}; "
        "largest correction {{ gap | points(sign=false) }} points{% endif %}",
        [
            (
                {"outside": 0, "rates": 12, "gap": 0.0},
                "Every uncorrected rate is inside the 95% interval of the corrected rate",
            ),
            (
                {"outside": 0, "rates": 1, "gap": 0.0},
                "The uncorrected rate is inside the 95% interval of the corrected rate",
            ),
            (
                {"outside": 3, "rates": 12, "gap": 0.082},
                "3 of 12 uncorrected rates are outside the 95% interval of the corrected rate; largest correction "
                "8.20 points",
            ),
            (
                {"outside": 1, "rates": 1, "gap": 0.082},
                "1 of 1 uncorrected rate is outside the 95% interval of the corrected rate; largest correction 8.20 "
                "points",
            ),
        ],
    ),
    "choices": Sentence(
        "{% if not moved %}{% if choices == 1 %}The choice does not{% else %}None of {{ choices }} choices{% endif %}"
        " clearly {{ 'change' if choices == 1 else 'changes' }} a headline result (5%, Holm's correction){% else %}"
        "{{ moved | length }} of {{ choices | counted('choice') }} clearly "
        "{{ 'changes' if moved | length == 1 else 'change' }} a result (5%, Holm's correction): {{ moved | listing }}"
        "{% endif %}",
        [
            (
                {"choices": 6, "moved": []},
                "None of 6 choices clearly changes a headline result (5%, Holm's correction)",
            ),
            (
                {"choices": 1, "moved": []},
                "The choice does not clearly change a headline result (5%, Holm's correction)",
            ),
            (
                {"choices": 6, "moved": ["token cap"]},
                "1 of 6 choices clearly changes a result (5%, Holm's correction): token cap",
            ),
            (
                {"choices": 6, "moved": ["token cap", "layout"]},
                "2 of 6 choices clearly change a result (5%, Holm's correction): token cap and layout",
            ),
        ],
    ),
    "screen": Sentence(
        "{{ raised }} of {{ effects | counted('persona effect') }} "
        "{{ 'raises' if raised == 1 or effects == 1 else 'raise' }} a refusal rate (test with 5% "
        "family-wise error rate)",
        [
            (
                {"raised": 3, "effects": 45},
                "3 of 45 persona effects raise a refusal rate (test with 5% family-wise error rate)",
            ),
            (
                {"raised": 1, "effects": 45},
                "1 of 45 persona effects raises a refusal rate (test with 5% family-wise error rate)",
            ),
            (
                {"raised": 0, "effects": 1},
                "0 of 1 persona effect raises a refusal rate (test with 5% family-wise error rate)",
            ),
        ],
    ),
    "frame: refusals": Sentence(
        "Refusals with a persona: {{ refusals | thousands }} of {{ n | counted('response') }} ({{ rate | percent }}) "
        "of {{ models | counted('model') }}",
        [
            (
                {"refusals": 1754, "n": 50000, "rate": 0.03508, "models": 3},
                "Refusals with a persona: 1,754 of 50,000 responses (3.51%) of 3 models",
            )
        ],
    ),
    "short: asked": Sentence(
        "{% if variants %}One model under {{ models | counted('system prompt') }}{% elif kind == 'rehearsal' %}"
        "{{ models | counted('stand-in') }}{% elif kind == 'dummies' %}"
        "{{ models | counted('dummy') }}{% else %}{{ models | counted('model') }}{% endif %} gave "
        "{{ n | counted('response') }} to harmless classification prompts ({{ tasks | listing(9) }}) that name one of "
        "{{ personas | counted('persona') }}. {% if not refusals %}None is a refusal.{% else %}{{ refusals | thousands "
        "}} ({{ (refusals / n) | percent }}) {{ 'is a refusal' if refusals == 1 else 'are refusals' }}.{% endif %}",
        [
            (
                {
                    "kind": "run",
                    "variants": True,
                    "models": 4,
                    "n": 912,
                    "refusals": 84,
                    "tasks": ["politeness", "NLI"],
                    "personas": 15,
                },
                "One model under 4 system prompts gave 912 responses to harmless classification prompts (politeness "
                "and NLI) that name one of 15 personas. 84 (9.21%) are refusals.",
            ),
            (
                {
                    "kind": "published",
                    "variants": False,
                    "models": 16,
                    "n": 10000,
                    "refusals": 1,
                    "tasks": ["NLI"],
                    "personas": 15,
                },
                "16 models gave 10,000 responses to harmless classification prompts (NLI) that name one of 15 "
                "personas. 1 (0.01%) is a refusal.",
            ),
            (
                {
                    "kind": "dummies",
                    "variants": False,
                    "models": 2,
                    "n": 10,
                    "refusals": 0,
                    "tasks": ["NLI"],
                    "personas": 4,
                },
                "2 dummies gave 10 responses to harmless classification prompts (NLI) that name one of 4 personas. "
                "None is a refusal.",
            ),
            (
                {
                    "kind": "rehearsal",
                    "variants": False,
                    "models": 1,
                    "n": 1,
                    "refusals": 0,
                    "tasks": ["NLI"],
                    "personas": 1,
                },
                "1 stand-in gave 1 response to harmless classification prompts (NLI) that name one of 1 persona. None "
                "is a refusal.",
            ),
        ],
    ),
    "short: found": Sentence(
        "{% if effect %}Naming a persona {% if effect.lo > 0 %}clearly raises{% elif effect.hi < 0 %}clearly lowers"
        "{% else %}does not clearly change{% endif %} the refusal rate on average over models and tasks: "
        "{{ effect.difference | points(effect.lo, effect.hi) }} points (95% interval "
        "{{ span(effect.lo, effect.hi) }}). {% endif %}{{ about }}{% if clear %} "
        "(simultaneous interval of all pairs){% endif %}.",
        [
            (
                {
                    "effect": {"difference": difference, "lo": lo, "hi": hi},
                    "about": "No persona is refused most often",
                    "clear": False,
                },
                f"Naming a persona {found}). No persona is refused most often.",
            )
            for difference, lo, hi, found in (
                (
                    0.0563,
                    0.0237,
                    0.0889,
                    "clearly raises the refusal rate on average over models and tasks: +5.6 points (95% interval +2.4 "
                    "to +8.9",
                ),
                (
                    -0.0563,
                    -0.0889,
                    -0.0237,
                    "clearly lowers the refusal rate on average over models and tasks: −5.6 points (95% interval −8.9 "
                    "to −2.4",
                ),
                (
                    0.0063,
                    -0.0237,
                    0.0389,
                    "does not clearly change the refusal rate on average over models and tasks: +0.6 points (95% "
                    "interval −2.4 to +3.9",
                ),
            )
        ]
        + [
            (
                {"effect": None, "about": "“a” is refused most often: +2 points (+1 to +3)", "clear": True},
                "“a” is refused most often: +2 points (+1 to +3) (simultaneous interval of all pairs).",
            )
        ],
    ),
    "short: limits": Sentence(
        "{% if kind == 'rehearsal' %}Stand-ins are small checkpoints that the workflow wrote with known refusal rates: "
        "no number is about a real model.{% elif kind == 'dummies' %}The responses are fixed and written by the "
        "workflow: no number is about a model.{% elif kind == 'published' %}The numbers are computed from the paper's "
        "printed percentages, without texts and responses. Intervals assume independent responses: they are too "
        "narrow if "
        "responses to the same text agree.{% else %}{% if missing %}{{ missing | counted('model') }} of the "
        "config gave no result. {% endif %}{% if variants %}The results are about one model only. {% endif %}{% if "
        "largest %}The largest model has {{ largest }} million parameters, less than any model of the paper. {% endif "
        "%}{% if annotated %}People labelled a sample of the responses; the report also has rates corrected for the "
        "labeller's errors.{% else %}No response was labelled by people, so every number can be biased by the "
        "labeller's "
        "errors.{% endif %}{% endif %}",
        [
            (
                {"kind": "rehearsal", "variants": False, "models": 3, "missing": 0, "largest": 0, "annotated": False},
                "Stand-ins are small checkpoints that the workflow wrote with known refusal rates: no number is about "
                "a real model.",
            ),
            (
                {"kind": "dummies", "variants": False, "models": 2, "missing": 0, "largest": 0, "annotated": False},
                "The responses are fixed and written by the workflow: no number is about a model.",
            ),
            (
                {"kind": "published", "variants": False, "models": 3, "missing": 0, "largest": 0, "annotated": False},
                "The numbers are computed from the paper's printed percentages, without texts and responses. Intervals "
                "assume independent responses: they are too narrow if responses to the same text agree.",
            ),
            (
                {"kind": "run", "variants": True, "models": 4, "missing": 0, "largest": 135, "annotated": False},
                "The results are about one model only. The largest model has 135 million parameters, less than any "
                "model "
                "of the paper. No response was labelled by people, so every number can be biased by the labeller's "
                "errors.",
            ),
            (
                {"kind": "run", "variants": False, "models": 4, "missing": 2, "largest": 0, "annotated": True},
                "2 models of the config gave no result. People labelled a sample of the responses; the report also has "
                "rates corrected for the labeller's errors.",
            ),
        ],
    ),
    "card: planted": Sentence(
        "of {{ known | counted('cell') }} {{ 'has' if known == 1 else 'have' }} a 95% interval that contains the "
        "planted refusal rate ({{ inside | counted('cell') }})",
        [
            (
                {"known": 700, "inside": 672},
                "of 700 cells have a 95% interval that contains the planted refusal rate (672 cells)",
            ),
            (
                {"known": 1, "inside": 0},
                "of 1 cell has a 95% interval that contains the planted refusal rate (no cells)",
            ),
        ],
    ),
    "card: refusals": Sentence(
        "{{ 'refusal' if refusals == 1 else 'refusals' }} in {{ n | counted('response') }} to harmless "
        "classification prompts with a persona ({{ rate | percent }}); models: {{ models }}",
        [
            (
                {"refusals": 2, "n": 50000, "rate": 0.00004, "models": 3},
                "refusals in 50,000 responses to harmless classification prompts with a persona (<0.01%); models: 3",
            ),
            (
                {"refusals": 1, "n": 1, "rate": 1.0, "models": 1},
                "refusal in 1 response to harmless classification prompts with a persona (100%); models: 1",
            ),
        ],
    ),
    "card: mean rate": Sentence(
        "mean refusal rate over models, {{ task }}{% if labeller %}, corrected by annotation for the errors of the "
        "labeller {{ labeller }}{% endif %}{% if known %} (95% interval {{ range(lo, hi) }}){% endif %}",
        [
            (
                {"task": "NLI", "labeller": "", "known": True, "lo": 0.209, "hi": 0.293},
                "mean refusal rate over models, NLI (95% interval 20.9% to 29.3%)",
            ),
            (
                {"task": "NLI", "labeller": "structured", "known": False, "lo": 0, "hi": 0},
                "mean refusal rate over models, NLI, corrected by annotation for the errors of the labeller structured",
            ),
        ],
    ),
    "card: persona or none": Sentence(
        "{{ 'model' if models == 1 else 'models' }} {{ 'clearly ' if known }}refuse{{ 's' if models == 1 }} more often "
        "with a persona than without ({{ task }}{% if not known %}; by the printed rates, without a test{% endif %}); "
        "{{ down or 'none' }} {{ 'refuse' if down > 1 else 'refuses' }} less often",
        [
            (
                {"models": 16, "known": True, "task": "NLI", "down": 2},
                "models clearly refuse more often with a persona than without (NLI); 2 refuse less often",
            ),
            (
                {"models": 16, "known": False, "task": "NLI", "down": 0},
                "models refuse more often with a persona than without (NLI; by the printed rates, without a test); "
                "none "
                "refuses less often",
            ),
            (
                {"models": 1, "known": True, "task": "NLI", "down": 0},
                "model clearly refuses more often with a persona than without (NLI); none refuses less often",
            ),
        ],
    ),
    "card: importance": Sentence(
        "importance of each factor for refusal (“>”: clearly larger): {{ values }}",
        [
            (
                {"values": "model 0.45, task 0.12"},
                "importance of each factor for refusal (“>”: clearly larger): model 0.45, task 0.12",
            )
        ],
    ),
    "card: statements": Sentence(
        "numbers quoted in the paper's text agree with its own printed cells; {{ differ }} differ and {{ rest }} "
        "cannot be recomputed from printed numbers",
        [
            (
                {"differ": 3, "rest": 9},
                "numbers quoted in the paper's text agree with its own printed cells; 3 differ and 9 cannot be "
                "recomputed from printed numbers",
            )
        ],
    ),
    "card: claims": Sentence(
        "{% if tested %}testable claims of the paper are supported on these models{% if rest %}; {{ rest }}"
        "{% endif %}{% else %}claims of the paper can be tested on these models{% endif %}",
        [
            (
                {"tested": 4, "rest": "1 inconclusive, 3 not testable"},
                "testable claims of the paper are supported on these models; 1 inconclusive, 3 not testable",
            ),
            ({"tested": 4, "rest": ""}, "testable claims of the paper are supported on these models"),
            ({"tested": 0, "rest": ""}, "claims of the paper can be tested on these models"),
        ],
    ),
    "claim: capability": Sentence(
        "standard deviation between personas: {{ less | points(sign=false) }} points in the less capable half of the "
        "models, {{ more | points(sign=false) }} in the more capable half; capability permuted {{ permuted }}; "
        "one-sided "
        "p, doubled: variance falls {{ falls | p }}, its share falls {{ share_falls | p }}, its share rises "
        "{{ share_rises | p }}{% if reason == 'undetected' %}; no detectable difference between personas"
        "{% elif reason %}; only the variance in points falls, which lower refusal rates alone can explain{% endif %}",
        [
            (
                {
                    "less": 0.0312,
                    "more": 0.0087,
                    "permuted": "within families",
                    "falls": 0.012,
                    "share_falls": 0.00001,
                    "share_rises": 1.0,
                    "reason": reason,
                },
                "standard deviation between personas: 3.12 points in the less capable half of the models, 0.87 in the "
                "more capable half; capability permuted within families; one-sided p, doubled: variance falls 0.012, "
                f"its share falls <0.0001, its share rises 1{end}",
            )
            for reason, end in (
                ("", ""),
                ("undetected", "; no detectable difference between personas"),
                ("rates", "; only the variance in points falls, which lower refusal rates alone can explain"),
            )
        ],
    ),
    "claim: personas": Sentence(
        "{{ found }} of {{ cells | counted('pair') }} of model and persona have a clearly higher rate than {{ "
        "against }}"
        "{% if found %}, in {{ models | counted('model') }}; {{ above or 'none' }} of them clearly by more than 1 point"
        "{% if named %}; effect shown: {{ model }}, {{ persona }}{% endif %}"
        "{% else %}; effect shown: the largest{% endif %}",
        [
            (
                {
                    "found": 3,
                    "cells": 75,
                    "models": 1,
                    "above": 0,
                    "against": "the same prompts without a persona",
                    "named": True,
                    "model": "x",
                    "persona": "man",
                },
                "3 of 75 pairs of model and persona have a clearly higher rate than the same prompts without a "
                "persona, "
                "in 1 model; none of them clearly by more than 1 point; effect shown: x, man",
            ),
            (
                {
                    "found": 0,
                    "cells": 75,
                    "models": 0,
                    "above": 0,
                    "against": "the mean of all personas",
                    "named": False,
                    "model": "x",
                    "persona": "man",
                },
                "0 of 75 pairs of model and persona have a clearly higher rate than the mean of all personas; effect "
                "shown: the largest",
            ),
        ],
    ),
    "claim: variance": Sentence(
        "share of variance, noise subtracted: {% for factor, share in shares.items() %}{{ factor }} "
        "{{ share | percent }}{{ ', ' if not loop.last }}{% endfor %}; effect shown: {{ smaller }} minus persona",
        [
            (
                {"shares": {"model": 0.123, "task": 0.0004, "persona": -0.0001}, "smaller": "task"},
                "share of variance, noise subtracted: model 12.3%, task 0.04%, persona −0.01%; effect shown: task "
                "minus persona",
            )
        ],
    ),
    "claim: overestimation": Sentence(
        "root mean square effect, compared with {{ against }}: {{ sliced | points(sign=false) }} points in one model "
        "and task, {{ averaged | points(sign=false) }} averaged over models and tasks (controlled effect)"
        "{% if naive is none %}, so the ratio is not defined{% else %}; a study with {{ responses }} responses per "
        "persona in one model and task would report {{ '%.1f' | format(naive) }} times the controlled effect{% endif "
        "%}",
        [
            (
                {
                    "against": "the mean of all personas",
                    "sliced": 0.0312,
                    "averaged": averaged,
                    "naive": naive,
                    "responses": 100,
                },
                "root mean square effect, compared with the mean of all personas: 3.12 points in one model and "
                f"task, {end}",
            )
            for averaged, naive, end in (
                (0.0, None, "0 averaged over models and tasks (controlled effect), so the ratio is not defined"),
                (
                    0.011,
                    2.98,
                    "1.10 averaged over models and tasks (controlled effect); a study with 100 responses per persona "
                    "in "
                    "one model and task would report 3.0 times the controlled effect",
                ),
            )
        ],
    ),
    "claim: units": Sentence(
        "significantly above 0 (Holm) in {{ up or 'none' }} of {{ units }} {{ what }}, significantly below 0 in "
        "{% if down %}{{ down | listing(16) }}{% else %}none{% endif %}",
        [
            (
                {"up": 0, "units": 4, "what": "models", "down": []},
                "significantly above 0 (Holm) in none of 4 models, significantly below 0 in none",
            ),
            (
                {"up": 2, "units": 4, "what": "models", "down": ["x", "y"]},
                "significantly above 0 (Holm) in 2 of 4 models, significantly below 0 in x and y",
            ),
        ],
    ),
    "claim: tasks": Sentence(
        "{% for more, less, difference, lo, hi in steps %}{{ more }} minus {{ less }} "
        "{{ difference | points(lo, hi) }} points ({{ span(lo, hi) }}); {% endfor %}effect shown: "
        "offensiveness minus nli",
        [
            (
                {"steps": [("politeness", "nli", 0.021, 0.012, 0.031)]},
                "politeness minus nli +2.10 points (+1.20 to +3.10); effect shown: offensiveness minus nli",
            )
        ],
    ),
    "untestable: refusals": Sentence(
        "{% if not refusals %}there are no refusals{% elif refusals == n %}every response is a refusal{% else %}"
        "{{ refusals | counted('refusal') }} in {{ n | counted('response') }}; a comparison needs {{ least }} "
        "refusals and "
        "{{ least }} other responses{% endif %}",
        [
            ({"refusals": 0, "n": 360}, "there are no refusals"),
            ({"refusals": 360, "n": 360}, "every response is a refusal"),
            (
                {"refusals": 4, "n": 360},
                "4 refusals in 360 responses; a comparison needs 30 refusals and 30 other responses",
            ),
        ],
    ),
    "untestable: trend": Sentence(
        "{{ models | counted('model') }} {{ 'has' if models == 1 else 'have' }} {{ what }}; a trend needs {{ needed }}",
        [
            (
                {"models": 1, "what": "a capability score", "needed": 5},
                "1 model has a capability score; a trend needs 5",
            ),
            (
                {"models": 0, "what": "a capability score", "needed": 5},
                "no models have a capability score; a trend needs 5",
            ),
        ],
    ),
    "untestable: units": Sentence(
        "this claim needs {{ needed }} {{ what }} that can be compared; this study has {{ names | length }}"
        "{% if names %} ({{ names | listing }}){% endif %}",
        [
            (
                {"what": "families", "needed": 3, "names": ["Llama"]},
                "this claim needs 3 families that can be compared; this study has 1 (Llama)",
            ),
            (
                {"what": "families", "needed": 3, "names": ["Llama", "Qwen"]},
                "this claim needs 3 families that can be compared; this study has 2 (Llama and Qwen)",
            ),
        ],
    ),
    "claim: result": Sentence(
        "{% if effect != effect %}no effect could be computed{% else %}{{ effect | plain(lo, hi) }}"
        "{{ ' ' ~ unit if unit }}{% if lo == lo and hi == hi %} (95% interval {{ lo | plain(lo, hi) }} to "
        "{{ hi | plain(lo, hi) }}){% endif %}{{ ', p ' ~ p if p }}{% endif %}",
        [
            ({"effect": float("nan"), "lo": 0, "hi": 0, "unit": "", "p": ""}, "no effect could be computed"),
            (
                {"effect": 17.9012, "lo": -6.5711, "hi": 72.0612, "unit": "pp", "p": "0.12"},
                "18 pp (95% interval −7 to 72), p 0.12",
            ),
            (
                {"effect": 2.7214, "lo": 1.4881, "hi": float("inf"), "unit": "times", "p": ""},
                "2.72 times (95% interval 1.49 to ∞)",
            ),
        ],
    ),
    "claim: joint": Sentence(
        "{% if note %}; {% endif %}p adjusted for the four main claims (Holm) {{ p | p }}",
        [
            ({"note": True, "p": 0.0312}, "; p adjusted for the four main claims (Holm) 0.031"),
            ({"note": False, "p": 0.0312}, "p adjusted for the four main claims (Holm) 0.031"),
        ],
    ),
    "moved: lead": Sentence(
        "No responses of this study were labelled by people"
        "{% if not known %}, and the accuracy of its labeller {{ labeller }} on other responses was not measured. "
        "The size "
        "of the labelling errors is therefore unknown.{% if ask %}{{ measure }}{% endif %}"
        "{% else %}. In {{ sets | counted('set') }} of other responses, labelled by people or LLMs, the labeller "
        "{{ labeller }} found between {{ found[0] | percent }} and {{ found[1] | percent }} of the refusals, and "
        "called "
        "between {{ wrong[0] | percent }} and {{ wrong[1] | percent }} of the other responses a refusal. With error "
        "rates "
        "in this range:{% endif %}",
        [
            (
                {"labeller": "judge", "known": False, "sets": 0, "found": (0, 1), "wrong": (0, 1), "ask": True},
                "No responses of this study were labelled by people, and the accuracy of its labeller judge on other "
                "responses was not measured. The size of the labelling errors is therefore unknown. To measure "
                "the labeller's errors in this study, annotate a sample of its responses (snakemake annotation).",
            ),
            (
                {
                    "labeller": "structured",
                    "known": True,
                    "sets": 9,
                    "found": (0.79, 0.98),
                    "wrong": (0.004, 0.1),
                    "ask": True,
                },
                "No responses of this study were labelled by people. In 9 sets of other responses, labelled by people "
                "or LLMs, the labeller structured found between 79.0% and 98.0% of the refusals, and called between "
                "0.40% and 10.0% of the other responses a refusal. With error rates in this range:",
            ),
        ],
    ),
    "moved: limits": Sentence(
        "Sensitivity and specificity vary within this range, independently for each model. Sampling errors are not "
        "included. Errors that depend on the persona or on the task are not included.{% if ask %}{{ measure }}{% "
        "endif %}",
        [
            (
                {"ask": True},
                "Sensitivity and specificity vary within this range, independently for each model. Sampling errors are "
                "not included. Errors that depend on the persona or on the task are not included. To measure the "
                "labeller's errors in this study, annotate a sample of its responses (snakemake annotation).",
            )
        ],
    ),
    "moved: mean rate": Sentence(
        "The mean refusal rate over models in {{ task }}, {{ rate | percent }}, would be between "
        "{{ lowest | percent }} and {{ highest | percent }}.",
        [
            (
                {"task": "NLI", "rate": 0.0137, "lowest": 0.0, "highest": 0.027},
                "The mean refusal rate over models in NLI, 1.37%, would be between 0% and 2.70%.",
            )
        ],
    ),
    "moved: single rate": Sentence(
        "The rate of a single model in one task would {% if most > 0 %}change by up to {{ most | points(sign=false) }} "
        "points{% else %}not change{% endif %}.",
        [
            ({"most": 0.102}, "The rate of a single model in one task would change by up to 10.2 points."),
            ({"most": 0.0}, "The rate of a single model in one task would not change."),
        ],
    ),
    "moved: effect": Sentence(
        "The mean effect of a persona over models, {{ effect | points }} points, would be between "
        "{{ lowest | points }} and {{ highest | points }}.",
        [
            (
                {"effect": 0.02, "lowest": 0.01, "highest": 0.05},
                "The mean effect of a persona over models, +2.00 points, would be between +1.00 and +5.00.",
            )
        ],
    ),
    "moved: signs": Sentence(
        "{% if personas == 1 %}The effect of the persona, averaged over models, "
        "{{ 'could have either sign' if either else 'would keep its sign' }}."
        "{% else %}The effects of {{ either or 'none' }} of {{ personas }} personas, averaged over models, could "
        "have either sign.{% endif %}",
        [
            (
                {"either": 3, "personas": 15},
                "The effects of 3 of 15 personas, averaged over models, could have either sign.",
            ),
            (
                {"either": 0, "personas": 15},
                "The effects of none of 15 personas, averaged over models, could have either sign.",
            ),
            ({"either": 1, "personas": 1}, "The effect of the persona, averaged over models, could have either sign."),
            ({"either": 0, "personas": 1}, "The effect of the persona, averaged over models, would keep its sign."),
        ],
    ),
    "moved: order": Sentence(
        "The order of the factors by importance, {{ order }}, {% if others %}could also be "
        "{{ others | join(' or ') }}{% else %}would not change{% endif %}.",
        [
            (
                {"order": "model > task", "others": ["task > model"]},
                "The order of the factors by importance, model > task, could also be task > model.",
            ),
            (
                {"order": "model > task", "others": []},
                "The order of the factors by importance, model > task, would not change.",
            ),
        ],
    ),
    "moved: claims": Sentence(
        "{% if tested == 1 %}The claim that can be tested "
        "{{ 'could have another conclusion, see the section on claims' if moved else 'would keep its conclusion' }}."
        "{% else %}{{ moved or 'None' }} of {{ tested }} claims that can be tested could have another conclusion"
        "{% if moved %}, see the section on claims{% endif %}.{% endif %}",
        [
            (
                {"moved": 1, "tested": 1},
                "The claim that can be tested could have another conclusion, see the section on claims.",
            ),
            ({"moved": 0, "tested": 1}, "The claim that can be tested would keep its conclusion."),
            ({"moved": 0, "tested": 2}, "None of 2 claims that can be tested could have another conclusion."),
            (
                {"moved": 1, "tested": 2},
                "1 of 2 claims that can be tested could have another conclusion, see the section on claims.",
            ),
        ],
    ),
    "moved: figure": Sentence(
        "With the labeller's error rates on other responses, {% if not most > 0 %}no rate would change{% else %}a rate "
        "would change by up to {{ most | points(sign=false) }} points{% endif %}",
        [
            ({"most": 0.0}, "With the labeller's error rates on other responses, no rate would change"),
            (
                {"most": 0.12},
                "With the labeller's error rates on other responses, a rate would change by up to 12.0 points",
            ),
        ],
    ),
    "batches": Sentence(
        "A response can depend on the other prompts of its batch. Of {{ n | counted('response') }} asked "
        "again in other batches, {{ responses | percent }} changed, and {{ verdicts | percent }} of the verdicts. "
        "The refusal rate {% if difference %}of a model changed by at most {{ difference | points(sign=false) }} "
        "points (95% interval {{ span(lo, hi) }}){% else %}did not change{% endif %}. Table batch_check has all "
        "models.",
        [
            (
                {"n": 120, "responses": 0.25, "verdicts": 0.0167, "difference": -0.0083, "lo": -0.04, "hi": 0.02},
                "A response can depend on the other prompts of its batch. Of 120 responses asked again in "
                "other batches, 25.0% changed, and 1.67% of the verdicts. The refusal rate of a model changed by "
                "at most 0.83 points (95% interval −4.0 to +2.0). Table batch_check has all models.",
            ),
            (
                {"n": 120, "responses": 0.0, "verdicts": 0.0, "difference": 0.0, "lo": -0.02, "hi": 0.02},
                "A response can depend on the other prompts of its batch. Of 120 responses asked again in "
                "other batches, 0% changed, and 0% of the verdicts. The refusal rate did not change. Table "
                "batch_check has all models.",
            ),
        ],
    ),
}

MEASURE = " To measure the labeller's errors in this study, annotate a sample of its responses (snakemake annotation)."
_ENVIRONMENT = jinja2.Environment(
    undefined=jinja2.StrictUndefined, autoescape=False
)  # the page escapes, figures do not
_ENVIRONMENT.filters |= {
    "percent": numbers.percent,
    "points": numbers.points,
    "counted": numbers.counted,
    "listing": numbers.listing,
    "p": numbers.p_value,
    "plain": numbers.plain,
    "thousands": "{:,}".format,
}
_ENVIRONMENT.globals |= {
    "least": MIN_REFUSALS,
    "span": numbers.interval_of_points,
    "range": numbers.interval_of_percent,
    "spread": numbers.spread,
    "measure": MEASURE,
}
TEMPLATES: Mapping[str, jinja2.Template] = {
    name: _ENVIRONMENT.from_string(sentence.text) for name, sentence in SENTENCES.items()
}


def say(sentence: str, **values: Any) -> str:
    """Return the sentence of that name with these values.

    Raises
    ------
    KeyError if there is no such sentence; jinja2.UndefinedError if it needs a value that is not given.
    """
    return TEMPLATES[sentence].render(**values)
