"""A tiny sequence classifier whose weights are set by hand: one word in the text makes it a refusal."""

from pathlib import Path

LABELS = ("normal", "rejection")


def save(folder: Path, word: str = "refuse", labels: tuple[str, str] = LABELS, length: int = 16) -> Path:
    """Save a BERT that finds the second of `labels` where `word` is among the first `length` tokens."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", word, "fine", "question"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=length).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=length, id2label=dict(enumerate(labels)), label2id={labels[0]: 0, labels[1]: 1},
    )  # fmt: skip
    torch.manual_seed(0)
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.bert.embeddings.word_embeddings.weight[5, 0] = 9.0
        for norm in (model.bert.embeddings.LayerNorm, model.bert.encoder.layer[0].attention.output.LayerNorm,
                     model.bert.encoder.layer[0].output.LayerNorm):  # fmt: skip
            norm.weight.fill_(1.0)
        attention = model.bert.encoder.layer[0].attention
        attention.self.value.weight.copy_(torch.eye(8))
        attention.output.dense.weight.copy_(torch.eye(8))
        model.bert.pooler.dense.weight.copy_(torch.eye(8))
        model.classifier.weight[1, 0] = 20.0
        model.classifier.bias[1] = -4.0
    model.save_pretrained(folder, safe_serialization=True)
    return folder
