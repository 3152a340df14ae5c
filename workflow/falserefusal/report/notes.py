"""What each table holds and how its numbers were made, in the words the page prints beside it."""

from typing import NamedTuple


class Note(NamedTuple):
    """A table's title, how it was made, and which of its columns are shown in percent or in percentage points."""

    title: str
    how: str
    percent: tuple[str, ...] = ()
    points: tuple[str, ...] = ()


RATE = ("rate", "lo", "hi")
INTERVALS = "The column method names how the interval of each row was made; every interval is at the 95% level."
CORRECTED = "Where people labelled a sample, corrected is the rate without the labeller's errors, with its 95% limits."

NOTES = {
    "table1": Note(
        "Refusal rate by model and task, as the paper's Table 1",
        "Percent of answers judged a refusal, over all persona prompts of a task; the last row is the unweighted mean "
        "over models. Where people labelled a sample, corrected is the rate without the labeller's errors; its limits "
        "are in the next table.",
    ),
    "rates_model_task": Note(
        "Refusal rate by model and task, with intervals",
        "Refusals over answers to persona prompts. The row mean is the unweighted mean over models; its n and refusals "
        f"are sums. {INTERVALS} printed_pct is what the paper prints, in percent (Table 1; means: its text). "
        f"{CORRECTED}",
        (*RATE, "corrected", "corrected_lo", "corrected_hi"),
    ),
    "rates_baseline": Note(
        "With and without a persona",
        "Rate of prompts without a persona beside that of prompts with one, and their difference (persona minus "
        f"baseline, in percentage points). Empty where the number of baseline answers is unknown. {INTERVALS}",
        ("baseline_rate", "baseline_lo", "baseline_hi", "persona_rate", "lo", "hi"),
        ("difference", "d_lo", "d_hi"),
    ),
    "rates_persona": Note(
        "Mean refusal rate by persona",
        "Unweighted mean of the rates of the models of a scope and of the tasks; n and refusals are sums. "
        f"{INTERVALS} Where people labelled a sample, pooled is the rate of all answers of the persona together, over "
        "all models, and corrected is that rate without the labeller's errors, with its 95% limits.",
        (*RATE, "pooled", "corrected", "corrected_lo", "corrected_hi"),
    ),
    "corrected_rates": Note(
        "Refusal rates corrected for label error",
        "rate: share that the labeller calls a refusal; corrected: the same with each stratum's share replaced by what "
        "people found in the answers they labelled, with limits that hold the uncertainty of both. * : summed over; "
        "group “any persona”: prompts with a persona, the population of the other tables of rates; model “mean”: "
        "unweighted mean over models. annotated: answers labelled by people; unannotated: share of answers in strata of "
        "which nobody labelled one.",
        (*RATE, "corrected", "unannotated"),
    ),
    "corrected_personas": Note(
        "Refusal rates by persona corrected for label error",
        "All answers of a persona over models and tasks together (not the mean of their rates), as the labeller counts "
        "them and corrected by the answers that people labelled.",
        (*RATE, "corrected", "unannotated"),
    ),
    "corrected_differences": Note(
        "Personas against no persona, corrected for label error",
        "Rate of each group of personas minus that of prompts without one, in percentage points: as the labeller "
        "counts, and corrected, with the limits of the corrected difference.",
        points=("difference", "corrected", "lo", "hi"),
    ),
    "labeller_accuracy": Note(
        "Sensitivity and specificity of each labeller",
        "Against the answers that people labelled, weighted back to all answers; * : summed over.",
        ("value", "lo", "hi", "unannotated"),
    ),
    "annotator_agreement": Note(
        "Agreement of annotators", "Kappa of each pair and Krippendorff's alpha of all, with intervals."
    ),
    "specificity_tests": Note(
        "Are false refusals as frequent with a persona as without?",
        "Share of answers that are no refusals but counted as one, in each group of personas and without a persona, by "
        "labeller; Fisher's exact test on effective numbers of answers, Holm's correction over the groups.",
        ("false_refusals", "false_refusals_baseline"),
    ),
    "labeller_headline": Note(
        "Headline quantities under each labeller",
        "Mean rates, effects of personas and importances, each from the same answers judged by another labeller; "
        "rates and their differences are proportions here.",
    ),
    "labeller_claims": Note(
        "Claims under each labeller", "The tests of the paper's claims, on the same answers judged by each labeller."
    ),
    "labeller_agreement": Note(
        "Agreement of labellers", "Pairs of labellers on the same answers: how often both see a refusal, and kappa."
    ),
    "labeller_categories": Note("What labellers make of the answers", "Answers in each category, by labeller."),
    "no_answers": Note(
        "How much of each rate “No” as an answer could explain",
        "The paper's list counts an answer that starts with “No,” or “No.”, but most templates ask a yes/no question. "
        "Of the three templates of a format, phrasing 2 asks none; what the others have above it by the paper's Table "
        "7, weighted by the prompts of Table 6 and moved to each printed rate of Figures 4, 10 and 11, is put down to "
        "“No” answers (could_be_no, of all answers; share_of_refusals, of the rate; rate_without, what is left). It "
        "assumes that the coefficients, fitted to all tasks and models at once, hold for each, that no refusal of "
        "phrasing 2 is a “No”, and that nothing else makes yes/no templates refused more. at_most_sure needs none of "
        "that: all refusals to yes/no templates. Task * is the unweighted mean of the tasks.",
        ("rate", "could_be_no", "share_of_refusals", "rate_without", "at_most_sure"),
    ),
    "rates_model_persona": Note(
        "Refusal rate by model and persona",
        f"Unweighted mean over tasks; n and refusals are sums. {INTERVALS}",
        RATE,
    ),
    "rates_task_model_persona": Note(
        "Refusal rate in every cell of task, model and persona", f"Refusals over answers. {INTERVALS}", RATE
    ),
    "rates_format": Note(
        "Refusal rate by response format",
        f"Refusals over answers to the three templates of each format, over all personas. {INTERVALS}",
        RATE,
    ),
    "table5": Note(
        "Persona prompts per persona, as the paper's Table 5", "Number of draws of the design with each persona."
    ),
    "table6": Note(
        "Persona prompts per template, as the paper's Table 6", "Number of draws of the design with each template."
    ),
    "design_balance": Note(
        "Balance of the design", "Chi-squared test of the draws against a uniform distribution over levels."
    ),
    "importance": Note(
        "Importance of each factor",
        "index: the Wasserstein index as the paper defines it, the mean over levels of the distance between the rate "
        "of the level and the overall rate, over twice the variance; 0 if the factor does not matter, 1 if it "
        "decides every answer. floor_mean and floor_q95: mean and 95% quantile of the index of the same factor with "
        "its levels permuted; corrected: the index without that noise. sobol: first-order variance share. scope: the "
        "whole study, one task or one model. printed: Figure 5 of the paper.",
    ),
    "sensitivity": Note(
        "Every sensitivity index",
        "One row per factor, scope and index (Wasserstein, first-order variance share, mutual information in nats), "
        "with plug-in estimate, corrected estimate, interval and noise floor.",
    ),
    "regression": Note(
        "Logistic regression beside the paper's Table 7",
        "Main effects of model, task, persona (and template, where the data carry it) with the paper's reference "
        "levels: Llama2-13B, NLI, atheist, p1. A level without refusals has no finite coefficient by maximum "
        "likelihood. The last rows hold McFadden's R² and printed terms that cannot "
        "be refitted.",
    ),
    "regression_firth": Note(
        "Logistic regression, penalised",
        "The same main effects by Firth's penalised likelihood, which is finite also for a level without refusals.",
    ),
    "interactions": Note(
        "Interactions of the logistic regression",
        "How far, in log-odds, each cell of two factors departs from the sum of their main effects (Firth's penalised "
        "fit, every factor coded to sum to zero).",
    ),
    "deviance": Note(
        "Deviance explained by each factor",
        "Drop in deviance when the factor enters the logistic regression alone, last, and on average over all orders "
        "of entry (dominance); noise is what a factor without effect would show.",
    ),
    "effects_persona": Note(
        "What each persona changes in each model",
        "Rate with the persona minus that of the same prompts without one (baseline_rate), tasks with the same weight, by "
        "least squares on prompts with errors clustered by text; ratio: of the two rates. p is of this cell alone; "
        "p_max_t allows for all cells tested, mcnemar_p uses the direct pairs only. raises: p_max_t at most .05 and "
        f"the difference's limits above 0. {INTERVALS}",
        ("rate", "baseline_rate"),
        ("difference", "lo", "hi"),
    ),
    "effects_mean": Note(
        "What each persona changes, over models",
        "Rate with the persona minus that of the same prompts without one. Rows of the model mean average models and "
        "tasks with the same weight; persona *: any persona, below for each model. " + INTERVALS,
        ("rate", "baseline_rate"),
        ("difference", "lo", "hi"),
    ),
    "effects_between": Note(
        "Personas against each other",
        "Rate with the persona minus that with the other one (reference_rate) on the same prompts, within each model and over "
        f"models (mean); ratio: of the two rates. p is of this pair alone. {INTERVALS}",
        ("rate", "reference_rate"),
        ("difference", "lo", "hi"),
    ),
    "rates_shrunken": Note(
        "Rate in every cell, shrunken",
        "shrunken: the cell's rate drawn towards those of the other personas of its task and model (beta-binomial, "
        "full Bayes), with its 95% interval; the fewer answers, the more. For display: no test uses it.",
        (*RATE, "shrunken"),
    ),
    "sequential": Note(
        "When each model stopped",
        "Rounds and answers of each model, of full in the whole design; saved: the share that was not asked. quantity, "
        "level, half_width: the interval furthest from its target when the model stopped, in the unit of the "
        "quantity (a rate is a proportion); met: whether every target was reached.",
        ("saved",),
    ),
    "missing": Note("Draws without a verdict", "Prompts of the design that no answer or no judgement is known for."),
    "printed_check": Note(
        "The paper's tables and figures against each other",
        "Every entry of Table 1, and the rates pooled over formats, recomputed from the persona cells; in percent.",
    ),
    "planted_rates": Note(
        "Planted truth beside the estimate",
        "planted: the refusal probability written into the stand-in, by enumeration over its prompts; estimate: what "
        "the workflow found; z: their difference over the standard error. " + INTERVALS,
        ("planted", "estimate", "lo", "hi"),
    ),
    "comparison": Note(
        "This study beside the paper",
        "Each quantity that the paper prints and this study estimates, with this study's interval, in the unit given "
        "(a rate is a proportion here).",
    ),
    "interim_looks": Note(
        "Rounds of the study",
        "After each round: the estimate and interval of every quantity with a target, and the calls spent so far.",
    ),
    "labeller_rates": Note(
        "Refusal rate under each labeller",
        f"The same answers judged by each labeller. {INTERVALS} {CORRECTED}",
        (*RATE, "corrected", "corrected_lo", "corrected_hi"),
    ),
    "claims": Note(
        "The paper's claims as tests",
        "Each claim as a test with a fixed rule: its effect, the effect's interval, and the conclusion of the rule.",
    ),
}

