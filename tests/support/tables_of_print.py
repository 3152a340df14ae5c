"""Tables like those of the estimation stage, made from the paper's printed cells.

Figures and pages are tested on real numbers without running that stage. The intervals are simple ones (Wilson, normal).
"""

import numpy as np
import pandas as pd
import statsmodels.api as sm

from falserefusal.common.notice import BANNER, MODEL_SUFFIX
from falserefusal.common.schemas import ALL, ANY_PERSONA, BASELINE, CELL_LEVELS
from falserefusal.estimation.separations import separations
from falserefusal.figures.context import Context
from falserefusal.published.no_answers import no_answer_bounds
from falserefusal.study.materials import load_templates

TASKS = ["nli", "politeness", "offensiveness"]
METHOD = "Wilson 95 %"
FINEST = (("rates_task_model_persona", "persona"), ("rates_format", "format"))


def wilson(x, n, z=1.959964):
    p = x / n
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return np.maximum((middle - half) / (1 + z**2 / n), 0), (middle + half) / (1 + z**2 / n)


def with_interval(frame):
    lo, hi = wilson(frame["refusals"], frame["n"])
    return frame.assign(
        rate=frame["refusals"] / frame["n"], lo=lo.where(frame["refusals"] > 0, 0), hi=hi, method=METHOD
    )


def mean_rates(cells, by):
    """Unweighted mean of the cells' rates with a normal interval."""
    cells = cells.assign(rate=cells["refusals"] / cells["n"])
    p = (cells["refusals"] + 0.5) / (cells["n"] + 1)
    cells["var"] = p * (1 - p) / cells["n"]
    grouped = cells.groupby(by, sort=False)
    out = grouped.agg(n=("n", "sum"), refusals=("refusals", "sum"), rate=("rate", "mean"))
    half = 1.96 * np.sqrt(grouped["var"].sum()) / grouped.size()
    out = out.assign(
        lo=(out["rate"] - half).clip(lower=0), hi=out["rate"] + half, method="normal, binomial cells, 95 %"
    )
    return out.reset_index()


def context(root, rehearsal=False):
    models = pd.read_csv(root / "config/models.csv")
    personas = pd.read_csv(root / "config/personas.csv")
    return Context(
        "rehearsal" if rehearsal else "published",
        dict(zip(models["model"], models["family"], strict=True)),
        dict(zip(personas["persona"], personas["group"], strict=True)),
        BANNER if rehearsal else "",
        MODEL_SUFFIX if rehearsal else "",
    )


