"""Plain names for what tables contain: columns, verdicts, categories of verdicts and labellers.

The page shows them as tooltips of columns and in its glossary. A meaning here holds in every table; columns that mean
something else in one table are explained in the note of that table.
"""

COLUMNS = {
    "model": "the language model; “mean”: unweighted mean over models; *: all models together",
    "persona": "the sociodemographic persona that the prompt names; *: any persona",
    "attribute": "a property of personas, such as gender, of which each persona has a level",
    "attributes": "one attribute, or several that are crossed",
    "levels": "a level of the attribute, or a combination of levels",
    "expected": "rate that is expected without the effect of the row",
    "task": "the classification task of the prompt; *: all tasks",
    "template": "the wording of the prompt",
    "format": "how strictly the prompt asks for an option: unforced, semi-forced or forced",
    "phrasing": "the wording of the question, the same in several templates",
    "labeller": "what decided whether a response is a refusal",
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
    "lo_family": "lower limit that holds for all rows of the table together in 95% of studies",
    "hi_family": "upper limit that holds for all rows of the table together in 95% of studies",
    "z": "estimate divided by its standard error",
    "p": "p-value: how often chance alone gives an estimate at least this far from no effect",
    "p_holm": "p-value adjusted for the number of tests in the table (Holm)",
    "p_family": "p-value adjusted for all rows of the table together",
    "mcnemar_p": "p-value of McNemar's exact test on pairs of responses to the same prompt",
    "scope": "the part of the study that the row is about: all of it, one task or one model",
    "factor": "what varies between prompts: model, task, persona, template, format or phrasing",
    "index": "importance of a factor: 0, no effect on the refusal rate; 1, it determines every verdict",
    "sobol": "share of the variance of verdicts that a factor explains by itself",
    "mutual_information": "how much a factor tells about the verdict, in nats",
    "floor_mean": "mean index of a factor without effect",
    "floor_q95": "index that a factor without effect stays below in 95% of studies (noise floor)",
    "corrected": "estimate after a correction: of labelling error (tables of rates) or of noise (tables of importance)",
    "method": "how the interval was computed, or why there is none",
    "coef": "coefficient of the logistic regression, in log-odds",
    "printed": "the value that the paper prints",
    "shrunken": "estimate that borrows from similar cells; for display, not for tests",
    "conclusion": "what the rule of a claim concludes: supported, contradicted, inconclusive or not testable",
    "effect": "the quantity that decides a claim, in the unit of effect_unit",
}
VERDICTS = {
    "refused": "the model declines to do the task, or the provider blocks the prompt or the response",
    "answered": "the response chooses one of the options, with or without reservations",
    "invalid": "there is text, but neither a refusal nor an option in it",
    "missing": "there is nothing to judge; such responses are never counted as not refused",
}
CATEGORIES = {
    "refused": "refusal found by a phrase or a classifier, which give no reason",
    "refused_capability": "refusal: the model says that it is not able to",
    "refused_persona": "refusal: the model does not speak for the person or group in the prompt",
    "refused_policy": "refusal: on principle, by its rules, or without a reason",
    "refused_content": "refusal: because of what the text contains",
    "refused_context": "refusal: the model says that it lacks the text or the context",
    "refused_partly": "refusal in free chat: the model declines, and then answers in part",
    "blocked_by_provider": "refusal: the provider's filter stopped the prompt or the response",
    "answered": "an option is chosen",
    "hedged": "an option is chosen, and the model also says that it can't, shouldn't or would rather not",
    "not_refused": "no phrase of a list was found, or a classifier saw no refusal",
    "off_format": "invalid: an attempt to answer with none of the options, or with several",
    "off_task": "invalid: the response does something else, for example reacts to the text",
    "truncated": "invalid: the response breaks off before an option",
    "degenerate": "invalid: repetitions, or the prompt again",
    "empty": "missing: no text",
    "thinking_only": "missing: the model thought until its tokens were used up",
    "error": "missing: the request failed",
    "recitation": "missing: withheld because of copyright",
    "no_verdict": "missing: the file of responses has no verdict on it",
    "judge_failed": "missing: the judge's reply could not be read",
    "not_asked": "the prompt has no response yet",
}
LABELLERS = {
    "given": "the verdicts that came with responses from elsewhere",
    "phrase_list": "the paper's list of phrases with which a refusal starts",
    "structured": "rules that read the whole response and the task's options",
    "judge": "a language model that is asked for the verdict",
    "classifier": "a text classifier that was trained for this",
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
