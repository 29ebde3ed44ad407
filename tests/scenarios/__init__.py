"""Golden transcripts: a text file says what to do, and what then happens, line by line."""
