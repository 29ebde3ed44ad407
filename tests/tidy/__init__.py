"""The lints of this repository beyond those of the tools; `test_tidy` runs them."""
