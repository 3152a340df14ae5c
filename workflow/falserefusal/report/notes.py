"""The title, the explanation and the units of each table, and other fixed sentences of the page."""

from typing import NamedTuple


class Note(NamedTuple):
    """A table's title, what it holds and how it was computed, and its columns in percent or in percentage points.

    `printed` explains the paper's printed values, for a study that is compared with them.
    """

    title: str
    how: str
    percent: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    printed: str = ""


RATE = ("rate", "lo", "hi")
VERDICT_RATES = (
    *("rate", "rate_of_decided", "rate_without_blocked", "rate_full", "rate_with_partial", "rate_matched"),
    *("lowest", "highest"),
)
CORRECTED_RATE = ("corrected", "corrected_lo", "corrected_hi")
INTERVALS = "lo and hi: 95% confidence interval; the column method names how it was computed."
CORRECTED = (
    "If people annotated a sample, corrected is the rate corrected for the labeller's errors, with its 95% confidence "
    "interval."
)

NOTES = {
    "table1": Note(
        "Refusal rate by model and task, in the layout of the paper's Table 1",
        "Refused responses in percent, over all prompts with a persona. The last row is the unweighted mean over "
        "models. If people annotated a sample, the corrected columns hold the rates corrected for the labeller's "
        "errors; their intervals are in the next table.",
    ),
    "rates_model_task": Note(
        "Refusal rate by model and task, with intervals",
        "Refusals over responses to prompts with a persona. The row mean is the unweighted mean over models; its n and "
        f"refusals are sums. {INTERVALS} {CORRECTED}",
        (*RATE, *CORRECTED_RATE),
        printed="printed_pct: the paper's value in percent (Table 1; for the mean, the text), where it is of the same "
        "quantity.",
    ),
    "rates_baseline": Note(
        "Refusal rate with and without a persona",
        "persona_rate: rate of prompts with a persona; baseline_rate: rate of prompts without one; difference: persona "
        f"minus baseline, in percentage points. {INTERVALS} baseline_lo, baseline_hi, d_lo and d_hi: limits of the "
        "baseline rate and of the difference, empty if the number of baseline responses is unknown.",
        ("baseline_rate", "baseline_lo", "baseline_hi", "persona_rate", "lo", "hi"),
        ("difference", "d_lo", "d_hi"),
    ),
    "rates_persona": Note(
        "Mean refusal rate by persona",
        "Unweighted mean over the tasks and over the models of a scope; n and refusals are sums. "
        f"{INTERVALS} If people annotated a sample, pooled is the rate of all responses of the persona together, over "
        "all models, and corrected is that rate corrected for the labeller's errors, with its 95% confidence interval.",
        (*RATE, "pooled", *CORRECTED_RATE),
    ),
    "separations": Note(
        "Which levels differ clearly",
        "All sentences that compare personas, tasks, models or response formats use this table. It has one row for "
        "each "
        "factor and scope. An empty model or task means the mean over all models or tasks; for personas, model can "
        "be a "
        "group of models. pairs: number of pairs of levels. clear: number of pairs that differ clearly: their "
        "simultaneous interval (95% for all pairs that one sentence counts, 97.5% for personas) excludes 0. highest, "
        "lowest: level that is clearly above (below) every other level. higher, lower, difference, lo, hi: a pair that "
        "differs clearly; if there is none, the largest difference, without names. order: levels from high to low; "
        "“>”: all levels before it are clearly above all levels after it. With fewer than 30 refusals nothing is "
        "ranked.",
        points=("difference", "lo", "hi"),
    ),
    "corrected_rates": Note(
        "Refusal rates corrected for labelling error",
        "rate: share of responses that the labeller calls a refusal. corrected: the rate if the share of refusals in "
        "each stratum is replaced by the share that people found in it; lo and hi are its 95% confidence interval. "
        "*: all levels pooled. Group “any persona”: all prompts with a persona, as in the other tables of rates. "
        "Model “mean”: unweighted mean over models. annotated: number of responses that people annotated; unannotated: "
        "share of responses in strata without an annotation.",
        (*RATE, "corrected", "unannotated"),
    ),
    "corrected_personas": Note(
        "Refusal rates by persona corrected for labelling error",
        "All responses of a persona, pooled over models and tasks (not the mean of their rates): the rate by the "
        "labeller, and the rate corrected by annotation, with its 95% confidence interval.",
        (*RATE, "corrected", "unannotated"),
    ),
    "corrected_differences": Note(
        "Effects of personas corrected for labelling error",
        "Rate of each group of personas minus the rate without a persona, in percentage points. difference: by the "
        "labeller; corrected: by the corrected rates, with its 95% confidence interval.",
        points=("difference", "corrected", "lo", "hi"),
    ),
    "corrected_effects": Note(
        "Effects of single personas corrected for labelling error",
        "Rate with a persona minus the rate without one, in percentage points, for the first labeller. difference: by "
        "the labeller; corrected: divided by sensitivity + specificity - 1 of its model, with its 95% confidence "
        "interval. Assumption: the labeller has the same sensitivity and specificity with and without a persona "
        "(specificity_tests tests the specificity). Persona *: any persona. Model “mean”: mean over models.",
        points=("difference", "corrected", "lo", "hi"),
    ),
    "corrected_importance": Note(
        "Importance of factors corrected for labelling error",
        "Indices of rates that are corrected by the labeller's sensitivity and specificity for each model, with equal "
        "weight of models, tasks and personas. uncorrected and estimate: index before and after this correction. "
        "corrected: estimate minus noise, with 95% confidence interval. floor_mean and floor_q95: index of a factor "
        "without effect.",
    ),
    "corrected_claims": Note(
        "Claims from rates corrected for labelling error",
        "uncorrected: conclusion from the labeller's verdicts. conclusion: conclusion from corrected rates, with the "
        "uncertainty of sensitivity and specificity. other: share of posterior samples of sensitivity and specificity "
        "with another conclusion. sensitive: this share is above 5%.",
        ("other",),
    ),
    "labeller_validation": Note(
        "Labellers compared with the annotations of people",
        "Each labeller, over all models (*) and by model, weighted to represent all responses. sensitivity: share of "
        "the refusals that it finds; specificity: share of the other responses that it does not call refusals; kappa: "
        "Cohen's kappa of labeller and people. _lo and _hi: 95% confidence interval. missing: share of the responses "
        "without a verdict of this labeller, for example if the reply of a judge cannot be parsed; these are not "
        "included. The table labeller_accuracy has the measures by task and group.",
        ("missing", *(f"{name}{end}" for name in ("sensitivity", "specificity") for end in ("", "_lo", "_hi"))),
    ),
    "labeller_range": Note(
        "Results under the labeller's errors on other responses",
        "Range of each result under the sensitivity and specificity that the labeller had on other responses. They "
        "vary "
        "over the range in the first two rows, independently for each model; config/labelling/accuracy.csv has the "
        "sets. "
        "lowest and highest: range of the estimate, without sampling errors; rates and differences are proportions. "
        "other: conclusions (or orders of factors) that occur within the range. share: share of random combinations "
        "with "
        "another conclusion. overturned: whether any combination has another conclusion.",
        ("share",),
    ),
    "labeller_accuracy": Note(
        "Sensitivity, specificity and kappa of each labeller",
        "Compared with the annotations of people, weighted to represent all responses, as proportions. *: all levels "
        "pooled.",
        ("unannotated",),
    ),
    "annotator_agreement": Note(
        "Agreement of annotators",
        "Cohen's kappa of each pair and Krippendorff's alpha of all annotators, with intervals. If all agree, "
        "there is no interval.",
    ),
    "specificity_tests": Note(
        "Does a labeller wrongly report more refusals with a persona than without?",
        "wrong_refusals: share of the responses that are not refusals but are counted as one, for each group of "
        "personas; wrong_refusals_baseline: the same without a persona. p: Fisher's exact test on effective numbers of "
        "responses; p_holm: adjusted for the number of groups (Holm).",
        ("wrong_refusals", "wrong_refusals_baseline"),
    ),
    "labeller_headline": Note(
        "Headline quantities under each labeller",
        "Mean rates, effects of personas and importance of factors, computed from the same responses under each "
        "labeller. Rates and their differences are proportions here.",
    ),
    "labeller_claims": Note(
        "Claims under each labeller", "Tests of the paper's claims on the same responses under each labeller."
    ),
    "labeller_agreement": Note(
        "Agreement of labellers",
        "Pairs of labellers on the same responses: how often both, one or neither report a refusal; Cohen's kappa.",
    ),
    "labeller_categories": Note(
        "Categories by labeller", "Number of responses with each combination of categories, by pair of labellers."
    ),
    "no_answers": Note(
        "How much of each rate could be “No” as an answer",
        "The paper's list counts a response that starts with “No,” or “No.” as a refusal, but most templates ask a "
        "yes/no question. In each format, only phrasing 2 is not a yes/no question. The difference between the other "
        "templates and phrasing 2 is attributed to “No” as an answer. It is computed from the coefficients of the "
        "paper's Table 7, weighted by the prompts of Table 6, with the intercept of each printed rate of Figures 4, 10 "
        "and 11. could_be_no: this difference as a share of all responses; share_of_refusals: as a share of the "
        "refusals; rate_without: the rate without it. Assumptions: the coefficients, which were fitted to all tasks "
        "and "
        "models together, hold for each task and model; no refusal of phrasing 2 is a “No”; yes/no templates are not "
        "refused more often for another reason. at_most_sure needs no assumption: it attributes all refusals of yes/no "
        "templates to “No”. Task *: unweighted mean over tasks.",
        ("rate", "could_be_no", "share_of_refusals", "rate_without", "at_most_sure"),
    ),
    "rates_model_persona": Note(
        "Refusal rate by model and persona",
        f"Unweighted mean over tasks; n and refusals are sums. {INTERVALS}",
        RATE,
    ),
    "rates_task_model_persona": Note(
        "Refusal rate by task, model and persona", f"Refusals over responses. {INTERVALS}", RATE
    ),
    "rates_format": Note(
        "Refusal rate by response format",
        f"Refusals over responses to the three templates of each format, over all personas. {INTERVALS}",
        RATE,
    ),
    "table5": Note(
        "Prompts per persona, as in the paper's Table 5", "Number of prompts of the design with each persona."
    ),
    "table6": Note(
        "Prompts per template, as in the paper's Table 6", "Number of prompts with a persona for each template."
    ),
    "design_balance": Note(
        "Balance of the design", "Chi-squared test of the prompts against a uniform distribution over the levels."
    ),
    "importance": Note(
        "Importance of each factor",
        "index: the Wasserstein index as the paper defines it, which is the mean over levels of the distance between "
        "the rate of the level and the overall rate, divided by twice the variance. 0: the factor has no effect; 1: it "
        "determines every verdict. floor_mean and floor_q95: mean and 95% quantile of the index when the levels of the "
        "factor are permuted (noise floor); corrected: the index minus that noise. sobol: first-order share of the "
        "variance. scope: the whole study, one task or one model. With too few refusals (below 40 refused texts "
        "in every model) there is no interval, as the column method says.",
        printed="printed: Figure 5 of the paper.",
    ),
    "sensitivity": Note(
        "All sensitivity indices",
        "One row per factor, scope and index (Wasserstein, first-order share of the variance, mutual information in "
        "nats): plug-in estimate, corrected estimate, interval and noise floor. With too few refusals there is no "
        "interval, as the column method says.",
    ),
    "regression": Note(
        "Logistic regression",
        "Main effects of model, task, persona, and of the template if the data have it. The reference level of a "
        "factor has no row. A level without refusals has no finite maximum-likelihood coefficient. The row fit holds "
        "McFadden's R².",
        printed="The reference levels are the paper's (Llama2-13B, NLI, atheist, p1) if they have refusals and other "
        "responses. printed: Table 7 of the paper, converted to the reference levels of this fit. The last rows are "
        "printed terms that cannot be fitted here.",
    ),
    "regression_firth": Note(
        "Logistic regression, penalised",
        "The same main effects by Firth's penalised likelihood, which is finite even for a level without refusals. "
        "Errors are clustered by text. Without text identifiers, or with fewer than ten refusals at a level, there is "
        "neither an interval nor a p-value, as the column method says.",
    ),
    "interactions": Note(
        "Interactions of the logistic regression",
        "Deviation of each cell of two factors from the sum of their main effects, in log-odds (Firth's penalised fit, "
        "sum-to-zero coding). Errors are clustered by text. Without text identifiers there is neither an interval nor "
        "a p-value. Models with fewer than ten refusals under some persona are left out.",
    ),
    "deviance": Note(
        "Deviance explained by each factor",
        "Reduction of the deviance when the factor enters the logistic regression alone, last, and on average over all "
        "orders of entry (dominance analysis); noise: reduction expected from a factor without effect.",
    ),
    "effects_persona": Note(
        "Effect of each persona in each model",
        "difference: rate with the persona minus rate of the same prompts without one (baseline_rate), with equal "
        "weight for each task, by least squares on prompts with standard errors clustered by text. lo_family, "
        "hi_family: simultaneous one-sided 95% limits for all rows (Bonferroni). ratio: the rate divided by the "
        "baseline "
        "rate. p: two-sided p-value of the interval. p_family: p-value of an increase, adjusted for all rows. It is "
        "the "
        "larger of two p-values, with the null hypotheses that the persona changes no response (permutation within "
        "prompts) and that its mean effect is zero (interval). raises: p_family is at most .05. mcnemar_p: from direct "
        f"pairs only, not adjusted; its null hypothesis is that the persona changes no response. {INTERVALS}",
        ("rate", "baseline_rate"),
        ("difference", "lo", "hi", "lo_family", "hi_family"),
    ),
    "effects_shrunken": Note(
        "Effect of each persona in each model, shrunken",
        "difference: the raw effect, as in effects_persona. shrunken: partially pooled estimate, from a random-effects "
        "model with an effect of the model, an effect of the persona and a rest. The variances are estimated on the "
        "probit scale, so models that rarely refuse have small effects. shrinkage: weight of the cell's own estimate "
        "(1: "
        "the raw effect). lo and hi: 95% interval of the shrunken effect. It contains the true effect in 95% of "
        "cells on "
        "average, but less often for the largest effects. For a statement about one cell, use the raw effect. No test "
        "uses this table.",
        (),
        ("difference", "shrunken", "lo", "hi"),
    ),
    "effects_mean": Note(
        "Effect of each persona over models",
        "difference: rate with the persona minus rate of the same prompts without one. Model “mean”: mean over models "
        "and tasks with equal weights. Persona *: all prompts with a persona; the last rows have it for each model. "
        f"{INTERVALS}",
        ("rate", "baseline_rate"),
        ("difference", "lo", "hi"),
    ),
    "effects_between": Note(
        "Differences between personas",
        "difference: rate with the persona minus rate with the reference persona (reference_rate) on the same prompts, "
        "within each model and averaged over models (mean); ratio: the first rate divided by the second. p: not "
        "adjusted "
        "for the number of pairs. "
        f"{INTERVALS}",
        ("rate", "reference_rate"),
        ("difference", "lo", "hi"),
    ),
    "rates_shrunken": Note(
        "Shrunken refusal rate by task, model and persona",
        "shrunken: the rate, shrunken towards the rates of the other personas of the same task and model "
        "(fully Bayesian beta-binomial model), with its 95% credible interval. Cells with fewer responses are shrunken "
        "more. For display only: no test uses it.",
        (*RATE, "shrunken"),
    ),
    "rates_attribute": Note(
        "Refusal rate by level of each attribute",
        "The personas cross attributes. Rate over all personas with a level: unweighted mean over models and tasks "
        f"(model “mean”), and over tasks for each model; n and refusals are sums. {INTERVALS}",
        RATE,
    ),
    "effects_attribute": Note(
        "Main effects and interactions of attributes",
        "Rates by least squares on prompts, unweighted mean over models and tasks (model “mean”), and over tasks for "
        "each model; n and refusals are sums. A rate is expected plus difference. Main effect: expected is the mean "
        "over the levels of the attribute. Interaction: expected is the rate that mean and main effects add up to, so "
        "the difference is 0 if effects are additive. There are interactions of each two attributes, averaged over the "
        "others, and of all. p_holm: over the different effects of the same model and kind (Holm). Standard errors are "
        f"clustered by text. {INTERVALS}",
        ("rate", "expected"),
        ("difference", "lo", "hi"),
    ),
    "within_prompts": Note(
        "Samples of the same prompt",
        "Variance of refusal between independent samples of the same prompt, with or without a persona. disagree: "
        "share of prompts of which some samples are refusals and some are not; within_variance: mean variance of "
        "refusal (0 or 1) between the samples of a prompt; between_variance: variance of the probability of refusal "
        "between prompts; within_share: the part of the variance that is within prompts.",
        ("disagree", "within_share"),
    ),
    "sequential": Note(
        "When each model stopped",
        "looks and responses: interim looks and responses of each model; full: responses of the whole design; saved: "
        "share of the design that was not needed. quantity, level and half_width: the widest interval, relative to its "
        "target, when the model stopped, in the unit of the quantity (a rate is a proportion); met: whether all "
        "targets "
        "were reached.",
        ("saved",),
    ),
    "verdict_shares": Note(
        "Verdicts by model and task",
        "asked: prompts that were asked (not_asked: there is no response). refused: the response declines, or the "
        "provider blocked it (blocked). answered: it chooses an option, even if it also declines (partial). invalid: "
        "it does neither. missing: there is no text to label. rate (the main results) = refused / (refused + "
        "answered + "
        "invalid); rate_full counts only full refusals, rate_with_partial also the partial ones; rate_of_decided = "
        "refused / (refused + answered); rate_without_blocked: without the responses that the provider blocked; "
        "rate_matched: responses that start with a phrase of the paper's list, which is the paper's own count and "
        "includes degenerate responses. lowest and "
        "highest: the rate if no missing response, or every missing response, were a refusal. most_missing: "
        "largest share of missing responses under one persona. The labeller phrase_list and classifiers recognise "
        "only those invalid responses that are degenerate or without words.",
        (*VERDICT_RATES, "missing_share", "invalid_share", "most_missing"),
    ),
    "verdict_categories": Note(
        "Categories of the verdicts",
        "Number of prompts of the design by category of the verdict. not_asked: there is no response.",
    ),
    "printed_check": Note(
        "The paper's tables and figures compared with each other",
        "Every entry of Table 1, and the rates pooled over formats, recomputed from the persona cells; in percent.",
    ),
    "planted_rates": Note(
        "Planted rates compared with estimates",
        "planted: refusal rate that the stand-in was built with, computed by enumerating its prompts; estimate: what "
        f"the workflow estimated; z: their difference divided by the standard error. {INTERVALS}",
        ("planted", "estimate", "lo", "hi"),
    ),
    "reproduction": Note(
        "Which of the paper's numbers and claims this study reproduces",
        "Only estimates of the same quantity are compared: models, personas, tasks with their texts, and templates are "
        "the paper's; printed coefficients are converted to this study's reference levels. tolerance: root of the "
        "sum of "
        "squares of the sampling errors of this study (study_error) and of the paper (paper_error, from its printed "
        "n), "
        "plus rounding and, where it is known, the labeller's error. reproduced: the difference is within the "
        "tolerance. "
        "not testable: see reason. values: number of printed values in the row. Numbers are in the given unit (rates "
        "are "
        "proportions). The rule was fixed before the numbers were seen (docs/methods/comparison.md).",
    ),
    "interim_looks": Note(
        "Interim looks",
        "At each interim look: estimate and interval of every quantity with a target, and the number of responses "
        "so far (calls). lo and hi are calibrated for stopping by the rule; always_lo and always_hi (confidence "
        "sequence) "
        "are valid for any reason to stop.",
    ),
    "labeller_rates": Note(
        "Refusal rate under each labeller",
        f"The same responses under each labeller. {INTERVALS} {CORRECTED}",
        (*RATE, *CORRECTED_RATE),
    ),
    "batch_check": Note(
        "Dependence of responses on their batch",
        "Some prompts were asked again in other batches, if a response can depend on the other prompts of its batch "
        "(not in full float32). The second responses are not used elsewhere. prompts: number of prompts with "
        "both responses; responses_changed and verdicts_changed: share of them with another text, and with another "
        "verdict (refusal, category or chosen option) by the headline's labeller; rate and other_rate: refusal rate of "
        "the first and of the second responses; difference: other_rate minus rate, in percentage points, with the 95% "
        "confidence interval of paired rates (MOVER). note: why no prompt was asked again.",
        ("responses_changed", "verdicts_changed", "rate", "other_rate"),
        ("difference", "lo", "hi"),
    ),
    "claims": Note(
        "The paper's claims as tests",
        "Each claim is tested by a fixed rule: effect, interval of the effect, and the conclusion of the rule. p is "
        "one-sided, in the direction of the claim, and doubled, because intervals are two-sided.",
    ),
}

