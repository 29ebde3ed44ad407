"""What several kinds of tests share: no tests, no assertions about the product."""