def published_tables(root):
    """Every table of the `published` study that a figure or the page reads."""
    folder = root / "config/published"
    cells = pd.read_csv(folder / "counts_task_model_persona.csv")
    table1 = pd.read_csv(folder / "table1_refusal_pct.csv")
    groups = dict(pd.read_csv(root / "config/personas.csv")[["persona", "group"]].to_numpy())
    tables = {"table1": pd.concat([table1, table1.mean(numeric_only=True).round(2).to_frame().T.assign(model="mean")])}

    model_task = with_interval(cells.groupby(["model", "task"], sort=False)[["n", "refusals"]].sum().reset_index())
    printed = table1.melt("model", var_name="task", value_name="printed_pct")
    mean = mean_rates(model_task, ["task"]).assign(model="mean")
    model_task = pd.concat([model_task, mean], ignore_index=True).merge(printed, how="left", on=["model", "task"])
    tables["rates_model_task"] = model_task
    tables["rates_task_model_persona"] = with_interval(cells.drop(columns="refusal_pct"))
    tables["rates_model_persona"] = mean_rates(cells, ["model", "persona"])
    scopes = {
        "all models": cells,
        "Llama 2, 3 and 3.1": cells[cells["model"].str.match(r"Llama(2|3-|3\.1)")],
        "Gemma 2": cells[cells["model"].str.startswith("Gemma2")],
    }
    persona = [mean_rates(part, ["persona"]).assign(scope=name) for name, part in scopes.items()]
    tables["rates_persona"] = pd.concat(persona, ignore_index=True).assign(group=lambda f: f["persona"].map(groups))
    formats = pd.read_csv(folder / "format_heatmaps.csv")
    formats["refusals"] = (formats["refusal_pct"] * formats["n"] / 100).round()
    tables["rates_format"] = with_interval(formats.drop(columns="refusal_pct"))

    baseline = pd.read_csv(folder / "fig1_baseline_offensiveness.csv").set_index("model").iloc[:, 0] / 100
    own = model_task[(model_task["task"] == "offensiveness") & (model_task["model"] != "mean")].copy()
    own = own.rename(columns={"rate": "persona_rate"}).drop(columns=["refusals", "printed_pct"])
    own["baseline_rate"] = own["model"].map(baseline)
    tables["rates_baseline"] = own.assign(
        difference=own["persona_rate"] - own["baseline_rate"],
        baseline_n=np.nan,
        baseline_lo=np.nan,
        baseline_hi=np.nan,
        d_lo=np.nan,
        d_hi=np.nan,
    )
    tables["separations"] = separations_of(tables)
    tables["importance"] = importance(cells, formats, pd.read_csv(folder / "figure5_importance.csv"))
    tables["regression"] = regression(cells, pd.read_csv(folder / "table7_logit.csv"))
    tables["regression_firth"] = tables["regression"].drop(columns=["printed", "printed_term_note"]).dropna()
    tables["claims"] = claims()
    tables["labeller_range"] = labeller_range(model_task)
    templates = load_templates(root / "config/templates.csv", TASKS)
    prompts, fitted = (pd.read_csv(folder / f"{name}.csv") for name in ("table6_prompt_n", "table7_logit"))
    tables["no_answers"] = no_answer_bounds(pd.read_csv(folder / "format_heatmaps.csv"), prompts, fitted, templates)
    return tables


def separations_of(tables):
    """Table separations of independent responses, from the tables of cells."""
    parts = [tables[name][["model", "task", own, "n", "refusals"]] for name, own in FINEST]
    cells = pd.concat(parts, ignore_index=True).reindex(columns=[*CELL_LEVELS, "n", "refusals"])
    cells = cells.astype(dict.fromkeys(CELL_LEVELS, object)).fillna(dict.fromkeys(CELL_LEVELS, ALL))
    return separations(cells.assign(labeller="of the paper"))


def labeller_range(rates):
    """Results under the labeller's errors: every rate could be twice as high; one claim is overturned."""
    mean = rates["model"] == "mean"
    moved = pd.DataFrame(
        {
            "quantity": np.where(mean, "mean refusal rate", "refusal rate"),
            "level": rates["task"].where(mean, rates["model"] + ", " + rates["task"]),
            "estimate": rates["rate"],
            "lowest": 0.9 * rates["rate"],
            "highest": (2 * rates["rate"]).clip(upper=1),
        }
    )
    known = [("sensitivity", "phrase_list", 0.5, 0.98, 4, "XSTest, a: 9 responses | pilot, b: 8 responses")]
    known += [("specificity", "phrase_list", 0.9, 1.0, 5, "XSTest, a: 9 responses | pilot, c: 7 responses")]
    known = pd.DataFrame(known, columns=["quantity", "level", "lowest", "highest", "sets", "note"])
    others = pd.DataFrame(
        [
            ("mean persona effect", "any persona", 0.02, 0.01, 0.05, "", "", False),
            ("mean persona effect", "man", 0.0, -0.01, 0.05, "", "", False),
            ("order of factors", "", np.nan, np.nan, np.nan, "model > task", "task > model", True),
            ("claim", claims()["claim"].iloc[0], -6.2, -9.0, 1.0, "supported", "inconclusive", True),
            ("claim", claims()["claim"].iloc[1], 0.5, 0.4, 0.6, "contradicted", "", False),
        ],
        columns=["quantity", "level", "estimate", "lowest", "highest", "conclusion", "other", "overturned"],
    )
    return pd.concat([known, moved, others], ignore_index=True)


