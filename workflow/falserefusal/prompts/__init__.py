"""Turn a design into the chat turns that are sent to a model."""
