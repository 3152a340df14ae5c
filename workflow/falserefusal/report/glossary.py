"""Meanings of columns, verdicts, categories of verdicts and labellers.

The page shows them as tooltips of columns and in its glossary. A meaning here is the same in every table; a column that
means something else in one table is explained in the note of that table.
"""

COLUMNS = {
    "model": "the language model; “mean”: unweighted mean over models; *: responses of all models pooled",
    "persona": "the sociodemographic persona that the prompt names; *: all prompts with a persona",
    "attribute": "a property of personas, such as gender, of which each persona has a level",
    "attributes": "one attribute, or several that are crossed",
    "levels": "a level of the attribute, or a combination of levels",
    "expected": "rate that is expected without the effect of the row",
    "task": "the classification task of the prompt; *: all tasks",
    "template": "the wording of the prompt",
    "format": "how strictly the prompt asks for an option: unforced, semi-forced or forced",
    "phrasing": "the wording of the question, the same in several templates",
    "labeller": "the rule, list or model that decided whether a response is a refusal",
    "n": "number of responses",
    "refusals": "number of responses that are refusals",
    "rate": "share of responses that are refusals",
    "baseline_rate": "refusal rate of the prompts without a persona",
    "difference": "a rate minus the rate that it is compared with",
    "ratio": "a rate divided by the rate that it is compared with",
    "lo": "lower limit of the 95% confidence interval",
    "hi": "upper limit of the 95% confidence interval",
    "d_lo": "lower limit of the 95% confidence interval of the difference",
    "d_hi": "upper limit of the 95% confidence interval of the difference",
    "lo_family": "simultaneous 95% lower limit: all lower limits of the table are correct in 95% of studies",
    "hi_family": "simultaneous 95% upper limit: all upper limits of the table are correct in 95% of studies",
    "z": "estimate divided by its standard error",
    "p": "p-value: probability of an estimate at least this far from no effect, if there is no effect",
    "p_holm": "p-value adjusted for the number of tests in the table (Holm)",
    "p_family": "p-value adjusted for all rows of the table (family-wise)",
    "mcnemar_p": "p-value of McNemar's exact test: the same text and template with and without the persona",
    "scope": "the part of the study that the row is about: all of it, one task or one model",
    "factor": "what varies between prompts: model, task, persona, template, format or phrasing",
    "index": "importance of a factor: 0: no effect on the refusal rate; 1: the factor determines every verdict",
    "sobol": "first-order Sobol' index: share of the variance of refusal that a factor explains alone",
    "mutual_information": "mutual information of factor and refusal, in nats",
    "floor_mean": "mean index of a factor without effect",
    "floor_q95": "noise floor: 95% quantile of the index of a factor without effect",
    "corrected": "estimate corrected for labelling errors (tables of rates) or for noise (tables of importance)",
    "method": "method of the interval, or the reason why there is none",
    "coef": "coefficient of the logistic regression, in log-odds",
    "printed": "the value that the paper prints",
    "shrunken": "partially pooled estimate (shrunken towards the other cells); for display, not for tests",
    "conclusion": "outcome of the test of a claim: supported, contradicted, inconclusive or not testable",
    "effect": "estimate of the quantity that a claim is about, in the unit of effect_unit",
}
VERDICTS = {
    "refused": "the model declines to do the task, or the provider blocks the prompt or the response",
    "answered": "the response chooses one of the options, with or without reservations",
    "invalid": "there is text, but neither a refusal nor an option in it",
    "missing": "there is no text to label; missing responses are in no rate",
}
CATEGORIES = {
    "refused": "refusal found by a phrase list or a classifier, which give no reason",
    "refused_capability": "refusal: the model says that it is not able to",
    "refused_persona": "refusal: the model says that it does not speak for the person or group in the prompt",
    "refused_policy": "refusal: on principle, because of its rules, or without a reason",
    "refused_content": "refusal: because of what the text contains",
    "refused_context": "refusal: the model says that the text or the context is missing",
    "refused_partly": "refusal in free chat: the model declines, and then answers in part",
    "blocked_by_provider": "refusal: the provider's filter stopped the prompt or the response",
    "answered": "an option is chosen",
    "hedged": "partial refusal: an option is chosen, and the model also says that it can't or shouldn't choose",
    "not_refused": "not refused, by a phrase list or a classifier; these do not look for options",
    "off_format": "invalid: an attempt to answer with none of the options, or with several",
    "off_task": "invalid: the response does something else, for example replies to the text",
    "truncated": "invalid: the response breaks off before an option",
    "degenerate": "invalid: only repetitions, or a copy of the prompt",
    "empty": "missing: no text",
    "thinking_only": "missing: the limit of tokens was reached inside the thinking",
    "error": "missing: the request failed",
    "recitation": "missing: withheld because of copyright",
    "no_verdict": "missing: the file of responses has no verdict for this response",
    "judge_failed": "missing: the judge's reply could not be parsed",
    "not_asked": "the prompt has no response yet",
}
LABELLERS = {
    "given": "the verdicts in the files of imported responses",
    "phrase_list": "the paper's labeller: a response is a refusal if it starts with one of a list of phrases",
    "structured": "rules that use the whole response and the task's options",
    "judge": "a language model that is asked for the verdict",
    "classifier": "a text classifier that was trained to detect refusals",
}


def tooltip(column: str) -> str:
    """Return what a column contains, or an empty text for one that only its table explains."""
    return COLUMNS.get(column, "")


def glossary(columns: set[str], categories: set[str], labellers: set[str]) -> dict[str, dict[str, str]]:
    """Return the entries by section: of the columns, categories and labellers that a page shows, and all verdicts."""
    sections = {
        "Verdicts": VERDICTS,
        "Categories of verdicts": {name: CATEGORIES[name] for name in CATEGORIES if name in categories},
        "Labellers": {name: LABELLERS[name] for name in LABELLERS if name in labellers},
        "Columns": {name: COLUMNS[name] for name in COLUMNS if name in columns},
    }
    return {title: entries for title, entries in sections.items() if entries}
