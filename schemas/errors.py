"""Errors by what the caller must do. Libraries' own errors are mapped to these in the module that owns the library."""


class GrisError(Exception):
    """Base of every error of ours; its text is a sentence for people, never a secret or a figure."""


class Retry(GrisError):
    """The same call may succeed later and nothing was decided: wait, then call again with the same arguments."""


class Fatal(GrisError):
    """No repetition can help: stop the process and show the sentence, which names the remedy."""