def index_of(cells, factor):
    p = cells["refusals"].sum() / cells["n"].sum()
    level = cells.groupby(factor)[["n", "refusals"]].sum()
    w = level["n"] / level["n"].sum()
    return (w * (level["refusals"] / level["n"] - p).abs()).sum() / (2 * p * (1 - p)) if p > 0 else np.nan


def importance(cells, formats, printed):
    rows = []
    printed = printed.set_index("factor")["importance"].rename({"prompt": "template"})
    for factor, data in [("model", cells), ("task", cells), ("persona", cells), ("format", formats)]:
        scopes = {"all": data} | ({} if factor == "task" else {t: data[data["task"] == t] for t in TASKS})
        if factor == "persona":
            scopes |= {m: data[data["model"] == m] for m in data["model"].unique()}
        for scope, part in scopes.items():
            value, n = index_of(part, factor), part["n"].sum()
            p, k = part["refusals"].sum() / n, part[factor].nunique()
            floor = np.sqrt(2 / np.pi * (k - 1) / n) / (2 * np.sqrt(p * (1 - p))) if p > 0 else np.nan
            half = 2 * np.sqrt(1 / n) / np.sqrt(p * (1 - p)) if p > 0 else np.nan
            rows.append([factor, scope, k, value, max(value - half, 0), value + half, floor, 1.3 * floor, n])
    columns = ["factor", "scope", "levels", "index", "lo", "hi", "floor_mean", "floor_q95", "n"]
    frame = pd.DataFrame(rows, columns=columns).assign(method="delta method, for this test", sobol=np.nan)
    whole = frame["scope"] == "all"
    return frame.assign(printed=frame["factor"].map(printed).where(whole), corrected=frame["index"])


def regression(cells, printed):
    """Main effects; 0.5 is added to every count, so that models without refusals have a coefficient."""
    reference = {"persona": "atheist", "task": "nli", "model": "Llama2-13B"}
    x = [pd.get_dummies(cells[term]).drop(columns=level).astype(float) for term, level in reference.items()]
    names = [(term, level) for term, part in zip(reference, x, strict=True) for level in part.columns]
    counts = np.column_stack([cells["refusals"] + 0.02, cells["n"] - cells["refusals"] + 0.02])
    fit = sm.GLM(counts, sm.add_constant(pd.concat(x, axis=1)), family=sm.families.Binomial()).fit()
    frame = pd.DataFrame(names, columns=["term", "level"])
    frame["coef"], frame["se"] = fit.params.to_numpy()[1:], fit.bse.to_numpy()[1:]
    frame = frame.assign(lo=frame["coef"] - 1.96 * frame["se"], hi=frame["coef"] + 1.96 * frame["se"])
    known = {level.lower(): level for level in frame["level"]}
    printed = printed.rename(columns={"type": "term", "coef": "printed"})
    printed["level"] = [known.get(name.lower(), name.lower()) for name in printed["variable"]]
    printed["term"] = printed["term"].replace("prompt", "template")
    frame = frame.merge(printed[["term", "level", "printed"]], how="outer", on=["term", "level"])
    order = {"persona": 0, "task": 1, "template": 2, "model": 3}
    frame = frame.sort_values("term", key=lambda term: term.map(order), kind="stable")
    return frame.assign(p=np.nan, printed_term_note="", method="GLM on cells, Wald 95 %").reset_index(drop=True)