LIMITS = {
    "published": [
        "Every number was re-derived from refusal counts that the paper's printed percentages and sample sizes pin "
        "down (each of the 720 percentages fits exactly one count). No model was run.",
        "The printed cells carry no text identifiers. Intervals here treat the answers of a cell as independent "
        "(binomial). The paper asked about each text ten times and asked all models about the same texts, so answers "
        "are clustered by text; that cannot be undone from print, and true intervals are wider where answers to the "
        "same text agree.",
        "The sample size behind the baseline rates of Figure 1 is not printed, and the rates themselves were "
        "read off the figure's vector drawing (± 0.01 points): they carry no interval, and neither do differences "
        "from them.",
        "The nine templates cannot be recovered from print, only their three response formats.",
    ],
    "run": [
        "A refusal is what the first labeller of the config calls one; the section on labellers shows what another "
        "would have called it.",
        "Intervals are clustered by text wherever texts are known: the answers to one text are not independent.",
    ],
    "rehearsal": [
        "The models of this study are small stand-in checkpoints written by the workflow, whose refusal probability "
        "was planted. They borrow the names of real models and nothing else: no number on this page is about a real "
        "model.",
        "What a rehearsal can show is whether the workflow finds what was planted, and how far off it is.",
        "Intervals are clustered by text wherever texts are known.",
    ],
}

# one line under the title
KINDS = {
    "published": "The paper re-derived from its own printed cells, with the intervals it does not print.",
    "run": "A study of real models: texts, prompts, answers, labels, estimates.",
    "rehearsal": "The whole workflow on stand-in checkpoints with a planted truth: a test of the workflow.",
}


def note_for(name: str) -> Note:
    """The note of a table; a table nobody described is shown as it is, under its file name."""
    return NOTES.get(name, Note(name.replace("_", " ").capitalize(), "See the file for its columns."))
