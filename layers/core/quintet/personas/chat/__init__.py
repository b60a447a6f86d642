"""OpenAI's chat completions: what may be asked, and how an answer looks."""
