"""One image: its codecs, its operations, its recipe, and the task that puts them together."""