def claims():
    return pd.DataFrame(
        [
            [
                "capability",
                "The more capable a model, the less personas change its refusal rate",
                -6.2,
                -6.3,
                -6.1,
                "supported",
            ],
            ["personas", "Certain personas increase false refusal in some models", 0.412, 0.396, 0.428, "supported"],
            ["factors-task", "Task matters more than persona", 0.02, -0.004, 0.043, "inconclusive"],
            [
                "amplify",
                "Prompting with personas amplifies refusals in most cases, and this long statement goes on so "
                "that it takes three lines of the figure to see whether it wraps as it should",
                0.5,
                0.4,
                1.25,
                "contradicted",
            ],
            [
                "capability-pp",
                "Refusal falls with capability",
                -2.1,
                -3.3,
                -0.9,
                "supported on the percentage-point scale only",
            ],
            [
                "uncontrolled",
                "Persona effects are overestimated when other factors are uncontrolled",
                np.nan,
                np.nan,
                np.nan,
                "not testable",
            ],
        ],
        columns=["claim", "statement", "effect", "lo", "hi", "conclusion"],
    ).assign(effect_unit=["pp", "pp", "% of variance", "ratio", "pp", np.nan], rule="by a rule", note="")


def run_tables(root, seed=20250909, n=60):
    """Tables of a rehearsal, sampled from the printed rates: the published ones and those that only a run has."""
    rng = np.random.default_rng(seed)
    tables = published_tables(root)
    del tables["labeller_range"]  # people annotated responses
    cells = tables["rates_task_model_persona"]
    planted = cells[["model", "task", "persona"]].assign(planted=cells["rate"], n=n)
    planted["refusals"] = rng.binomial(n, planted["planted"])
    planted = with_interval(planted).rename(columns={"rate": "estimate"})
    error = np.sqrt(planted["planted"] * (1 - planted["planted"]) / n)
    planted["z"] = ((planted["estimate"] - planted["planted"]) / error).where(error > 0)
    tables["planted_rates"] = planted
    shown = planted.drop(columns=["planted", "z", "method"])
    tables["rates_task_model_persona"] = with_interval(shown.drop(columns=["estimate", "lo", "hi"]))
    tables["rates_model_persona"] = mean_rates(tables["rates_task_model_persona"], ["model", "persona"])

    baseline = []
    for task in TASKS:
        part = tables["rates_model_task"]
        part = part[(part["task"] == task) & (part["model"] != "mean")][["task", "model", "rate"]].assign(n=900)
        part["refusals"] = rng.binomial(900, part["rate"])
        refusals = rng.binomial(900, part["rate"] * 0.9)
        part = with_interval(part).rename(columns={"rate": "persona_rate"})
        lo, hi = wilson(refusals, 900)
        part = part.assign(baseline_n=900, baseline_lo=lo, baseline_hi=hi, baseline_rate=refusals / 900)
        part["difference"] = part["persona_rate"] - part["baseline_rate"]
        half = 1.96 * np.sqrt((part["hi"] - part["lo"]) ** 2 + (hi - lo) ** 2) / 3.9
        baseline.append(part.assign(d_lo=part["difference"] - half, d_hi=part["difference"] + half))
    tables["rates_baseline"] = pd.concat(baseline, ignore_index=True)

    rates = tables["rates_model_task"]
    rates = rates[rates["model"] != "mean"]
    by_labeller = []
    for labeller, factor in [("phrase_list", 1.0), ("structured", 0.8), ("judge", 0.85)]:
        part = rates[["model", "task", "rate"]].assign(n=2000, labeller=labeller)
        part["refusals"] = rng.binomial(2000, part.pop("rate") * factor)
        by_labeller.append(with_interval(part))
    tables["labeller_rates"] = pd.concat(by_labeller, ignore_index=True)
    tables |= of_labellers(tables, personas=list(context(root).personas), seed=rng)

    effects = tables["rates_model_persona"][["model", "persona", "rate"]]
    raw = effects.pop("rate") - effects["model"].map(rates.groupby("model")["rate"].mean())
    effects = effects.assign(difference=raw, shrunken=raw / 2, lo=raw / 2 - 0.03, hi=raw / 2 + 0.03, shrinkage=0.5)
    tables["effects_shrunken"] = effects.assign(method="full Bayes")

    compared = [
        rates.assign(
            quantity="rate by model and task",
            level=rates["task"] + ", " + rates["model"],
            unit="rate",
            estimate=rates["rate"],
            printed=rates["printed_pct"] / 100,
        ),
        tables["regression"].assign(
            quantity="regression coefficient", unit="log-odds", estimate=tables["regression"]["coef"]
        ),
        tables["importance"].assign(
            quantity="importance index",
            level=tables["importance"]["factor"],
            unit="index",
            estimate=tables["importance"]["index"],
        ),
    ]
    columns = ["quantity", "level", "unit", "estimate", "lo", "hi", "printed", "method"]
    frame = pd.concat([part.reindex(columns=columns) for part in compared], ignore_index=True).dropna(subset="printed")
    frame["difference"] = frame["estimate"] - frame["printed"]
    inside = (frame["lo"] <= frame["printed"]) & (frame["printed"] <= frame["hi"])
    known = frame["lo"].notna() & np.isfinite(frame["estimate"])
    frame["result"] = np.select([~known, inside], ["not testable", "reproduced"], "not reproduced")
    tables["reproduction"] = frame.assign(values=1, item=frame.pop("level"), tolerance=0.02, reason="")

    steps = []
    for model in rates["model"].unique():
        for step in range(rng.integers(1, 7)):
            for quantity, width in [
                ("rate", 0.06),
                ("largest persona difference", 0.11),
                ("importance of persona", 0.08),
            ]:
                half = width / np.sqrt(step + 1)
                steps.append([step, model, quantity, 0.2, 0.2 - half, 0.2 + half, 480 * (step + 1)])
    columns = ["interim_look", "model", "quantity", "estimate", "lo", "hi", "calls"]
    tables["interim_looks"] = pd.DataFrame(steps, columns=columns)
    return tables