LIMITS = {
    "published": [
        "All numbers were computed from refusal counts that follow from the paper's printed percentages and sample "
        "sizes (each of the 720 percentages fits exactly one count). No model was run.",
        "The printed cells carry no text identifiers. Intervals here treat the responses of a cell as independent "
        "(binomial). But the paper asked about each text ten times, and asked all models about the same texts, so "
        "responses are clustered by text. The printed numbers are not sufficient to correct for this: the correct "
        "intervals are wider if responses to the same text agree.",
        "The sample size of the baseline rates of Figure 1 is not printed. The rates were measured in the figure's "
        "vector drawing (± 0.01 points). These rates, and differences from them, therefore have no interval.",
        "The printed cells do not distinguish the nine templates, only their three response formats.",
    ],
    "run": [
        "A refusal is a response that the first labeller of the config calls a refusal. The section on labellers shows "
        "the results under the other labellers.",
        "Intervals are clustered by text, because the responses to one text are not independent.",
    ],
    "imported": [
        "A refusal is a response that the first labeller of the config calls a refusal. The section on labellers shows "
        "the results under the other labellers.",
        "Intervals are clustered by text, because the responses to one text are not independent.",
    ],
    "rehearsal": [
        "The models of this study are small stand-in checkpoints with planted refusal rates, written by the workflow. "
        "They have only the names of real models: no number on this page is about a real model.",
        "A rehearsal shows whether the workflow recovers the planted rates, and how precisely.",
        "Intervals are clustered by text, because the responses to one text are not independent.",
    ],
}

# the line below the title
KINDS = {
    "published": "The paper's results, recomputed from its printed numbers, with confidence intervals.",
    "run": "A study of real models: texts, prompts, responses, verdicts, estimates.",
    "imported": "Responses that were made elsewhere, labelled and analysed here.",
    "rehearsal": "The whole workflow on stand-in checkpoints with planted rates: a test of the workflow.",
}
DUMMIES = "The whole workflow on fixed responses: a study to copy, in which no model was asked."


def note_for(name: str) -> Note:
    """Return the note of a table; a table without one gets its file name as title."""
    return NOTES.get(name, Note(name.replace("_", " ").capitalize(), "The columns are not described here."))
