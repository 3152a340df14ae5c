"""What a file of responses may hold: the fields that columns are mapped to. Snakemake's start reads it: no pandas."""

FIELDS = {
    "model": "the model's name",
    "response": "what the model wrote",
    "task": "the task; one task if there is no such column",
    "prompt_id": "the id of the prompt: that of `snakemake export`, or your own",
    "text_id": "an id of the text that was judged",
    "text": "the text that was judged",
    "persona": "the persona; an empty cell is a prompt without one",
    "template": "the name or wording of the template",
    "prompt": "the whole prompt",
    "finish_reason": "why the response ended, such as stop or length",
    "sample": "the number of the response among several to one prompt",
    "verdict": "somebody's verdict on the response",
}
NOT_GIVEN = "[not in the file of responses]"  # stands for a response or a prompt
FORMATS = ("csv", "jsonl", "parquet", "lm_eval", "inspect", "openai_batch", "anthropic_batch")
VERDICT_WORDS = {  # the category of a verdict, by the word a file has for it
    **dict.fromkeys(("refused", "refusal", "true", "yes", "1", "1.0"), "refused"),
    **dict.fromkeys(("answered", "not_refused", "compliance", "false", "no", "0", "0.0"), "not_refused"),
    "invalid": "off_format",
}
REASONS = {  # why a response ended, by the words of the formats; any other word is an ordinary end
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    **dict.fromkeys(("content_filter", "refusal", "safety"), "content_filter"),
    "error": "error",
}
