"""Looking again: a stretch of a camera's log through the same chain, held against what was published the first time."""