def of_labellers(tables, personas, seed):
    """Headline quantities and claims under three labellers, and corrected rates of the first."""
    headlines, conclusions = [], []
    for shift, labeller in enumerate(["phrase_list", "structured", "judge"]):
        for persona in personas:
            value = seed.normal(0.03 - 0.01 * shift, 0.03)
            headlines.append([labeller, "persona minus baseline", persona, "rate", value, value - 0.02, value + 0.03])
        for factor, value in {"model": 0.6, "task": 0.4, "persona": 0.15, "template": 0.1, "format": 0.1}.items():
            value -= 0.02 * shift
            headlines.append([labeller, "importance of a factor", factor, "index", value, value - 0.05, value + 0.05])
        found = claims()[["claim", "statement", "effect", "effect_unit", "lo", "hi", "conclusion"]]
        if shift:
            found = found.assign(conclusion=["inconclusive", *found["conclusion"][1:]])
        conclusions.append(found.assign(labeller=labeller))
    columns = ["labeller", "quantity", "item", "unit", "estimate", "lo", "hi"]
    cells = tables["rates_model_task"].assign(labeller="phrase_list", group=ANY_PERSONA)
    alone = pd.DataFrame({"labeller": "phrase_list", "persona": [*personas, BASELINE]})
    alone["rate"] = seed.uniform(0.05, 0.2, len(alone))
    return {
        "labeller_headline": pd.DataFrame(headlines, columns=columns).assign(method="for this test"),
        "labeller_claims": pd.concat(conclusions, ignore_index=True),
        "corrected_rates": corrected(cells.drop(columns=["printed_pct", "refusals"])),
        "corrected_personas": corrected(alone),
    }


def corrected(rates):
    middle = 0.9 * rates["rate"]
    return rates.assign(
        corrected=middle, lo=0.7 * middle, hi=np.minimum(1.2 * middle + 0.03, 1), method="for this test"
    )
